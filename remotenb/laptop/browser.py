"""The local browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

START_TIMEOUT_S = 15.0

_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def available() -> bool:
    """Whether there is a desktop to open a browser on, or the user named one."""
    desktop = sys.platform in {"win32", "darwin"} or bool(_of_windows("", VERSION))
    named = any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    return desktop or named


VERSION = Path("/proc/version")
_POWERSHELL = Path("/mnt/c/Windows/System32/WindowsPowerShell/v1.0/powershell.exe")
_PLAIN = re.compile(r"https?://[\w.:\[\]-]+/[\w./?=&%~+-]*")
"""An address in which PowerShell, in single quotes, finds nothing to do."""


def _of_windows(url: str, version: Path) -> list[str]:
    """The command that opens Windows' browser from WSL; empty on any other machine.

    A browser that the user named goes first. ``cmd.exe /c start`` is not used: it reads a ``&``.
    """
    try:
        wsl = "microsoft" in version.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        wsl = False
    if not wsl or os.environ.get("BROWSER") or (url and not _PLAIN.fullmatch(url)):
        return []
    if wslview := shutil.which("wslview"):
        return [wslview, url]
    powershell = shutil.which("powershell.exe") or (_POWERSHELL.exists() and str(_POWERSHELL))
    words = ("-NoProfile", "-NonInteractive", "-Command", f"Start-Process '{url}'")
    return [powershell, *words] if powershell else []


def open_page(url: str) -> bool:
    """Open ``url`` in the user's browser; False when none could be started.

    In a process of its own: a browser may print, and stdout belongs to our caller's data.
    ``url`` will be seen by ``ps``; it must not hold a token.
    """
    try:
        opened = subprocess.run(  # noqa: S603  our own interpreter
            _of_windows(url, VERSION) or [sys.executable, "-c", _OPEN, url],
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
