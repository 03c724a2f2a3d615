"""Writing the files and folders that come.

Nothing is written through a link, and a file takes its name only when all of it is there and its
checksum is right.
"""

import errno
import hashlib
import os
import stat
import sys
from typing import Any, Dict, Set

from remotenb.far import tree
from remotenb.far.copy_frames import Bytes
from remotenb.far.tree import NO_FOLLOW, Entry, Untrusted


class Incoming:
    """A file that is being written, beside its place until it is whole."""

    def __init__(self, entry: Entry, place: str, offset: int, summed: Any) -> None:
        """Go on at ``offset``, with the checksum of what is before it."""
        self.entry = entry
        self.place = place
        self.part = tree.part_of(place)
        about = tree.look(self.part)
        if about is not None and (not stat.S_ISREG(about.st_mode) or about.st_nlink > 1):
            os.unlink(self.part)  # not ours: what is written must go nowhere else
        self._fd = os.open(self.part, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o600)
        os.ftruncate(self._fd, offset)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._summed = summed if offset else hashlib.sha256()

    def write(self, data: Bytes) -> None:
        """What comes next."""
        self._summed.update(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]

    def finish(self, checksum: str, replace: bool) -> bool:
        """Give it its name, if the checksum is right; False if it is not, and it is gone."""
        right = bool(self._summed.hexdigest() == checksum)
        if not right or (not replace and tree.look(self.place) is not None):
            self.discard()
            if right:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.place)
            return False
        own(self.part)
        mode(self._fd, self.entry.mode)
        self.keep()
        os.utime(self.part, ns=(self.entry.time, self.entry.time))
        os.replace(self.part, self.place)
        return True

    def keep(self) -> None:
        """Stop here; another run may go on."""
        os.close(self._fd)
        self._fd = -1

    def discard(self) -> None:
        """Stop here, and leave nothing."""
        if self._fd >= 0:
            self.keep()
        os.unlink(self.part)


def own(place: str) -> None:
    """What root makes in a folder of a user's is that user's."""
    if sys.platform != "win32" and os.geteuid() == 0:
        about = os.stat(os.path.dirname(place) or ".")
        os.chown(place, about.st_uid, about.st_gid, follow_symlinks=False)


def ensure(folder: str) -> None:
    """Make the folders that are missing on the way to it, and it; raises :class:`OSError`."""
    if not os.path.isdir(folder):
        ensure(os.path.dirname(folder))
        os.mkdir(folder)
        own(folder)


def mode(fd: int, wanted: int) -> None:
    """As over there, but for what this user's umask takes; on Windows there is none."""
    if sys.platform != "win32" and wanted:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(fd, wanted & ~umask)


class Target:
    """The place where a tree goes: what of it is there, and making what is not."""

    def __init__(self, top: str) -> None:
        """``top`` is the place of the entry with the empty path."""
        self.top = top
        self._folders: "Dict[str, Entry]" = {}
        self._names: "Set[str]" = set()
        self._fold = sys.platform in {"win32", "darwin"}

    def place(self, path: str) -> str:
        """Where it goes; raises :class:`Untrusted`."""
        return os.path.join(self.top, *[tree.from_wire(name) for name in tree.parts(path)])

    def expect(self, entry: Entry) -> bool:
        """Take note of an entry; whether it can be here. Raises :class:`Untrusted`.

        The folder of each must have come before, and no name twice.
        """
        names = tree.parts(entry.path)
        if not all(tree.fits(name) for name in names):
            return False
        if names and "/".join(names[:-1]) not in self._folders:
            return False
        key = entry.path.casefold() if self._fold else entry.path
        if key in self._names:
            if self._fold:
                return False
            raise Untrusted(f"the name {entry.path!r} twice")
        self._names.add(key)
        if entry.kind == "folder":
            self._folders[entry.path] = entry
        return True

    def folder(self, entry: Entry) -> None:
        """Make a folder, unless there is one; raises :class:`OSError`."""
        place = self.place(entry.path)
        about = tree.look(place)
        if about is None:
            ensure(os.path.dirname(place))
            os.mkdir(place, entry.mode | 0o700)
            own(place)
        elif not stat.S_ISDIR(about.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "there is something, and no folder", place)

    def link(self, entry: Entry) -> bool:
        """Make a link, if there is nothing and this system lets us; whether there is one now."""
        place = self.place(entry.path)
        try:
            about = tree.look(place)
            if about is not None:
                return stat.S_ISLNK(about.st_mode) and os.readlink(place) == entry.target
            os.symlink(tree.from_wire(entry.target), place)
        except OSError:  # Windows wants a privilege
            return False
        return True

    def settle(self) -> None:
        """Give the folders their times, now that nothing more is written in them."""
        for path, entry in reversed(list(self._folders.items())):
            place = self.place(path)
            try:
                os.utime(place, ns=(entry.time, entry.time))
            except OSError:  # another's folder, or Windows: only its time is lost
                continue
