"""Where things lie in an image archive that can be read at any place. Nothing is unpacked."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from remotenb.errors import ArchiveUnusable
from remotenb.transfer import layout
from remotenb.transfer.archive import Contents, Entry, Layer, chosen, diff_ids, entries

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL_FILE = 16 << 20
"""Bytes; the manifest and a configuration are much smaller."""

FILES_LIMIT = 20_000
"""An image has a few hundred."""

_BLOBS = "blobs/sha256/"
_MAGICS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
"""gzip, zstd, bzip2, xz."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a file's bytes are."""

    begin: int
    size: int


class Index:
    """The files of an archive, and the images that they make."""

    def __init__(self, stream: IO[bytes], size: int, said: str) -> None:
        """Read the headers; raises :class:`ArchiveUnusable`, which calls the archive ``said``."""
        self._stream = stream
        self._said = said
        self._files = self._walk(size)
        self.images: tuple[Entry, ...] = self._images()

    def contents(self, wanted: str) -> Contents:
        """The image of that name, or the only one; raises :class:`ArchiveUnusable`."""
        entry = chosen(self.images, wanted, self._said)
        config = self._small(entry.config)
        ids = diff_ids(config)
        if len(ids) != len(entry.layers):
            raise self._broken("it names other layers than its image has")
        names = zip(range(len(ids)), ids, entry.layers, strict=True)
        layers = (self._layer(number, diff_id, name) for number, diff_id, name in names)
        ref = wanted or next(iter(entry.refs), "")
        return Contents(ref, config, tuple(layers))

    def extent(self, layer: Layer) -> Extent:
        """Where the blob of a layer lies."""
        return self._files[layer.place]

    def _images(self) -> tuple[Entry, ...]:
        if "manifest.json" in self._files:
            return entries(self._small("manifest.json"))
        if layout.INDEX in self._files:
            return layout.entries(self._small(layout.INDEX), self._small, self._files)
        raise ArchiveUnusable(
            f"{self._said} is no image archive: there is no manifest.json and no index.json in it",
            hint="docker save NAME:TAG writes one; docker export does not",
        )

    def _walk(self, size: int) -> Mapping[str, Extent]:
        files: dict[str, Extent] = {}
        links: dict[str, str] = {}
        try:
            with tarfile.open(fileobj=self._stream, mode="r:") as tar:
                for member in tar:
                    if member.issym():  # older dockers write a layer once, and link to it
                        target = PurePosixPath(member.name).parent / member.linkname
                        links[member.name] = _normal(target)
                    if len(files) > FILES_LIMIT:
                        raise self._broken("it has no end")
                    if member.isreg():
                        files[member.name] = Extent(member.offset_data, member.size)
                    if member.offset_data + member.size > size:
                        raise self._broken("it ends in the middle of a file: it was cut off")
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            at_all = "it is no tar" if not files else "it ends too early, or is damaged"
            raise self._broken(at_all) from error
        return files | {name: files[target] for name, target in links.items() if target in files}

    def _layer(self, number: int, diff_id: str, name: str) -> Layer:
        extent = self._extent(name)
        self._stream.seek(extent.begin)
        compressed = self._stream.read(8).startswith(_MAGICS)
        digest = "" if compressed else diff_id
        if name.startswith(_BLOBS):
            digest = f"sha256:{name.removeprefix(_BLOBS)}"
        return Layer(number, diff_id, extent.size, digest, name)

    def _small(self, name: str) -> bytes:
        extent = self._extent(name)
        if extent.size > SMALL_FILE:
            raise self._broken(f"its {name} is too big to be true")
        self._stream.seek(extent.begin)
        content = self._stream.read(extent.size)
        named = name.removeprefix(_BLOBS)
        if named != name and hashlib.sha256(content).hexdigest() != named:
            raise self._broken(f"{name} is not what its name says")
        return content

    def _extent(self, name: str) -> Extent:
        if name not in self._files:
            raise self._broken(f"{name} is missing in it")
        return self._files[name]

    def _broken(self, why: str) -> ArchiveUnusable:
        return ArchiveUnusable(f"{self._said} is no image archive: {why}", hint="save it again")


def _normal(path: PurePosixPath) -> str:
    """``path`` without ``..``."""
    kept: list[str] = []
    for part in path.parts:
        if part == "..":
            kept = kept[:-1]
        else:
            kept.append(part)
    return "/".join(kept)
