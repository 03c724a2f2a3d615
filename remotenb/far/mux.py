"""Many streams over one link that may be cut and replaced. Pure; runs on Python 3.6.

Both ends use this module: the laptop (*near*), which alone opens streams, and the relay on the
server (*far*). It does no I/O and knows no clock: bytes and the time go in, events and bytes
come out.
"""

from collections import OrderedDict
from typing import Dict, List, Optional, Set

from remotenb.far import frames
from remotenb.far.events import Bye, Ended, Event, Opened, Received, Refused, Reset, Status
from remotenb.far.frames import Entry, Frame, Hello, ProtocolError, frame, pack_hello, unpack_hello
from remotenb.far.pace import PING_IDLE_S, Pace
from remotenb.far.stream import LAST_WINDOW, Stream, Turns

WINDOWS_TOTAL = 96 << 20
"""No window grows any more when all of them together are this large."""

ACK_BYTES = 16 << 10
ACK_SOON_S, ACK_EVERY_S = 0.002, 0.04
"""After so many bytes, or fewer; on a fast link one acknowledgement then stands for many. What
comes after a pause is acknowledged at once: it need not be sent again if this end should die."""

ANSWERS = 4 * frames.MAX_STREAMS
"""Control frames that may wait: a peer that is correct, and reads, never lets it be more."""

NOBODY = bytes(16)
NEVER = float("inf")


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
        """When the last frame came that says more than that its sender lives."""
        self.pace = Pace(0.0)
        self._known = NOBODY
        """The peer's incarnation."""
        self._fresh = not near
        self._linked = self._welcomed = self._ready = False
        """There is a link; the peer has introduced itself; streams may go."""
        self._unheard: "Set[int]" = set()
        """Streams of which the far side has not been told."""
        self._resets: "Set[int]" = set()
        """Streams that ended here, and of which the peer has not said that it knows."""
        self._control: "List[bytes]" = []
        self._acks: "Dict[int, float]" = {}
        self._turns = Turns(self.pace)

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
            self._turns.wants(stream)

    def finish(self, number: int) -> None:
        """Nothing more will be written to this stream."""
        stream = self.streams.get(number)
        if stream is not None:
            stream.ended = True
            self._turns.wants(stream)

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
        if stream.held_up(now, self.pace.rtt) and self._windows < WINDOWS_TOTAL:
            stream.grow()
        much = stream.consumed - stream.told >= min(ACK_BYTES, stream.window // 4)
        self._ack_by(stream, now + ACK_SOON_S if much else NEVER, now)

    def room(self, number: int) -> int:
        """Bytes that may be written so that no more waits here than the peer would take."""
        stream = self.streams.get(number)
        if stream is None or stream.ended:
            return 0
        return max(min(stream.limit, stream.acked + LAST_WINDOW) - stream.written, 0)

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
        """A new link begins (far side): take in the near side's HELLO, and answer it.

        Raises :class:`ProtocolError`, and goes on as before, when it is none for this session.
        """
        self._check(hello)
        if hello.epoch <= self.epoch or self._known not in (NOBODY, hello.incarnation):
            raise ProtocolError("superseded")
        self._begin(hello.epoch, now)
        self._known = hello.incarnation
        if self._fresh:  # what was opened with an earlier relay must not be opened again
            self.highest = max([entry.stream for entry in hello.streams], default=0)
        self._welcomed = self._ready = True
        events = self._reconcile(hello, replaced=False)
        self._control.insert(0, pack_hello(self._hello()))
        self._fresh = False
        return events

    def disconnect(self) -> None:
        """The link is gone: what is not acknowledged waits for the next one."""
        self._linked = self._welcomed = self._ready = False
        self._control = []
        self._acks.clear()

    def receive(self, one: Frame, now: float) -> List[Event]:
        """Take in one frame; raises :class:`ProtocolError`, after which the link must end."""
        greeting = self.near and self._linked and one.kind in (frames.HELLO, frames.REFUSE)
        if not self._welcomed and not greeting:
            raise ProtocolError("frame of type %d before HELLO" % one.kind)
        if len(self._control) > ANSWERS:
            raise ProtocolError("%d frames wait for a peer that reads none" % ANSWERS)
        if one.kind == frames.PING:  # no life: it comes though nothing of ours arrives
            self._control.append(frame(frames.PONG, offset=one.offset))
            return []
        self.heard = now
        if frames.DATA <= one.kind <= frames.ACK:
            return self._of_stream(one, now)
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
            parts += self._turns.frames(size)
        return b"".join(parts)

    def deadline(self) -> float:
        """When :meth:`pull` will have something to say though nothing happens."""
        if not self._linked:
            return NEVER
        acks = min(self._acks.values(), default=NEVER) if self._ready else NEVER
        return min(self.pace.pinged + PING_IDLE_S, acks)

    def silence(self, now: float) -> float:
        """Seconds since the last sign of life on this link, or since it began."""
        return now - self.heard

    # inside: the beginning of a link

    def _begin(self, epoch: int, now: float) -> None:
        self.disconnect()
        self._linked = True
        self.epoch = epoch
        self.heard = now
        self.pace = Pace(now)
        self._turns = Turns(self.pace)
        for stream in self.streams.values():
            stream.rewind()
            self._turns.wants(stream)

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

    def _check(self, hello: Hello) -> None:
        """Raise :class:`ProtocolError`, before anything is changed, when this cannot be true."""
        if hello.version != frames.VERSION:
            raise ProtocolError("version %d is not spoken here" % hello.version)
        if hello.session != self.session:
            raise ProtocolError("HELLO of another session")
        for entry in hello.streams:
            stream = self.streams.get(entry.stream)
            if stream is not None and entry.stream not in self._unheard and not entry.reset:
                stream.check(entry.received, stream.written + stream.ended)

    def _welcome(self, hello: Hello) -> List[Event]:
        """The far side's HELLO: go on where it stands, or without what it does not know."""
        if self._welcomed or hello.epoch != self.epoch:
            raise ProtocolError("HELLO of another link")
        self._check(hello)
        known, self._known = self._known, hello.incarnation
        self._welcomed = True
        if self._ready:
            return []
        self._ready = True
        return self._reconcile(hello, hello.fresh or known not in (NOBODY, hello.incarnation))

    def _reconcile(self, hello: Hello, replaced: bool) -> List[Event]:
        """Both ends' lists side by side: what goes on, from where, and what is over.

        A relay that was ``replaced`` took along what was known of the ends of its streams.
        """
        events: "List[Event]" = []
        listed = {entry.stream: entry for entry in hello.streams}
        self._resets &= set(listed)
        self._control += [frame(frames.RESET, number) for number in sorted(self._resets)]
        for number in [n for n in self.streams if n not in self._unheard]:
            stream, entry = self.streams[number], listed.get(number)
            if entry is not None and not entry.reset:
                self._resume(stream, entry)
            elif entry is None and self.near and number > hello.highest:
                self._unheard.add(number)  # its opening was lost with the last link
            else:
                self._forget(number)
                if entry is not None or replaced or not (stream.ended and stream.end_received):
                    events.append(Reset(number))
        return events

    def _resume(self, stream: Stream, entry: Entry) -> None:
        stream.acknowledge(entry.received, entry.limit)
        stream.rewind()
        self._turns.wants(stream)
        self._drop_if_over(stream)

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
        count = len(self.streams) + len(self._resets)
        if one.stream <= self.highest or count >= frames.MAX_STREAMS:
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
            self._ack_by(stream, NEVER, now)
            return [Received(one.stream, one.payload)]
        if one.kind == frames.END:
            stream.accept_end(one.offset)
            self._control.append(self._ack(stream))  # at once: the stream may be over with it
            self._drop_if_over(stream)
            return [Ended(one.stream)]
        if one.kind == frames.ACK:
            return self._acknowledged(stream, one)
        self._control.append(frame(frames.RESET, one.stream))
        self._forget(one.stream)
        return [Reset(one.stream)]

    def _acknowledged(self, stream: Stream, one: Frame) -> List[Event]:
        stream.check(one.offset, stream.sent + stream.end_sent)
        self._turns.acknowledge(stream, one.offset, frames.LIMIT.unpack(one.payload)[0])
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
            self._turns.forget(stream)
            self._acks.pop(number, None)
        return stream

    # inside: what goes

    @property
    def _windows(self) -> int:
        return sum(stream.window for stream in self.streams.values())

    def _ack_by(self, stream: Stream, due: float, now: float) -> None:
        due = min(due, max(now, stream.told_at + ACK_EVERY_S))
        self._acks[stream.number] = min(due, self._acks.get(stream.number, due))

    def _ack(self, stream: Stream) -> bytes:
        stream.told = stream.consumed
        self._acks.pop(stream.number, None)
        limit = frames.LIMIT.pack(stream.entry.limit)
        return frame(frames.ACK, stream.number, stream.entry.received, limit)

    def _due_acks(self, now: float, everything: bool) -> List[bytes]:
        numbers = [number for number, at in self._acks.items() if everything or at <= now]
        due = [self.streams[number] for number in numbers]
        for stream in due:
            stream.told_at = now
        return [self._ack(stream) for stream in due]

    def _openings(self) -> List[bytes]:
        new = [self.streams[number] for number in sorted(self._unheard)]
        self._unheard.clear()
        return [frame(frames.OPEN, s.number, s.entry.limit, s.target) for s in new]
