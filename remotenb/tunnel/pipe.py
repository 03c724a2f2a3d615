"""One SSH channel as the relay's link: bytes out by a thread of its own, bytes in without one.

A channel's ``send`` waits while the network is silent, and that must stop nobody else.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from paramiko import Channel, SSHException

from remotenb.ssh.buffers import end

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_GONE = (OSError, SSHException, EOFError)
"""What a channel's calls raise when its link is gone."""

CHUNK = 256 << 10
NOISE_LIMIT = 1 << 20
OUT_BYTES = 128 << 10
"""What may wait for the writer: enough to keep it busy, and no more, for it is all in front."""


class ByteChannel(Protocol):
    """What a link needs of paramiko's channel."""

    @property
    def closed(self) -> bool: ...  # noqa: D102  paramiko's own, here and below
    @property
    def eof_received(self) -> int: ...  # noqa: D102
    def fileno(self) -> int: ...  # noqa: D102
    def recv(self, nbytes: int) -> bytes: ...  # noqa: D102
    def recv_ready(self) -> bool: ...  # noqa: D102
    def recv_stderr(self, nbytes: int) -> bytes: ...  # noqa: D102
    def recv_stderr_ready(self) -> bool: ...  # noqa: D102
    def sendall(self, s: bytes) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Pipe:
    """A link of the moment; what comes before ``marker`` is a login shell's chatter."""

    def __init__(self, channel: ByteChannel, marker: bytes, wake: Callable[[], None]) -> None:
        self._channel = channel
        self._marker: bytes | None = b"\n" + marker + b"\n"
        self._noise = bytearray()
        self._wake = wake
        self._out = bytearray()
        self._turn = threading.Condition()
        self._closed = False
        self.complaint = bytearray()
        """The last of what came on stderr."""
        self.failed = ""
        """Why nothing can be sent any more."""
        threading.Thread(target=self._write, name="link writer", daemon=True).start()

    def fileno(self) -> int:
        """Becomes readable when something came."""
        return self._channel.fileno()

    def read(self) -> bytes | None:
        """What came, which may be nothing for us; None at the end."""
        while self._channel.recv_stderr_ready():
            self.complaint += self._channel.recv_stderr(4096)
            del self.complaint[:-4096]
        if not self._channel.recv_ready():
            return None if self._channel.eof_received or self._channel.closed else b""
        data = self._channel.recv(CHUNK)
        if not data:
            return None
        return data if self._marker is None else self._behind_marker(data)

    def _behind_marker(self, data: bytes) -> bytes | None:
        assert self._marker is not None  # noqa: S101  the caller has looked
        self._noise += data
        _, found, rest = bytes(self._noise).partition(self._marker)
        if found:
            self._marker = None
            self._noise.clear()
            return rest
        return b"" if len(self._noise) < NOISE_LIMIT else None

    @property
    def room(self) -> int:
        """Bytes that may be put here now."""
        return OUT_BYTES - len(self._out)

    def put(self, data: bytes) -> None:
        """Have ``data`` sent."""
        with self._turn:
            self._out += data
            self._turn.notify()

    def flush(self, seconds: float) -> None:
        """Wait until all is sent, at most so long."""
        with self._turn:
            self._turn.wait_for(lambda: not self._out or bool(self.failed), seconds)

    def _write(self) -> None:
        while True:
            with self._turn:
                while not self._out and not self._closed:
                    self._turn.wait()
                if self._closed:
                    return
                data = bytes(self._out)
            try:
                self._channel.sendall(data)
            except _GONE as error:
                self.failed = str(error) or type(error).__name__
                self._wake()
                return
            with self._turn:
                del self._out[: len(data)]
                self._turn.notify_all()
            self._wake()

    def close(self) -> None:
        """Let it go, without waiting for the network."""
        with self._turn:
            self._closed = True
            self._turn.notify()
        threading.Thread(target=self._end, name="link end", daemon=True).start()

    def _end(self) -> None:
        with suppress(*_GONE):
            if isinstance(self._channel, Channel):
                end(self._channel)
            else:
                self._channel.close()
