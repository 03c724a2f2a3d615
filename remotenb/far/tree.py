"""Files and folders as they are copied, on either end: what is there, and what it may be called.

What comes from the other end is believed in nothing: a name leads nowhere but down.
"""

import errno
import hashlib
import os
import re
import stat
import sys
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

BLOCK = 1 << 18
PART = ".remotenb-part"
NAME_LIMIT = 255
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""A FIFO must not hold us up."""

WINDOWS = sys.platform == "win32"
_RESERVED = re.compile(
    "(con|prn|aux|nul|conin\\$|conout\\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])"
    "( *\\..*)?$",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile('[\\x00-\\x1f<>:"/\\\\|?*]|[ .]$')


class Untrusted(Exception):
    """The other end sent what no tree of files has."""


class Entry(NamedTuple):
    """A file, folder or link, by its path from the top; the top itself has an empty one."""

    path: str
    """Its names joined with ``/``; bytes that are no UTF-8 are escaped as Python does."""
    kind: str
    """``file``, ``folder``, ``link``, or ``other`` for what is not copied."""
    size: int = 0
    time: int = 0
    """Of the last change, ns since 1970."""
    mode: int = 0
    target: str = ""
    """Of a link."""


def to_wire(name: str) -> str:
    """A name of this machine, the same on every machine."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def from_wire(name: str) -> str:
    """The name as this machine has it; raises :class:`ValueError` where it cannot."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


def walk(top: str) -> Iterator[Entry]:
    """The tree at ``top``, folders before what is in them; raises :class:`OSError`.

    ``top`` itself may be a link; no other is followed. What cannot be looked into is ``other``.
    """
    about = os.stat(top)
    if stat.S_ISREG(about.st_mode):
        yield _entry("", about, top)
        return
    if not stat.S_ISDIR(about.st_mode):
        raise OSError(errno.EINVAL, "it is no file and no folder", top)
    waiting = [("", about)]
    while waiting:
        path, about = waiting.pop()
        try:
            inside = _inside(top, path)
        except OSError:
            if not path:
                raise
            yield Entry(path, "other")
            continue
        yield _entry(path, about, "")
        yield from (one for one, _ in inside if one.kind != "folder")
        waiting += [(one.path, state) for one, state in reversed(inside) if one.kind == "folder"]


def _inside(top: str, path: str) -> List[Tuple[Entry, os.stat_result]]:
    found = []
    for name in sorted(os.listdir(os.path.join(top, from_wire(path))), key=os.fsencode):
        below = f"{path}/{to_wire(name)}" if path else to_wire(name)
        place = os.path.join(top, from_wire(below))
        try:
            about = os.lstat(place)
            entry = _entry(below, about, place)
        except FileNotFoundError:  # it went while we looked
            continue
        if entry.kind != "file" or not name.endswith(PART):
            found.append((entry, about))
    return found


def _entry(path: str, about: os.stat_result, place: str) -> Entry:
    mode, target, size = about.st_mode, "", 0
    kind = "folder" if stat.S_ISDIR(mode) else "other"
    if stat.S_ISREG(mode):
        kind, size = "file", about.st_size
    elif stat.S_ISLNK(mode):
        kind, target = "link", to_wire(os.readlink(place)).replace(os.sep, "/")
    return Entry(path, kind, size, about.st_mtime_ns, mode & 0o777, target)


def parts(path: str) -> List[str]:
    """The names of a path that came from the other end; raises :class:`Untrusted`."""
    names = path.split("/") if path else []
    if any(name in {"", ".", ".."} or "\0" in name for name in names):
        raise Untrusted(f"the name {path!r}")
    return names


def fits(name: str, windows: bool = WINDOWS) -> bool:
    """Whether a file can have this name here; Windows has devices and streams among its names."""
    if windows and (_FORBIDDEN.search(name) or _RESERVED.match(name)):
        return False
    try:
        return len(os.fsencode(from_wire(name))) <= NAME_LIMIT
    except ValueError:
        return False


def leads_out(path: str, target: str) -> bool:
    """Whether a link at ``path`` with this target leaves the tree."""
    if not target or target.startswith("/") or any(sign in target for sign in "\\:\0"):
        return True
    names = target.split("/")
    up = 0
    while names[up : up + 1] == [".."]:
        up += 1
    # behind another name it would go up from wherever a link of that name leads
    return up > path.count("/") or ".." in names[up:]


def part_of(place: str) -> str:
    """Where a file waits until it is whole; the same for the same file, so that it can go on."""
    folder, name = os.path.split(place)
    kept = name
    if len(os.fsencode(name)) + len(PART) >= NAME_LIMIT:
        kept = hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.join(folder, "." + kept + PART)


def look(place: str) -> Optional[os.stat_result]:
    """What is there, links not followed; None for nothing."""
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_file(place: str) -> int:
    """A regular file to be read, and nothing that only has taken its name; :class:`OSError`."""
    fd = os.open(place, os.O_RDONLY | NO_FOLLOW | NO_WAIT)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no file any more", place)
    return fd


def digest(fd: int, length: int) -> Tuple[Any, int]:
    """The checksum of the next ``length`` bytes, going on from there, and how many there were."""
    summed, done = hashlib.sha256(), 0
    while done < length:
        data = os.read(fd, min(BLOCK, length - done))
        if not data:
            break
        summed.update(data)
        done += len(data)
    return summed, done
