"""An image archive on the laptop: one that is there, or one that the laptop's engine writes."""

from __future__ import annotations

import errno
import gzip
import hashlib
import shutil
import subprocess
import tempfile
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from remotenb.errors import ArchiveUnusable, ImageMissing, LaptopRefused
from remotenb.text import one_line
from remotenb.transfer.index import Index
from remotenb.transfer.source import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.errors import RemotenbError
    from remotenb.transfer.archive import Contents, Layer

ASK_TIMEOUT_S = 20.0
"""For a laptop's engine that may have to start first."""
SAVE_TIMEOUT_S = 3600.0
_ENGINES = ("docker", "podman")


class FileSource:
    """An image of an archive that lies on the laptop."""

    def __init__(self, stream: IO[bytes], index: Index, wanted: str, said: str) -> None:
        self.said = said
        self.contents: Contents = index.contents(wanted)
        self._stream = stream
        self._index = index

    def read(self, layer: Layer, offset: int) -> Iterator[bytes]:
        """See :class:`remotenb.transfer.source.Source`."""
        extent = self._index.extent(layer)
        while offset < extent.size:
            self._stream.seek(extent.begin + offset)
            block = self._stream.read(min(BLOCK, extent.size - offset))
            if not block:
                raise ArchiveUnusable(f"{self.said} has become shorter", hint="save it again")
            offset += len(block)
            yield block

    def mend(self, error: RemotenbError) -> bool:  # noqa: ARG002  Source's signature
        """A file does not break."""
        return False


@contextmanager
def opened(file: Path) -> Iterator[tuple[IO[bytes], Index]]:
    """An archive and what is in it; one that is compressed is unpacked beside the temporary files.

    Raises :class:`ArchiveUnusable` and :class:`LaptopRefused`.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(file.open("rb"))
            archive = stack.enter_context(_seekable(stream))
            size = archive.seek(0, 2)
            archive.seek(0)
            index = Index(archive, size, file.name)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            hint = "save it again"
            raise ArchiveUnusable(f"{file.name} is damaged: {error}", hint=hint) from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _no_room(f"to unpack {file.name}") from None
            why = one_line(error.strerror or str(error))
            raise LaptopRefused(f"cannot read {file}: {why}", hint="check the path") from None
        yield archive, index


@contextmanager
def _seekable(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    if not packed:
        yield stream
        return
    with tempfile.TemporaryFile() as whole:
        with gzip.open(stream) as unpacked:
            shutil.copyfileobj(unpacked, whole, BLOCK)
        yield whole


def engine_with(ref: str) -> tuple[str, ...] | None:
    """The command of a laptop's engine that has this image; None when there is none."""
    for name in _ENGINES:
        command = shutil.which(name)
        if command and _asked([command, "image", "inspect", ref]):
            return (command,)
    return None


def _asked(argv: list[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  the user's own engine
            argv, check=False, capture_output=True, timeout=ASK_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@contextmanager
def saved(engine: tuple[str, ...], ref: str) -> Iterator[Path]:
    """The archive that a laptop's engine writes of an image; it goes with the context."""
    with tempfile.TemporaryDirectory(prefix="remotenb-") as folder:
        file = Path(folder) / "image.tar"
        try:
            done = subprocess.run(  # noqa: S603  see _asked
                [*engine, "save", "-o", str(file), ref],
                check=False,
                capture_output=True,
                timeout=SAVE_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LaptopRefused(f"{engine[0]} save failed: {one_line(str(error))}") from None
        if done.returncode and b"no space left" in done.stderr.lower():
            raise _no_room(f"to save {ref}")
        if done.returncode:
            raise ImageMissing(
                f"this laptop's engine: {one_line(done.stderr)}", hint="docker images shows them"
            )
        yield file


def _no_room(what: str) -> LaptopRefused:
    return LaptopRefused(
        f"there is no room in {tempfile.gettempdir()} of this laptop {what}",
        hint="make room there, or name a folder of another disk with TMPDIR; nothing was sent",
    )


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
