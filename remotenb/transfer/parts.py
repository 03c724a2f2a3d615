"""What of an image is where: on the machine, in parts beside it, still to be sent. Pure.

A layer arrives in parts, each a file of its own whose name tells where it begins. What a writer
whose connection broke may still add to its part lies beyond the beginning of the next one, and
does not count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remotenb.transfer.archive import Layer

_PART = re.compile(r"([0-9a-f]{20})\.([0-9]{6})\.([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Piece:
    """The first ``count`` bytes of a file."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is there of one layer."""

    pieces: tuple[Piece, ...] = ()
    following: int = 0
    """The number of the next part."""

    @property
    def size(self) -> int:
        """Bytes from the beginning of the layer."""
        return sum(piece.count for piece in self.pieces)


def part_name(layer: Layer, number: int, begin: int) -> str:
    """The name of the file with the part of that number, which begins at that byte."""
    return f"{layer.key}.{number:06}.{begin}"


def arrived(files: Iterable[tuple[str, int]], layer: Layer) -> Arrived:
    """What of ``layer`` is in ``files``, names and sizes."""
    found = [(match, size) for name, size in files if (match := _PART.fullmatch(name))]
    mine = sorted((int(m[2]), int(m[3]), m[0], size) for m, size in found if m[1] == layer.key)
    pieces: list[Piece] = []
    for _, begin, name, size in mine:
        if begin <= sum(piece.count for piece in pieces):
            pieces = [*_cut(pieces, begin), Piece(name, size)]
    following = mine[-1][0] + 1 if mine else 0
    return Arrived(tuple(_cut(pieces, layer.size)), following)


def _cut(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    """As much of ``pieces`` as makes ``size`` bytes."""
    for piece in pieces:
        count = min(piece.count, size)
        size -= count
        if count:
            yield Piece(piece.name, count)


def held(images: Iterable[Sequence[str]], wanted: Sequence[str]) -> int:
    """How many of the lowest layers of ``wanted`` some image has: with the same ones below."""
    return max((_common(image, wanted) for image in images), default=0)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def batches(layers: Sequence[Layer], least: int) -> list[list[Layer]]:
    """``layers`` in groups of at least ``least`` bytes, the last one of what is left.

    There is always one: with no layer missing, the image itself may be.
    """
    groups: list[list[Layer]] = [[]]
    for layer in layers:
        if sum(one.size for one in groups[-1]) >= least:
            groups.append([])
        groups[-1].append(layer)
    return groups
