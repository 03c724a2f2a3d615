"""The local browser."""

from __future__ import annotations

import os
import subprocess
import sys

START_TIMEOUT_S = 15.0

_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def available() -> bool:
    """Whether there is a desktop to open a browser on, or the user named one."""
    desktop = sys.platform in {"win32", "darwin"}
    named = any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    return desktop or named


def open_page(url: str) -> bool:
    """Open ``url`` in the user's browser; False when none could be started.

    In a process of its own: a browser may print, and stdout belongs to our caller's data.
    ``url`` will be seen by ``ps``; it must not hold a token.
    """
    try:
        opened = subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", _OPEN, url],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_TIMEOUT_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return True  # a browser that stays in the foreground has been started all the same
    except OSError:
        return False
    return opened.returncode == 0
