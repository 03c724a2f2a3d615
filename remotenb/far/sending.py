"""The end of a copy that has the files."""

import os
from typing import Callable, List

from remotenb.far import tree
from remotenb.far.copy_frames import (
    DATA,
    FAILED,
    FILE,
    NO_MORE,
    TREE,
    WANT,
    WHOLE,
    Wire,
    batches,
    trouble,
)
from remotenb.far.tree import BLOCK, Entry


class Sender:
    """The end that has the files."""

    def __init__(self, wire: Wire, top: str) -> None:
        self._wire = wire
        self._top = top
        self.entries: "List[Entry]" = []

    def tell(self) -> None:
        """Say what there is; raises :class:`OSError`."""
        for batch in batches(tree.walk(self._top)):
            self.entries += batch
            self._wire.say(TREE, batch)
        self._wire.say(NO_MORE)

    def send(self, moved: Callable[[int], None], check: Callable[[], None]) -> None:
        """Send what is wanted; ``moved`` hears of each block, ``check`` may raise between two."""
        for number, offset, checksum in list(self._wire.lists(WANT)):
            try:
                fd = tree.open_file(self._place(self.entries[number]))
            except OSError as error:
                self._wire.say(FILE, [number, 0], more=True)
                self._wire.say(FAILED, trouble(error), more=True)
                continue
            try:
                self._file(fd, number, offset, checksum, moved, check)
            finally:
                os.close(fd)
        self._wire.say(NO_MORE)

    def _file(  # noqa: PLR0913, PLR0917
        self,
        fd: int,
        number: int,
        offset: int,
        checksum: str,
        moved: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        summed, there = tree.digest(fd, offset)
        if there != offset or (offset and summed.hexdigest() != checksum):
            os.lseek(fd, 0, os.SEEK_SET)
            summed, offset = tree.digest(fd, 0)[0], 0
        self._wire.say(FILE, [number, offset], more=True)
        moved(offset)
        while True:
            try:
                data = os.read(fd, BLOCK)
            except OSError as error:
                self._wire.say(FAILED, trouble(error), more=True)
                return
            if not data:
                break
            summed.update(data)
            self._wire.put(DATA, data, more=True)
            moved(len(data))
            check()
        self._wire.say(WHOLE, summed.hexdigest(), more=True)

    def _place(self, entry: Entry) -> str:
        return os.path.join(self._top, tree.from_wire(entry.path)) if entry.path else self._top
