"""Bytes under way: cut into ranges, packed, counted. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = 1
"""zlib's level: the others cost more time than they save on any link that is worth the name."""
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
