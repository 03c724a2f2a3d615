"""The end of a copy where the files go."""

import errno
import os
import shutil
import stat
from typing import Any, Callable, Dict, List, Optional, Tuple

from remotenb.far import tree
from remotenb.far.copy_frames import (
    BATCH,
    DATA,
    FAILED,
    FILE,
    NO_MORE,
    TREE,
    WANT,
    WHOLE,
    Wire,
    batches,
    parse,
)
from remotenb.far.incoming import Incoming, Target, ensure
from remotenb.far.tree import Entry, Untrusted

EXAMPLES = 5
ENTRY_LIMIT = 5000000
"""More files than a person copies; the end of what an end may make the other remember."""


class Receiver:
    """The end where the files go."""

    def __init__(self, wire: Wire, top: str) -> None:
        self._wire = wire
        self._top = os.path.realpath(top)  # what was named may be a link; nothing beneath it may
        self._inside = False
        self._entries: "List[Entry]" = []
        self._wanted: "Dict[int, Tuple[int, Any]]" = {}
        self._target = Target(self._top)
        self.failed: "List[Dict[str, Any]]" = []
        """Each a path and why it was not copied."""

    def plan(self, name: str, slash: bool) -> Dict[str, Any]:
        """Hear what there is, and say how much of it is lacking.

        ``name`` is what a folder is put under, or a file that goes into a folder; ``slash``
        says that the place was written as a folder.
        """
        for fields in self._wire.lists(TREE):
            self._hear(fields, name, slash)
        lacking = [(number, self._entries[number].size) for number in self._wanted]
        clashes = [one for one in map(self._clash, self._wanted) if one]
        files = [one for one in self._entries if one.kind == "file"]
        kept = sum(offset for offset, _ in self._wanted.values())
        return {
            "files": len(files),
            "bytes": sum(one.size for one in files),
            "lacking_files": len(lacking),
            "lacking_bytes": sum(size for _, size in lacking),
            "kept_bytes": kept,
            "clashes": len(clashes),
            "examples": clashes[:EXAMPLES],
            "place": tree.to_wire(self._target.top),
            "free": _free(self._target.top),
        }

    def fetch(self, replace: bool, moved: Callable[[int], None]) -> Dict[str, Any]:
        """Ask for what is lacking and write it down; what came of it. Raises :class:`OSError`."""
        self._prepare()
        wants = ([number, *self._want(number)] for number in list(self._wanted))
        for batch in batches(wants):
            self._wire.say(WANT, batch)
        self._wire.say(NO_MORE)
        copied, came = 0, 0
        while True:
            kind, body = self._wire.take()
            if kind == NO_MORE:
                break
            if kind != FILE:
                raise Untrusted(f"frame {kind} where a file begins")
            number, offset = self._begun(parse(body, list))
            size = self._receive(number, offset, replace, moved)
            copied += size is not None
            came += size or 0
        self._links()
        self._target.settle()
        failed = self.failed
        return {"copied": copied, "bytes": came, "failures": len(failed), "failed": failed[:BATCH]}

    def _prepare(self) -> None:
        if self._entries[0].kind == "file":
            folder = os.path.dirname(self._target.top)
            if self._inside:
                ensure(folder)
            elif not os.path.isdir(folder):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        for one in self._entries:
            if one.kind == "folder":
                self._target.folder(one)

    def _hear(self, fields: Any, name: str, slash: bool) -> None:
        entry = _entry(fields)
        if len(self._entries) >= ENTRY_LIMIT:
            raise Untrusted(f"more than {ENTRY_LIMIT} names")
        if not self._entries:
            self._aim(entry, name, slash)
        number = len(self._entries)
        self._entries.append(entry)
        if not self._target.expect(entry):
            self._entries[number] = entry._replace(kind="unfit")
            self._fail(entry.path, "this system cannot have such a name")
        elif entry.kind == "other":
            self._fail(entry.path, "it is no file, or may not be looked into")
        elif entry.kind == "file" and not self._same(entry):
            self._wanted[number] = (self._left(entry), None)

    def _aim(self, top: Entry, name: str, slash: bool) -> None:
        """A folder goes into the place under its name; a file too, if the place is a folder."""
        if top.path or top.kind not in {"file", "folder"}:
            raise Untrusted("a tree without a top")
        self._inside = slash or os.path.isdir(self._top)
        if name and (top.kind == "folder" or self._inside):
            self._target = Target(os.path.join(self._top, *map(tree.from_wire, tree.parts(name))))

    def _same(self, entry: Entry) -> bool:
        about = tree.look(self._target.place(entry.path))
        return (
            about is not None
            and stat.S_ISREG(about.st_mode)
            and about.st_size == entry.size
            and about.st_mtime_ns // 1000 == entry.time // 1000
        )

    def _left(self, entry: Entry) -> int:
        """How much of it an earlier run left."""
        about = tree.look(tree.part_of(self._target.place(entry.path)))
        if about is None or not stat.S_ISREG(about.st_mode):
            return 0
        return min(about.st_size, entry.size)

    def _clash(self, number: int) -> str:
        place = self._target.place(self._entries[number].path)
        return tree.to_wire(place) if tree.look(place) is not None else ""

    def _want(self, number: int) -> Tuple[int, str]:
        offset, _ = self._wanted[number]
        if not offset:
            return 0, ""
        fd = tree.open_file(tree.part_of(self._target.place(self._entries[number].path)))
        try:
            summed, there = tree.digest(fd, offset)
        finally:
            os.close(fd)
        self._wanted[number] = (there, summed)
        return there, summed.hexdigest()

    def _begun(self, facts: List[Any]) -> Tuple[int, int]:
        if len(facts) != 2 or not all(type(one) is int for one in facts):
            raise Untrusted("a file without number and offset")
        number, offset = facts
        if number not in self._wanted or offset not in {0, self._wanted[number][0]}:
            raise Untrusted("a file that was not asked for")
        return number, offset

    def _receive(
        self, number: int, offset: int, replace: bool, moved: Callable[[int], None]
    ) -> Optional[int]:
        """One file, and how many bytes of it came; None if it could not be had."""
        entry, (_, summed) = self._entries[number], self._wanted.pop(number)
        file = Incoming(entry, self._target.place(entry.path), offset, summed)
        moved(offset)
        came = 0
        try:
            while True:
                kind, body = self._wire.take()
                if kind != DATA:
                    break
                file.write(body)
                moved(len(body))
                came += len(body)
        except OSError as error:
            file.discard()
            error.filename = error.filename or file.place
            raise
        except BaseException:  # another run may go on
            file.keep()
            raise
        if kind == WHOLE and file.finish(str(parse(body, str)), replace):
            return came
        if kind == FAILED:
            file.discard()
            self._fail(entry.path, str(parse(body, dict).get("words")))
        elif kind == WHOLE:
            self._fail(entry.path, "it arrived damaged: the checksums differ")
        else:
            raise Untrusted(f"frame {kind} in a file")
        return None

    def _links(self) -> None:
        for entry in self._entries:
            if entry.kind != "link":
                continue
            if tree.leads_out(entry.path, entry.target):
                self._fail(entry.path, "the link leads out of the folder")
            elif not self._target.link(entry):
                self._fail(entry.path, "the link cannot be made here")

    def _fail(self, path: str, why: str) -> None:
        self.failed.append({"path": path, "why": why})


def _entry(fields: Any) -> Entry:
    shapes = (str, str, int, int, int, str)
    if not isinstance(fields, list) or [type(one) for one in fields] != list(shapes):
        raise Untrusted("an entry of another shape")
    entry = Entry(*fields)
    if entry.kind not in {"file", "folder", "link", "other"} or min(fields[2:5]) < 0:
        raise Untrusted("an entry of no kind")
    tree.parts(entry.path)
    return entry._replace(mode=entry.mode & 0o777)


def _free(place: str) -> int:
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    usage = shutil.disk_usage(place)
    return usage.free if usage.total else 1 << 62  # /proc and its like count no blocks
