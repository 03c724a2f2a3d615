"""An image into a file of the laptop, which is the same bytes whenever and wherever it is made.

So a file that was cut off is gone on with. Each layer is held against its digest; a file that is
not whole has the ending ``.part``, and nothing in it is ever unpacked here.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from remotenb.errors import LaptopRefused, LayerDamaged, LinkError
from remotenb.transfer.archive import Layer, written
from remotenb.transfer.source import BLOCK

if TYPE_CHECKING:
    from remotenb.transfer.blocks import Shown
    from remotenb.transfer.source import Source


def save(source: Source, file: Path, ref: str, shown: Shown) -> str:
    """Write ``file`` and its digest beside it; the digest, in hex. A file there is replaced.

    Raises a :class:`RemotenbError`; what has come by then stays for the next time.
    """
    part = file.with_name(file.name + ".part")
    try:
        with part.open("a+b") as stream:
            digest = _Writer(source, stream, ref, shown).run()
        beside = file.with_name(file.name + ".sha256")
        beside.write_text(f"{digest}  {file.name}\n", encoding="utf-8")
        part.replace(file)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LaptopRefused(
                f"the disk of {file} is full",
                hint="make room there: the same command goes on where this one stopped",
            ) from None
        why = (error.strerror or str(error)).lower()
        hint = "name another folder: there is nothing of it yet"
        raise LaptopRefused(f"cannot write {file}: {why}", hint=hint) from None
    return digest


class _Writer:
    def __init__(self, source: Source, stream: IO[bytes], ref: str, shown: Shown) -> None:
        self._source = source
        self._stream = stream
        self._ref = ref
        self._shown = shown
        self._digest = hashlib.sha256()
        self._at = 0
        """Up to here the file is right."""

    def run(self) -> str:
        contents = self._source.contents
        self._begin()
        for part in written(contents.config, self._ref, contents.layers):
            if isinstance(part, Layer):
                self._layer(part)
            else:
                self._bytes(part)
        self._stream.truncate(self._at)
        self._shown.end()
        return self._digest.hexdigest()

    def _begin(self) -> None:
        there = self._stream.seek(0, 2)
        self._shown.begin(min(there, self._source.contents.size), self._source.contents.size)

    def _bytes(self, part: bytes) -> None:
        self._stream.seek(self._at)
        if self._stream.read(len(part)) != part:
            self._stream.truncate(self._at)
            self._stream.write(part)
        self._digest.update(part)
        self._at += len(part)

    def _layer(self, layer: Layer) -> None:
        begin, whole, digest = self._at, self._digest.copy(), hashlib.sha256()
        self._stream.seek(begin)
        while left := layer.size - (self._at - begin):
            block = self._stream.read(min(BLOCK, left))
            if not block:
                break
            self._took(block, digest)
        while self._at - begin < layer.size:
            self._fetch(layer, self._at - begin, digest)
        if layer.digest not in {"", f"sha256:{digest.hexdigest()}"}:
            self._stream.truncate(begin)
            self._at, self._digest = begin, whole
            raise LayerDamaged(
                f"layer {layer.number + 1} of {self._ref} is damaged: it has not what its digest "
                "says",
                hint=f"try again; if it stays so, {self._source.said} has it so",
            )

    def _fetch(self, layer: Layer, offset: int, digest: hashlib._Hash) -> None:
        """The rest of a layer, as far as the link holds."""
        try:
            for block in self._source.read(layer, offset):
                self._stream.write(block)
                self._took(block, digest)
                self._shown.moved(len(block))
        except LinkError as error:
            self._shown.end()
            if not self._source.mend(error):
                raise
            self._begin()

    def _took(self, block: bytes, digest: hashlib._Hash) -> None:
        self._digest.update(block)
        digest.update(block)
        self._at += len(block)
