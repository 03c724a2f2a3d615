"""Bytes under way: cut into ranges, packed, counted. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FAST = 1
"""zlib's level: the others cost more time than they save on any link that is worth the name."""
FIRST_RANGE, RANGE = 16 << 20, 64 << 20
"""Bytes of a part: the first ones are smaller, to measure, and yet outweigh a command's start."""
HEAD_START = 4 << 20
"""Bytes that are under way before the other end has begun: what they took tells nothing."""
WORTH_PACKING = 70e6
"""Bytes a second; on a faster link gzip costs more time than it saves."""
GZIP = 31
"""zlib's way to say: with gzip's header, and the largest window."""


class Shown(Protocol):
    """Whoever shows how far it is."""

    def begin(self, done: int, total: int) -> None:
        """So many bytes of so many are there; may come again, with other numbers."""

    def moved(self, count: int) -> None:
        """So many more."""

    def end(self) -> None:
        """Nothing moves any more, for now."""


class Pace:
    """Whether packing pays: on this link, between these two machines, as busy as they are."""

    def __init__(self) -> None:
        self._rates: dict[bool, float] = {}
        """Bytes of layers a second, with packing and without, as last measured."""

    @property
    def packs(self) -> bool:
        """Whether the next part is to be packed: on a slow link it is tried, then compared."""
        plain = self._rates.get(False, WORTH_PACKING)
        return plain < WORTH_PACKING and self._rates.get(True, WORTH_PACKING) > plain

    def range(self, *, packable: bool) -> int:
        """How many bytes the next part has."""
        mode = packable and self.packs
        return RANGE if mode in self._rates else FIRST_RANGE

    def took(self, blocks: Iterable[tuple[float, int]], *, packed: bool) -> None:
        """Blocks of a part were taken at these times (s) and had so many bytes."""
        ahead, counted = 0, list[tuple[float, int]]()
        for when, size in blocks:
            if ahead >= HEAD_START:
                counted.append((when, size))
            ahead += size
        if len(counted) > 1:
            count = sum(size for _, size in counted[:-1])
            self._rates[packed] = count / max(counted[-1][0] - counted[0][0], 1e-3)


class Ranges:
    """A stream of blocks, given out in ranges of so many bytes each."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def take(self, size: int, seen: Callable[[bytes], object]) -> Iterator[bytes]:
        """The next ``size`` bytes; ``seen`` is called with each block before it is given."""
        while size > 0 and (block := self._rest or next(self._blocks, b"")):
            block, self._rest = block[:size], block[size:]
            size -= len(block)
            seen(block)
            yield block


def packed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """``blocks`` as gzip has them."""
    packer = zlib.compressobj(FAST, zlib.DEFLATED, GZIP)
    for block in blocks:
        if data := packer.compress(block):
            yield data
    yield packer.flush()
