"""The connections through the relay, as one end sees them, and their turns. Pure; Python 3.6."""

from collections import OrderedDict
from typing import Callable, List, Optional

from remotenb.far.frames import DATA, END, Entry, ProtocolError, frame
from remotenb.far.pace import Pace

FRAME_BYTES = 32 << 10
"""Of data in one frame: with less the headers cost, with more a stream waits for another."""

FRAMES = 8
"""At least so many share what may be under way: acknowledgements then come one by one."""

FIRST_WINDOW, LAST_WINDOW = 512 << 10, 8 << 20
"""Bytes a stream may have under way before its reader must say that it keeps up."""

URGENT_BYTES = 8 << 10
"""A stream with so little that has not arrived does not wait for the large ones."""


class Stream:
    """Both directions of one connection, at one end. Offsets count bytes from its beginning.

    The end of a direction takes one number, like TCP's FIN: it is acknowledged by the offset
    behind the last byte, plus one.
    """

    def __init__(self, number: int, now: float, target: bytes = b"") -> None:
        self.number = number
        self.target = target
        self.out = bytearray()
        """What was written and is not known to have arrived; begins at ``acked``."""
        self.acked = 0
        self.sent = 0
        """As far as the bytes went out on the link of the moment."""
        self.limit = FIRST_WINDOW
        """The peer takes bytes up to this offset."""
        self.ended = False
        self.end_sent = False
        self.end_acked = False
        self.received = 0
        self.consumed = 0
        self.told = 0
        """Of what was consumed, as far as the peer knows."""
        self.told_at = float("-inf")
        self.end_received = False
        self.window = FIRST_WINDOW
        self.grown_at = now
        self.grown_from = 0
        self.arrived: "Optional[Callable[[bytes], object]]" = None
        """Is told what is known to have arrived, before it is forgotten."""

    @property
    def written(self) -> int:
        """The offset behind the last byte written."""
        return self.acked + len(self.out)

    @property
    def under_way(self) -> int:
        """Bytes sent on this link and not acknowledged."""
        return self.sent - self.acked

    @property
    def entry(self) -> Entry:
        """This stream in a HELLO, and in an ACK."""
        received = self.received + self.end_received
        return Entry(self.number, received, self.consumed + self.window, reset=False)

    @property
    def over(self) -> bool:
        """Both directions have ended, and the peer knows it of ours."""
        return self.end_acked and self.end_received

    @property
    def sendable(self) -> int:
        """Bytes that could be sent now, as far as the peer's window goes."""
        return min(self.written, self.limit) - self.sent

    @property
    def urgent(self) -> bool:
        """So little of it is here that it is no burden to the others."""
        return len(self.out) <= URGENT_BYTES

    @property
    def may_end(self) -> bool:
        """All bytes are sent, and their end is not."""
        return self.ended and not self.end_sent and self.sent == self.written

    def rewind(self) -> None:
        """A new link begins: what is not acknowledged is to be sent again."""
        self.sent = self.acked
        self.end_sent = self.end_acked

    def check(self, received: int, most: int) -> None:
        """Raise :class:`ProtocolError` when the peer cannot have ``received``."""
        if not self.acked + self.end_acked <= received <= most:
            raise ProtocolError("stream %d: %d acknowledged" % (self.number, received))

    def acknowledge(self, received: int, limit: int) -> None:
        """The peer has all before ``received`` and takes bytes up to ``limit``."""
        self.limit = max(self.limit, limit)
        self.end_acked |= self.ended and received == self.written + 1
        arrived = min(received, self.written) - self.acked
        if arrived > 0:
            if self.arrived is not None:
                self.arrived(bytes(self.out[:arrived]))
            del self.out[:arrived]
            self.acked += arrived
            self.sent = max(self.sent, self.acked)

    def take(self, room: int) -> bytes:
        """The next bytes to send, marked as sent."""
        at = self.under_way
        size = min(FRAME_BYTES, room, self.sendable)
        data = bytes(self.out[at : at + size])
        self.sent += size
        return data

    def accept(self, offset: int, data: bytes) -> None:
        """The peer's next bytes; raises :class:`ProtocolError` when they are not that."""
        end = offset + len(data)
        if self.end_received or offset != self.received:
            raise ProtocolError("stream %d: data at %d" % (self.number, offset))
        if end > self.consumed + self.window:
            raise ProtocolError("stream %d: data beyond its window" % self.number)
        self.received = end

    def accept_end(self, offset: int) -> None:
        """The peer will send nothing more."""
        if self.end_received or offset != self.received:
            raise ProtocolError("stream %d: its end at %d" % (self.number, offset))
        self.end_received = True

    def held_up(self, now: float, rtt: float) -> bool:
        """A reader that takes half a window within a few round trips is held up by its window."""
        age = now - self.grown_at
        if age < max(rtt, 0.005):
            return False
        taken = self.consumed - self.grown_from
        self.grown_at, self.grown_from = now, self.consumed
        return taken * 2 > self.window and age < 4 * rtt + 0.02

    def grow(self) -> None:
        """Let more be under way to this reader."""
        self.window = min(self.window * 2, LAST_WINDOW)


class Turns:
    """Whose bytes go next on the link of the moment, and how many are under way on it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.under_way = 0
        self._waiting: "OrderedDict[int, Stream]" = OrderedDict()

    def wants(self, stream: Stream) -> None:
        """``stream`` has something to send, or may have."""
        if stream.sendable > 0 or stream.may_end:
            self._waiting[stream.number] = stream

    def acknowledge(self, stream: Stream, received: int, limit: int) -> None:
        """Of ``stream``, the peer has all before ``received``."""
        before = stream.under_way
        stream.acknowledge(received, limit)
        self.under_way += stream.under_way - before
        self.wants(stream)

    def forget(self, stream: Stream) -> None:
        """``stream`` is over."""
        self.under_way -= stream.under_way
        self._waiting.pop(stream.number, None)

    def frames(self, size: int) -> "List[bytes]":
        """About ``size`` bytes: first those that are urgent, then one frame of each in turn."""
        parts: "List[bytes]" = []
        for stream in [one for one in self._waiting.values() if one.urgent]:
            if size > 0 and self.under_way < 2 * self.pace.cap:
                size -= self._send(stream, URGENT_BYTES, parts)
        while self._waiting and size > 0 and self.under_way < self.pace.cap:
            stream = next(iter(self._waiting.values()))
            room = min(self.pace.cap - self.under_way, self.pace.cap // FRAMES)
            size -= self._send(stream, room, parts)
        if self._waiting and self.under_way >= self.pace.cap:
            self.pace.limited = True
        return parts

    def _send(self, stream: Stream, room: int, parts: "List[bytes]") -> int:
        """One frame of ``stream``, and its end; then it stands behind the others."""
        count = len(parts)
        offset = stream.sent
        if stream.sendable > 0:
            data = stream.take(room)
            self.under_way += len(data)
            self.pace.sent(len(data))
            parts.append(frame(DATA, stream.number, offset, data))
        if stream.may_end:
            stream.end_sent = True
            parts.append(frame(END, stream.number, stream.written))
        del self._waiting[stream.number]
        self.wants(stream)
        return sum(len(part) for part in parts[count:])
