"""Where an image comes from: the seam that all sources share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.errors import RemotenbError
    from remotenb.transfer.archive import Contents, Layer

BLOCK = 1 << 20
"""Bytes that a source gives at a time, at most."""


class Source(Protocol):
    """An image whose layers can be read from any byte on."""

    @property
    def said(self) -> str:
        """What it is, for people."""

    @property
    def contents(self) -> Contents:
        """The image."""

    def read(self, layer: Layer, offset: int) -> Iterator[bytes]:
        """The bytes of a layer's blob from ``offset`` on, at most :data:`BLOCK` at a time."""

    def mend(self, error: RemotenbError) -> bool:
        """Whether ``error`` was its own, and is mended; raises it if it can't be."""
