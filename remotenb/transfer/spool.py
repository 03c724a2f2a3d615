"""An image of another machine's, written there to a file that can be read at any place.

Nothing of it is kept on the laptop, and nothing of what that machine sends is unpacked here.
"""

from __future__ import annotations

import io
import secrets
import shlex
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.errors import DiskFull, ImageMissing, LinkError, LinkLost, ScriptFailed
from remotenb.execute import Execution
from remotenb.ssh.failures import reported
from remotenb.ssh.process import STALL_S
from remotenb.transfer.index import SMALL_FILE, Index
from remotenb.transfer.source import BLOCK
from remotenb.transfer.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from remotenb.errors import RemotenbError
    from remotenb.lasting import Lasting
    from remotenb.machine import Machine
    from remotenb.transfer.archive import Contents, Layer

SAVE_TIMEOUT_S = 3600.0
PAGE = 1 << 16
"""Bytes; dd reads whole ones."""

_READ = """printf '%s\\n' "$MARKER"; exec dd if="$1" bs="$2" skip="$3" count="$4" 2>/dev/null"""


class Spooled:
    """An image that another machine's engine has; a context manager that removes the file."""

    def __init__(self, origin: Lasting, ref: str) -> None:
        """Raises a :class:`RemotenbError`, as when it has no such image."""
        self._origin = origin
        self._ref = ref
        self.said = origin.machine.host.name
        self._folder = ""
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        self.contents: Contents = self._index.contents(ref)

    def read(self, layer: Layer, offset: int) -> Iterator[bytes]:
        """See :class:`remotenb.transfer.source.Source`."""
        extent = self._index.extent(layer)
        begin, size = extent.begin + offset, extent.size - offset
        yield from _bytes(self._origin.machine, self._file, begin, size)

    def mend(self, error: RemotenbError) -> bool:
        """See :class:`remotenb.transfer.source.Source`."""
        if self._origin.alive:
            return False
        self._origin.mend(error)
        self._write()
        return True

    def _begin(self) -> None:
        while True:
            try:
                return self._write()
            except LinkError as error:
                self._origin.mend(error)

    def _write(self) -> None:
        """Let the engine write the image, unless it has; then see what is in it."""
        machine = self._origin.machine
        machine = machine.asking(machine.image(self._ref))
        store = Store(machine)
        image = store.find(self._ref)
        if image is None:
            raise ImageMissing(
                f"{self._ref} is not on {store.host}", hint=f"remotenb images {store.host}"
            )
        need = int(machine.run("image", "inspect", "-f", "{{.Size}}", image.id).strip() or 0)
        folder = store.folder(f"save-{image.id[7:23]}", need)
        if folder.free + sum(size for _, size in folder.files) < need:
            raise DiskFull(
                f"{store.host} has {folder.free >> 20} MiB free in {folder.path}, "
                f"and to save {self._ref} takes {need >> 20} MiB",
                hint="make room there",
            )
        self._folder = folder.path
        with machine.report.step(f"{store.host} saves {self._ref}"):
            done = machine.link.script(
                far.source("transfer_save.sh"),
                timeout=SAVE_TIMEOUT_S,
                FOLDER=folder.path,
                ENGINE=shlex.join(machine.engine),
                REF=self._ref,
            )
        if done.code != 0:
            raise machine.complaint(done.err.decode("utf-8", "replace"))
        size = int(done.out) if done.out.strip().isdigit() else 0
        stream = io.BufferedReader(_Pages(machine, self._file, size), PAGE)
        self._index = Index(stream, size, f"what {store.host} saved")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._folder and self._origin.alive:
            Store(self._origin.machine).remove(self._folder)

    @property
    def _file(self) -> str:
        return f"{self._folder}/image.tar"


class _Pages(io.RawIOBase):
    """A file of another machine, read a little at a time."""

    def __init__(self, machine: Machine, file: str, size: int) -> None:
        self._machine = machine
        self._file = file
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(len(buffer), max(self._size - self._at, 0))
        if size > SMALL_FILE:
            raise ScriptFailed("that machine's archive makes no sense", hint="-vv shows more")
        got = b"".join(_bytes(self._machine, self._file, self._at, size)) if size else b""
        buffer[: len(got)] = got
        self._at += len(got)
        return len(got)


def _bytes(machine: Machine, file: str, begin: int, size: int) -> Iterator[bytes]:
    """``size`` bytes of a file over there; raises :class:`LinkLost` when fewer come."""
    skip, ahead = divmod(begin, PAGE)
    count = -(-(ahead + size) // PAGE)
    marker = f"remotenb-{secrets.token_hex(12)}"
    argv = (file, str(PAGE), str(skip), str(count))
    link = machine.link
    channel = link.begin(_READ, argv, {"MARKER": marker}, term="", size=(80, 24))
    try:
        with reported(link.host):
            run = Execution(channel, machine, marker.encode())
            channel.settimeout(STALL_S)
            block = run.first or channel.recv(BLOCK)
        while block and size:
            ahead, block = max(ahead - len(block), 0), block[ahead : ahead + size]
            size -= len(block)
            if block:
                yield block
            with reported(link.host):
                block = channel.recv(BLOCK) if size else b""
        # an exit code alone says little: sshd may send it before the last of the output
        ended = size and channel.eof_received
    finally:
        channel.close()
    if ended:
        raise ScriptFailed(
            f"a file of {link.host.name} became shorter while it was read",
            hint="did somebody clean up there? Try again",
        )
    if size:
        raise LinkLost(f"the connection to {link.host.name} broke", hint="the same command goes on")
