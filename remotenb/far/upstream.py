"""One connection of the relay's to the server. Python 3.6.

Plain HTTP is read as far as the laptop gives credit: a paused download must cost nobody
memory. A websocket is read in any case, for a server that cannot write its output holds it in
memory, or drops it: into memory first, then onto disk, then no more.
"""

import errno
import os
import socket
import sys
from typing import List, NamedTuple, Optional, Tuple

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far.mux import Mux
from remotenb.far.poll import Ready  # noqa: TC001  for Python 3.6 there is no other way
from remotenb.far.spool import Budget, Spool
from remotenb.far.websocket import (
    CLOSE,
    PING,
    PONG,
    Frames,
    compressed,
    continues,
    page_of,
    pong,
    terms,
)  # fmt: skip

CHUNK = 64 << 10
UPGRADED = b"HTTP/1.1 101"
HEAD_BYTES = 64 << 10

UNANSWERED_S = 45.0
"""After which a server that pings is left, if it cannot be answered: at 90 s it would leave,
and drop what it writes while it does; one that is left in time keeps its output itself."""
UNREAD_S = 15.0
"""How often a server whose pings stand behind what is not read is told that somebody is here."""


def dial(target: Tuple[str, int]) -> socket.socket:
    """A socket on its way to ``target``; a host that is a path is a unix socket."""
    host, port = target
    unix = host.startswith("/")
    family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setblocking(False)
    if not unix:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error = sock.connect_ex(host if unix else (host, port))
    if error not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(error, os.strerror(error))
    return sock


class Remains(NamedTuple):
    """What a page did not get of a websocket: from the beginning of a frame to the end of one."""

    data: bytes
    spool: Spool
    late: bytes


class Upstream:
    """A socket to the server and the stream it belongs to."""

    def __init__(self, number: int, mux: Mux, target: Tuple[str, int], budget: Budget) -> None:
        self.number = number
        self.mux = mux
        self.sock = dial(target)
        self.ready: "Optional[Ready]" = None
        self.memory = 0
        """Bytes of a websocket that may wait in memory."""
        self._connected = False
        self._to_server = bytearray()
        self._browser_ended = self._end_sent = False
        self._server_ended = False
        self._head = bytearray()
        """Of the answer that makes this a websocket, while it is not complete."""
        self._websocket = False
        self._frames_down, self._frames_up = Frames(), Frames()
        self._ping: "Optional[bytes]" = None
        """The server's last ping, while nobody has answered it."""
        self._pinged = 0.0
        self._budget = budget
        self._spool = Spool(budget)
        self._late = b""
        """What was read and found no place."""
        self.page = b""
        """Which page's it is, when that can be told: a kernel's channels."""
        self.elder: "Optional[Upstream]" = None
        """The server hears nothing here before it is done with that one."""
        self._terms: "List[bytes]" = []
        self._arrived = Frames()
        self._closing = False
        """The server said that it ends this."""

    @property
    def held(self) -> int:
        """Bytes for the laptop that are not with the mux yet."""
        return len(self._spool) + len(self._late)

    @property
    def websocket(self) -> bool:
        """Whether this became one."""
        return self._websocket

    @property
    def stopped(self) -> bool:
        """There is no place for more of what the server writes."""
        return bool(self._late)

    @property
    def wants_read(self) -> bool:
        """Whether the server should be listened to."""
        if not self._connected or self._server_ended:
            return False
        return not self._late if self._websocket else self.mux.room(self.number) > 0

    @property
    def wants_write(self) -> bool:
        """Whether something waits until the server takes it, or takes the connection."""
        ending = self._browser_ended and not self._end_sent
        return not self._connected or (self._may_write and (bool(self._to_server) or ending))

    @property
    def parted(self) -> bool:
        """Nothing more comes from the server."""
        return self._server_ended

    def send(self, data: bytes) -> None:
        """Bytes of the browser's."""
        if not self._websocket:
            self.page = self.page or page_of(data)
        self._to_server += data
        if self._websocket:
            answers = [one for one in self._frames_up.feed(data) if one.opcode == PONG]
            self._ping = None if answers else self._ping

    def end(self) -> None:
        """The browser sends nothing more."""
        self._browser_ended = True

    def writable(self, now: float) -> bool:
        """Send what the server takes; False when the connection is dead."""
        if not self._connected and self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        self._connected = True
        try:
            if self._to_server and self._may_write:
                sent = self.sock.send(self._to_server)
                del self._to_server[:sent]
                self.mux.consumed(self.number, sent, now)
            if self._browser_ended and not self._to_server and not self._end_sent:
                self._end_sent = True
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def readable(self, now: float) -> bool:
        """Take what the server wrote; False when the connection is dead."""
        room = CHUNK if self._websocket else self.mux.room(self.number)
        try:
            data = self.sock.recv(max(min(CHUNK, room), 1))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._server_ended = not data
        self._keep(self._watch(data, now))
        self.refill()
        return True

    def refill(self) -> None:
        """From disk to memory, as far as there is room; and the end behind it all."""
        while len(self._spool) and self._waiting < self.memory // 2:
            self.mux.write(self.number, self._spool.get(4 * CHUNK))
        if self._late and not len(self._spool) and self._waiting < self.memory // 2:
            self.mux.write(self.number, self._late)
            self._late = b""
        if self._server_ended and not self.held:
            self.mux.finish(self.number)

    def hold(self, now: float) -> bool:
        """The laptop is away: answer the server's ping. False when it must be left."""
        if self.stopped and self._ping is None and now - self._pinged > UNREAD_S:
            self._ping, self._pinged = b"", now
        if self._ping is None or not self._websocket:
            return True
        if not self._frames_up.between or self._to_server:
            return now - self._pinged < UNANSWERED_S
        answer, self._ping = pong(self._ping), None
        try:
            return self.sock.send(answer) == len(answer)
        except OSError:
            return False

    def leave(self) -> None:
        """Close the server's side, as if it had ended: what was read still goes to the laptop."""
        self._server_ended = True
        self.sock.close()
        self.refill()

    def part(self) -> bool:
        """Become an elder, if this can be one."""
        if not self._websocket or not self.page or compressed(self._terms):
            return False
        self.end()
        return True

    def remains(self, agreed: "List[bytes]") -> "Optional[Remains]":
        """Give away what did not arrive, if it may come before other frames on those terms."""
        stream = self.mux.streams.get(self.number)
        spool, self._spool = self._spool, Spool(self._budget)
        late, self._late = self._late, b""
        data, skip = self._arrived.begun, self._arrived.left
        data += bytes(stream.out) if stream else b""
        while skip > len(data) and len(spool):
            data += spool.get(4 * CHUNK)
        if skip > len(data):
            data, late = data + late, b""
        data = data[skip:]
        self.mux.reset(self.number)
        ends_well = self._frames_down.between and not self._closing
        if stream is None or agreed != self._terms or not ends_well or continues(data):
            spool.close()
            return None
        return Remains(data, spool, late)

    def close(self) -> None:
        """The connection is over."""
        self._server_ended = True
        self.sock.close()
        self._spool.close()

    @property
    def _may_write(self) -> bool:
        return self.elder is None or self.elder.parted

    @property
    def _waiting(self) -> int:
        stream = self.mux.streams.get(self.number)
        return len(stream.out) if stream else 0

    def _keep(self, data: bytes) -> None:
        in_memory = not self._websocket or self._waiting < self.memory
        if in_memory and not self.held:
            self.mux.write(self.number, data)
        elif self._late or not self._spool.put(data):
            self._late += data

    def _watch(self, data: bytes, now: float) -> bytes:
        """See the answer that makes a websocket of this, and then the server's pings.

        Returns what is still to be kept of ``data``.
        """
        if not self._websocket:
            if not self._head and not data.startswith(UPGRADED):
                return data
            self._head += data
            head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
            if not end:
                del self._head[HEAD_BYTES:]
                return data
            self._websocket = True
            self._head.clear()
            self._terms = terms(head)
            self._begin(data[: len(data) - len(rest)])
            data = rest
        for one in self._frames_down.feed(data):
            self._closing |= one.opcode == CLOSE
            if one.opcode == PING:
                self._ping, self._pinged = one.payload, now
        return data

    def _begin(self, head: bytes) -> None:
        """This is a websocket after ``head``, and then comes what the elder left."""
        self.mux.write(self.number, head)
        stream = self.mux.streams.get(self.number)
        if stream is not None and self.page:
            self._arrived = Frames(skipped=stream.written - stream.acked)
            stream.arrived = self._arrived.feed
        elder, self.elder = self.elder, None
        remains = elder.remains(self._terms) if elder else None
        if remains is not None:
            self.mux.write(self.number, remains.data)
            self._spool, self._late = remains.spool, remains.late
