"""Many streams over one link that may be cut and replaced. Pure; runs on Python 3.6.

Both ends use this module: the laptop (*near*), which alone opens streams, and the relay on the
server (*far*). It does no I/O and knows no clock: bytes and the time go in, events and bytes
come out.
"""

from collections import OrderedDict
from typing import Dict, List, NamedTuple, Optional, Set, Union

from remotenb.far import frames
from remotenb.far.frames import Entry, Frame, Hello, ProtocolError, frame, pack_hello, unpack_hello
from remotenb.far.pace import PING_IDLE_S, Pace
from remotenb.far.stream import LAST_WINDOW, Stream

WINDOWS_TOTAL = 96 << 20
"""No window grows any more when all of them together are this large."""

ACK_BYTES = 64 << 10
ACK_DELAY_S = 0.04
URGENT_BYTES = 8 << 10
"""A stream with so little to send does not wait for the large ones."""

NOBODY = bytes(16)
NEVER = float("inf")


class Opened(NamedTuple):
    """The near side opened a stream to ``target``."""

    stream: int
    target: bytes


class Received(NamedTuple):
    """The next bytes of a stream; say with :meth:`Mux.consumed` when they are dealt with."""

    stream: int
    data: bytes


class Ended(NamedTuple):
    """The peer sends nothing more on this stream; the other direction goes on."""

    stream: int


class Reset(NamedTuple):
    """The stream is over, in both directions, and what was under way is lost."""

    stream: int


class Refused(NamedTuple):
    """The far side does not take this link."""

    reason: str


class Bye(NamedTuple):
    """The near side is done with this session."""


class Status(NamedTuple):
    """What the far side holds for the near one."""

    held: int
    stopped: bool
    """It stopped reading from the server, because it holds all that it may."""


Event = Union[Hello, Opened, Received, Ended, Reset, Refused, Bye, Status]


class Mux:
    """One end of a session: its streams, and the link of the moment, if there is one."""

    def __init__(self, near: bool, session: bytes, incarnation: bytes) -> None:
        self.near = near
        self.session = session
        self.incarnation = incarnation
        self.streams: "OrderedDict[int, Stream]" = OrderedDict()
        self.highest = 0
        self.epoch = 0
        self.heard = 0.0
        """When the last byte came."""
        self.pace = Pace(0.0)
        self._known = NOBODY
        """The far side's incarnation, as the near side knows it."""
        self._fresh = not near
        self._linked = self._welcomed = self._ready = False
        """There is a link; the peer has introduced itself; streams may go."""
        self._unheard: "Set[int]" = set()
        """Streams of which the far side has not been told."""
        self._resets: "Set[int]" = set()
        """Streams that ended here, and of which the peer has not said that it knows."""
        self._control: "List[bytes]" = []
        self._acks: "Dict[int, float]" = {}
        self._turns: "OrderedDict[int, None]" = OrderedDict()
        self._under_way = 0

    # the application's side

    def open(self, target: bytes, now: float) -> int:
        """A new stream to ``target``; its first bytes travel together with its opening."""
        if len(self.streams) + len(self._resets) >= frames.MAX_STREAMS:
            raise ProtocolError("more than %d streams" % frames.MAX_STREAMS)
        self.highest += 1
        self.streams[self.highest] = Stream(self.highest, now, target)
        self._unheard.add(self.highest)
        return self.highest

    def write(self, number: int, data: bytes) -> None:
        """Send ``data``, when credit and link allow; on a stream that is over, nothing."""
        stream = self.streams.get(number)
        if stream is not None and not stream.ended:
            stream.out += data
            self._turns[number] = None

    def finish(self, number: int) -> None:
        """Nothing more will be written to this stream."""
        stream = self.streams.get(number)
        if stream is not None:
            stream.ended = True
            self._turns[number] = None

    def reset(self, number: int) -> None:
        """End the stream at both ends, now."""
        if self._forget(number) is None:
            return
        if number in self._unheard:
            self._unheard.discard(number)
            return
        self._resets.add(number)
        if self._ready:
            self._control.append(frame(frames.RESET, number))

    def consumed(self, number: int, count: int, now: float) -> None:
        """The application has dealt with ``count`` more bytes."""
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.consumed += count
        if sum(other.window for other in self.streams.values()) < WINDOWS_TOTAL:
            stream.grow(now, self.pace.rtt)
        much = stream.consumed - stream.told >= min(ACK_BYTES, stream.window // 4)
        self._ack_by(number, now if much else now + ACK_DELAY_S)

    def room(self, number: int) -> int:
        """Bytes that may be written so that no more waits here than the peer would take."""
        stream = self.streams.get(number)
        if stream is None or stream.ended:
            return 0
        return min(stream.limit, stream.acked + LAST_WINDOW) - stream.written

    @property
    def held(self) -> int:
        """Bytes that wait here for the peer."""
        return sum(len(stream.out) for stream in self.streams.values())

    # the link's side

    def connect(self, epoch: int, now: float) -> bytes:
        """A new link begins (near side): the frame to send first.

        What the far side may know of must wait for its HELLO; without that, streams go at once.
        """
        self._begin(epoch, now)
        self._ready = not self._resets and self._unheard.issuperset(self.streams)
        return pack_hello(self._hello())

    def accept(self, hello: Hello, now: float) -> List[Event]:
        """A new link begins (far side): take in the near side's HELLO, and answer it."""
        self._begin(hello.epoch, now)
        self._welcomed = self._ready = True
        events = self._reconcile(hello)
        self._control.insert(0, pack_hello(self._hello()))
        self._fresh = False
        return events

    def disconnect(self) -> None:
        """The link is gone: what is not acknowledged waits for the next one."""
        self._linked = self._welcomed = self._ready = False
        self._control = []
        self._acks.clear()

    def receive(self, one: Frame, now: float) -> List[Event]:
        """Take in one frame; raises :class:`ProtocolError`."""
        self.heard = now
        if self.near and not self._welcomed and one.kind not in (frames.HELLO, frames.REFUSE):
            raise ProtocolError("frame of type %d before HELLO" % one.kind)
        if frames.DATA <= one.kind <= frames.ACK:
            return self._of_stream(one, now)
        if one.kind == frames.PING:
            self._control.append(frame(frames.PONG, offset=one.offset))
            return []
        if one.kind == frames.PONG:
            self.pace.pong(one.offset, now)
            return []
        return self._from_far(one) if self.near else self._from_near(one, now)

    def pull(self, now: float, size: int = 256 << 10) -> bytes:
        """About ``size`` bytes to put on the link: what is urgent first, then all in turn."""
        if not self._linked:
            return b""
        token = self.pace.ping(now)
        if token is not None:
            self._control.append(frame(frames.PING, offset=token))
        parts, self._control = self._control, []
        if self._ready:
            parts += self._due_acks(now, everything=bool(parts))
            parts += self._openings()
            parts += self._turn_by_turn(size)
        return b"".join(parts)

    def deadline(self) -> float:
        """When :meth:`pull` will have something to say though nothing happens."""
        if not self._linked:
            return NEVER
        return min(self.pace.pinged + PING_IDLE_S, min(self._acks.values(), default=NEVER))

    def silence(self, now: float) -> float:
        """Seconds since the last byte on this link, or since it began."""
        return now - self.heard

    # inside: the beginning of a link

    def _begin(self, epoch: int, now: float) -> None:
        self.disconnect()
        self._linked = True
        self.epoch = epoch
        self.heard = now
        self.pace = Pace(now)
        self._under_way = 0
        for stream in self.streams.values():
            stream.rewind()
        self._turns = OrderedDict.fromkeys(self.streams)

    def _hello(self) -> Hello:
        entries = [s.entry for s in self.streams.values() if s.number not in self._unheard]
        entries += [Entry(number, 0, 0, reset=True) for number in sorted(self._resets)]
        return Hello(
            frames.VERSION,
            self._fresh,
            self.session,
            self.incarnation,
            self._known,
            self.epoch,
            self.highest,
            tuple(entries),
        )

    def _welcome(self, hello: Hello) -> List[Event]:
        """The far side's HELLO: go on where it stands, or without what it does not know."""
        if (hello.session, hello.epoch) != (self.session, self.epoch) or self._welcomed:
            raise ProtocolError("HELLO of another link")
        known, self._known = self._known, hello.incarnation
        self._welcomed = True
        if self._ready:
            return []
        self._ready = True
        if known != hello.incarnation and (known != NOBODY or hello.fresh):
            self._resets.clear()
            gone = [number for number in self.streams if number not in self._unheard]
            return [Reset(number) for number in gone if self._forget(number)]
        return self._reconcile(hello)

    def _reconcile(self, hello: Hello) -> List[Event]:
        """Both ends' lists side by side: what goes on, from where, and what is over."""
        events: "List[Event]" = []
        listed = {entry.stream: entry for entry in hello.streams}
        self._resets &= set(listed)
        self._control += [frame(frames.RESET, number) for number in sorted(self._resets)]
        for number in [n for n in self.streams if n not in self._unheard]:
            stream, entry = self.streams[number], listed.get(number)
            if entry is None and self.near and number > hello.highest:
                self._unheard.add(number)  # its opening was lost with the last link
                continue
            if entry is not None and not entry.reset:
                stream.acknowledge(entry.received, entry.limit)
                stream.rewind()
                self._drop_if_over(stream)
                continue
            self._forget(number)
            if entry is not None or not (stream.ended and stream.end_received):
                events.append(Reset(number))
        return events

    # inside: what comes

    def _from_far(self, one: Frame) -> List[Event]:
        if one.kind == frames.HELLO:
            hello = unpack_hello(one.payload)
            events = self._welcome(hello)
            events.insert(0, hello)
            return events
        if one.kind == frames.REFUSE:
            return [Refused(one.payload.decode("ascii", "replace"))]
        if one.kind == frames.STATUS:
            held, stopped = frames.HELD.unpack(one.payload)
            return [Status(held, bool(stopped))]
        raise ProtocolError("unexpected frame of type %d" % one.kind)

    def _from_near(self, one: Frame, now: float) -> List[Event]:
        if one.kind == frames.BYE:
            return [Bye()]
        if one.kind != frames.OPEN:
            raise ProtocolError("unexpected frame of type %d" % one.kind)
        if one.stream <= self.highest or len(self.streams) >= frames.MAX_STREAMS:
            raise ProtocolError("stream %d cannot be opened" % one.stream)
        self.highest = one.stream
        stream = self.streams[one.stream] = Stream(one.stream, now)
        stream.limit = one.offset
        return [Opened(one.stream, one.payload)]

    def _of_stream(self, one: Frame, now: float) -> List[Event]:
        stream = self.streams.get(one.stream)
        if stream is None or one.stream in self._unheard:
            return self._of_past_stream(one)
        if one.kind == frames.DATA:
            stream.accept(one.offset, one.payload)
            self._ack_by(one.stream, now + ACK_DELAY_S)
            return [Received(one.stream, one.payload)]
        if one.kind == frames.END:
            stream.accept_end(one.offset)
            self._control.append(self._ack(stream))  # at once: the stream may be over with it
            self._drop_if_over(stream)
            return [Ended(one.stream)]
        if one.kind == frames.ACK:
            return self._acknowledged(stream, one)
        self._forget(one.stream)
        self._control.append(frame(frames.RESET, one.stream))
        return [Reset(one.stream)]

    def _acknowledged(self, stream: Stream, one: Frame) -> List[Event]:
        if one.offset > stream.sent + stream.end_sent:
            raise ProtocolError("stream %d: %d acknowledged" % (one.stream, one.offset))
        before = stream.under_way
        stream.acknowledge(one.offset, frames.LIMIT.unpack(one.payload)[0])
        self._under_way += stream.under_way - before
        if stream.sendable > 0 or stream.may_end:
            self._turns[one.stream] = None
        self._drop_if_over(stream)
        return []

    def _of_past_stream(self, one: Frame) -> List[Event]:
        """Frames may have been under way when a stream ended here."""
        if one.stream > self.highest or one.stream in self._unheard:
            raise ProtocolError("stream %d was never opened" % one.stream)
        if one.kind == frames.RESET and one.stream not in self._resets:
            self._control.append(frame(frames.RESET, one.stream))
        elif one.kind == frames.RESET:
            self._resets.discard(one.stream)
        return []

    def _drop_if_over(self, stream: Stream) -> None:
        if stream.over:
            self._forget(stream.number)

    def _forget(self, number: int) -> Optional[Stream]:
        stream = self.streams.pop(number, None)
        if stream is not None:
            self._under_way -= stream.under_way
            self._acks.pop(number, None)
            self._turns.pop(number, None)
        return stream

    # inside: what goes

    def _ack_by(self, number: int, due: float) -> None:
        self._acks[number] = min(due, self._acks.get(number, due))

    def _ack(self, stream: Stream) -> bytes:
        stream.told = stream.consumed
        self._acks.pop(stream.number, None)
        limit = frames.LIMIT.pack(stream.entry.limit)
        return frame(frames.ACK, stream.number, stream.entry.received, limit)

    def _due_acks(self, now: float, everything: bool) -> List[bytes]:
        due = [number for number, at in self._acks.items() if everything or at <= now]
        return [self._ack(self.streams[number]) for number in due]

    def _openings(self) -> List[bytes]:
        new = [self.streams[number] for number in sorted(self._unheard)]
        self._unheard.clear()
        return [frame(frames.OPEN, s.number, s.entry.limit, s.target) for s in new]

    def _turn_by_turn(self, size: int) -> List[bytes]:
        """Data of the streams, one frame each in turn; small amounts pass the link's cap."""
        parts: "List[bytes]" = []
        blocked = []
        while self._turns and size > 0:
            number, _ = self._turns.popitem(last=False)
            stream = self.streams[number]
            room = self.pace.cap - self._under_way
            if stream.written - stream.sent <= URGENT_BYTES:
                room = URGENT_BYTES
            elif room <= 0:
                self.pace.limited = True
                blocked.append(number)
                continue
            sent = self._send(stream, room)
            size -= sum(len(part) for part in sent)
            parts += sent
            if stream.sendable > 0 or stream.may_end:
                self._turns[number] = None
        for number in reversed(blocked):
            self._turns[number] = None
            self._turns.move_to_end(number, last=False)
        return parts

    def _send(self, stream: Stream, room: int) -> List[bytes]:
        parts = []
        offset = stream.sent
        if stream.sendable > 0:
            data = stream.take(room)
            self._under_way += len(data)
            self.pace.sent(len(data))
            parts.append(frame(frames.DATA, stream.number, offset, data))
        if stream.may_end:
            stream.end_sent = True
            parts.append(frame(frames.END, stream.number, stream.written))
        return parts
