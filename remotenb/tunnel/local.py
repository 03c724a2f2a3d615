"""One connection on the laptop: a browser's socket, and the stream that it is at the far end of."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from remotenb.far.poll import READ, WRITE
from remotenb.tunnel.outage import is_request, is_upgrade

if TYPE_CHECKING:
    from remotenb.far.mux import Mux
    from remotenb.far.poll import Ready

CHUNK = 64 << 10


class Local:
    """A socket of the loop's; ``number`` is its stream, 0 before its first bytes."""

    def __init__(self, sock: socket.socket, target: bytes) -> None:
        sock.setblocking(False)  # noqa: FBT003  socket's own
        self.sock = sock
        self.target = target
        self.number = 0
        self.ready: Ready | None = None
        self.held_since: float | None = None
        """When it began to wait for a link, of which its server knows nothing yet."""
        self.old = False
        """It, or its page, was there before the outage: it stays."""
        self.request = b""
        """What it asked for last, if that is no websocket."""
        self._out = bytearray()
        self._ended = self._shut = False
        self._answered = True
        """The last bytes went to the browser: what comes next begins a request."""
        self.finished = False
        """The browser sends nothing more."""

    def mask(self, mux: Mux) -> int:
        """What to wait for."""
        room = not self.number or mux.room(self.number) > 0
        waits = bool(self._out) or (self._ended and not self._shut)
        return (READ if room and not self.finished else 0) | (WRITE if waits else 0)

    def read(self, mux: Mux) -> bytes | None:
        """What the browser sent; None when the connection is dead, nothing at its end."""
        room = mux.room(self.number) if self.number else CHUNK
        try:
            return self.sock.recv(max(1, min(CHUNK, room)))
        except OSError:
            return None

    def begins_anew(self, data: bytes) -> bool:
        """Whether ``data`` is a new request on a connection that was idle."""
        return self._answered and is_request(data)

    def sent(self, data: bytes) -> None:
        """The browser's ``data`` was passed on."""
        if self._answered:
            self.request = data if is_request(data) and not is_upgrade(data) else b""
        self._answered = False

    def give(self, data: bytes) -> None:
        """Bytes for the browser."""
        self._out += data
        self._answered = True

    def end(self) -> None:
        """The server sends nothing more."""
        self._ended = True

    def write(self) -> int | None:
        """Send what the browser takes; the number of bytes, None when the connection is dead."""
        sent = 0
        try:
            if self._out:
                sent = self.sock.send(self._out)
                del self._out[:sent]
            if self._ended and not self._out and not self._shut:
                self._shut = True
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            return None
        return sent

    @property
    def waits(self) -> bool:
        """It holds one of the browser's few connections, and no answer came yet."""
        return bool(self.request) and not self._answered

    @property
    def over(self) -> bool:
        """Both directions have ended."""
        return self._shut and self.finished

    def abort(self) -> None:
        """Close it so that the browser cannot take what it has for the whole."""
        linger = struct.pack("hh" if hasattr(socket, "SO_EXCLUSIVEADDRUSE") else "ii", 1, 0)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except OSError:
            pass
        self.sock.close()
