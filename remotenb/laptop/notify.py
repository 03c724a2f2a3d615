"""A word on the desktop, for a person who does not look at the terminal. Never fails.

Linux: notify-send, where it is installed. macOS: osascript. Windows has no way that needs neither
a registered program nor PowerShell: a sound, and the console's button in the task bar flashes.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys

from remotenb.text import one_line

TIMEOUT_S = 3.0
_LIMIT = 200

_APPLESCRIPT = """\
on run argv
display notification (item 2 of argv) with title (item 1 of argv)
end run"""


def notify(title: str, body: str) -> bool:
    """Show both as plain text; False when nothing could be shown."""
    title, body = one_line(title, _LIMIT), one_line(body, _LIMIT)
    if sys.platform == "win32":
        return _flash()
    elif sys.platform == "darwin":  # noqa: RET505  mypy knows platforms by branches only
        return _run("osascript", "-e", _APPLESCRIPT, "--", title, body)
    else:
        return _on_linux(title, body)


def _on_linux(title: str, body: str) -> bool:
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # many desktops read the body as HTML
    body = html.escape(body, quote=False)
    return _run("notify-send", "--app-name=remotenb", "--", title, body)


def _run(program: str, *argv: str) -> bool:
    path = shutil.which(program)
    if path is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603  a list, without a shell
            [path, *argv],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


if sys.platform == "win32":
    import ctypes

    _WARNING = 0x30

    def _flash() -> bool:
        user = ctypes.windll.user32
        sounded = bool(user.MessageBeep(_WARNING))
        console = ctypes.windll.kernel32.GetConsoleWindow()
        if console:
            user.FlashWindow(console, 1)
        return sounded or bool(console)
