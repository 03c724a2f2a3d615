"""Where PuTTY and MobaXterm keep what they saved on this laptop."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from remotenb.errors import UsageError
from remotenb.laptop import bookmarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.laptop.bookmarks import Bookmark

FILE_LIMIT = 16 << 20
PUTTY_KEY = r"Software\SimonTatham\PuTTY\Sessions"


def in_file(file: Path) -> list[Bookmark]:
    """What an exported file has; raises :class:`UsageError` where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return bookmarks.from_file(_decoded(stream.read(FILE_LIMIT)))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint="check the path") from None


def on_this_laptop() -> list[Bookmark]:
    """PuTTY's own sessions, and MobaXterm's if it keeps them in one of its usual places."""
    found = list(_in_registry()) if sys.platform == "win32" else list(_in_folders())
    return found + [one for ini in _inis() for one in in_file(ini)]


def _inis() -> list[Path]:
    """MobaXterm.ini: of an installed one, whose documents OneDrive may have; of its first years."""
    home = Path.home()
    places = [home / "Documents", home / "OneDrive" / "Documents"]
    places += [Path(os.environ["APPDATA"])] if "APPDATA" in os.environ else []
    inis = [place / "MobaXterm" / "MobaXterm.ini" for place in places]
    return [ini for ini in inis if ini.is_file()]


def _in_folders() -> Iterator[Bookmark]:
    places = (os.environ.get("XDG_CONFIG_HOME", "~/.config") + "/putty", "~/.putty")
    for place in places:
        for file in sorted((Path(place).expanduser() / "sessions").glob("*")):
            one = bookmarks.from_session(file.name, _decoded(file.read_bytes()[:FILE_LIMIT]))
            if one is not None:
                yield one


def _in_registry() -> Iterator[Bookmark]:
    for name, values in _sessions_in_registry():
        if one := bookmarks.from_putty(unquote(name), values):
            yield one


def _sessions_in_registry() -> Iterator[tuple[str, dict[str, str]]]:
    if sys.platform != "win32":
        yield from ()
    else:
        import winreg  # noqa: PLC0415  only Windows has it

        try:
            sessions = winreg.OpenKey(winreg.HKEY_CURRENT_USER, PUTTY_KEY)
        except OSError:  # no PuTTY
            return
        with sessions:
            for number in range(winreg.QueryInfoKey(sessions)[0]):
                name = winreg.EnumKey(sessions, number)
                with winreg.OpenKey(sessions, name) as session:
                    count = winreg.QueryInfoKey(session)[1]
                    rows = [winreg.EnumValue(session, n) for n in range(count)]
                yield name, {key: str(value) for key, value, _kind in rows}


def _decoded(raw: bytes) -> str:
    """Regedit writes UTF-16, MobaXterm Windows-1252, PuTTY whatever the locale says."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
