"""A small world for the relay's protocol: two ends, a pipe each way, and everything that can fail.

``python -m tests.pure.mux_world --schedules 100000`` runs so many schedules of it, and
``--seed N --schedules 1`` runs schedule N again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Protocol

from remotenb.far import frames
from remotenb.far.events import Ended, Event, Opened, Received, Reset
from remotenb.far.frames import Decoder, Frame, unpack_hello
from remotenb.far.mux import Mux
from remotenb.far.stream import FIRST_WINDOW, LAST_WINDOW, Stream

SESSION = b"s" * 16
SIZES = (1, 2, 100, 5_000, 40_000, 200_000, 700_000)
WRITTEN_MOST = 4 << 20
"""Of one direction of one stream: more teaches nothing and costs time."""

QUIET_TURNS = 600


class Choices(Protocol):
    """Where decisions come from: a random generator with a seed, or hypothesis."""

    def number(self, least: int, most: int) -> int: ...


class Seeded:
    """Decisions that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def number(self, least: int, most: int) -> int:
        return self._random.randint(least, most)


@dataclass
class Direction:
    """What one end wrote to a stream, and what the other was given of it."""

    number: int
    side: str
    written: int = 0
    finished: bool = False
    arrived: int = 0
    ended: bool = False
    unread: int = 0
    """Given to the application, which has not dealt with it."""

    def bytes_at(self, offset: int, count: int) -> bytes:
        """The bytes of this direction: no two places of it look alike."""
        period = hashlib.sha512(f"{self.side}{self.number}".encode()).digest() + b"-" * 9
        begin = offset % len(period)
        return (period * (count // len(period) + 2))[begin : begin + count]


@dataclass
class Tube:
    """One direction of a link: bytes on their way, and their reader."""

    bytes: bytearray = field(default_factory=bytearray)
    decoder: Decoder = field(default_factory=Decoder)


@dataclass
class End:
    """One end, with its application."""

    name: str
    mux: Mux
    reading: bool = True
    """The application deals with what it is given, at once."""
    inward: Tube = field(default_factory=Tube)
    resets: set[int] = field(default_factory=set)
    """Streams that its application reset."""
    told: set[int] = field(default_factory=set)
    """Streams of which the mux said that they were reset."""


class World:
    """Both ends and all that their applications did; each promise is an assertion."""

    def __init__(self, choices: Choices) -> None:
        self.choose = choices
        self.now = 1.0
        self.epoch = 0
        self.lives = 0
        self.linked = False
        self._begin()

    def _begin(self) -> None:
        """A new process on the laptop: the relay, too, begins this session anew."""
        self.lives += 1
        self.near = End("near", Mux(True, SESSION, b"near%012d" % self.lives))
        self.far = End("far", self._new_far())
        self.ends = (self.near, self.far)
        self.epoch = 0
        self.linked = False
        self.ways: dict[tuple[str, int], Direction] = {}
        self.excused: set[int] = set()
        """Streams that the loss of the relay's process may have cost."""
        self.opened: set[int] = set()
        """Streams that any relay's process was told to open."""
        self.lost: set[int] = set()
        """Those of them whose process is no more."""
        self.suspect = True
        """The near side has not heard of the relay's process of the moment."""

    def _new_far(self) -> Mux:
        self.lives += 1
        return Mux(False, SESSION, b"far%013d" % self.lives)

    def other(self, end: End) -> End:
        return self.far if end is self.near else self.near

    # what can happen

    def open(self) -> None:
        number = self.near.mux.open(b"target %d" % self.near.mux.highest, self.now)
        for name in ("near", "far"):
            self.ways[name, number] = Direction(number, name)

    def write(self, end: End) -> None:
        stream = self._any(end)
        if stream is None or stream.ended:
            return
        way = self.ways[end.name, stream.number]
        eager = end is self.far and self.choose.number(0, 3) == 0
        size = SIZES[self.choose.number(0, len(SIZES) - 1)]
        if not eager:  # the far side reads websockets without regard to what the peer takes
            size = min(size, end.mux.room(stream.number))
        size = min(size, WRITTEN_MOST - way.written)
        end.mux.write(stream.number, way.bytes_at(way.written, size))
        way.written += size

    def finish(self, end: End) -> None:
        stream = self._any(end)
        if stream is not None:
            end.mux.finish(stream.number)
            self.ways[end.name, stream.number].finished = True

    def reset(self, end: End) -> None:
        stream = self._any(end)
        if stream is not None:
            end.mux.reset(stream.number)
            end.resets.add(stream.number)

    def read(self, end: End) -> None:
        """The application of ``end`` deals with some of what it was given, or with all."""
        for way in self.ways.values():
            if way.unread and way.side != end.name:
                count = way.unread if end.reading else self.choose.number(0, way.unread)
                way.unread -= count
                end.mux.consumed(way.number, count, self.now)

    def cut(self) -> None:
        """The link is gone, with all that was on its way."""
        if self.suspect and self.linked:
            self.excused |= set(self.near.mux.streams)
        self.linked = False
        for end in self.ends:
            end.mux.disconnect()

    def link(self) -> None:
        """A new link, whether or not the old one was known to be gone."""
        self.cut()
        self.epoch += 1
        self.linked = True
        for end in self.ends:
            end.inward = Tube()
        self.far.inward.bytes += self.near.mux.connect(self.epoch, self.now)

    def replace_far(self) -> None:
        """The relay's process died; another one has taken its place."""
        self.cut()
        self.suspect = True
        self.excused |= set(self.near.mux.streams)
        self.lost |= self.opened
        for way in self.ways.values():
            if way.side == "near":
                way.unread = 0
        self.far.mux = self._new_far()

    def replace_near(self) -> None:
        self._begin()

    def move(self, end: End, most: int) -> None:
        """``end`` sends what it has, and up to ``most`` bytes of all on the way arrive."""
        if not self.linked:
            return
        tube = self.other(end).inward
        tube.bytes += end.mux.pull(self.now, SIZES[self.choose.number(0, len(SIZES) - 1)])
        count = self.choose.number(0, min(most, len(tube.bytes)))
        data = bytes(tube.bytes[:count])
        del tube.bytes[:count]
        for one in tube.decoder.feed(data):
            self._take(self.other(end), one)

    # what the applications see

    def _take(self, end: End, one: Frame) -> None:
        if end is self.far and one.kind == frames.HELLO:
            events = end.mux.accept(unpack_hello(one.payload), self.now)
        else:
            events = end.mux.receive(one, self.now)
        if end is self.near and one.kind == frames.HELLO:
            self.suspect = False
        for event in events:
            self._see(end, event)

    def _see(self, end: End, event: Event) -> None:
        if isinstance(event, Opened):
            assert event.target == b"target %d" % (event.stream - 1)
            assert event.stream not in self.opened, "opened twice"
            self.opened.add(event.stream)
        elif isinstance(event, Received):
            self._received(end, self.ways[self.other(end).name, event.stream], event.data)
        elif isinstance(event, Ended):
            way = self.ways[self.other(end).name, event.stream]
            assert not way.ended
            assert way.finished
            assert way.arrived == way.written, "ended before all had arrived"
            way.ended = True
        elif isinstance(event, Reset):
            asked = event.stream in self.other(end).resets
            assert asked or event.stream in self.excused, f"{event} at {end.name} for nothing"
            assert event.stream not in end.told | end.resets, "reset twice"
            end.told.add(event.stream)

    def _received(self, end: End, way: Direction, data: bytes) -> None:
        assert not way.ended
        assert way.number not in end.told | end.resets, "data after the reset"
        assert data == way.bytes_at(way.arrived, len(data)), "other bytes than were written"
        way.arrived += len(data)
        way.unread += len(data)
        assert way.arrived <= way.written
        stream = end.mux.streams[way.number]
        assert way.unread <= stream.window <= LAST_WINDOW, "more than the window"
        if end.reading:
            self.read(end)

    def _any(self, end: End) -> Stream | None:
        streams = list(end.mux.streams.values())
        return streams[self.choose.number(0, len(streams) - 1)] if streams else None

    # schedules

    def step(self) -> None:  # noqa: C901  a table of what can happen
        """One thing happens, of all that can."""
        self.now += self.choose.number(0, 120) / 1000
        end = self.ends[self.choose.number(0, 1)]
        deed = self.choose.number(0, 199)
        if deed < 16:
            self.open()
        elif deed < 66:
            self.write(end)
        elif deed < 76:
            self.finish(end)
        elif deed < 79:
            self.reset(end)
        elif deed < 87:
            self.link()
        elif deed < 91:
            self.cut()
        elif deed < 93:
            self.replace_far()
        elif deed < 94:
            self.replace_near()
        elif deed < 98:
            end.reading = not end.reading
        elif deed < 108:
            self.read(end)
        else:
            self.move(end, (30, 3_000, 100_000, 5_000_000)[deed % 4])
        self.check_bounds()

    def check_bounds(self) -> None:
        """Memory, at any moment."""
        for end in self.ends:
            mux = end.mux
            assert len(mux._control) < 2 * frames.MAX_STREAMS
            assert set(mux._acks) <= set(mux.streams)
            assert set(mux._turns._waiting) <= set(mux.streams)
            under_way = sum(stream.under_way for stream in mux.streams.values())
            assert mux._turns.under_way == (under_way if self.linked else mux._turns.under_way)
            assert all(one.sent <= one.limit for one in mux.streams.values())
        most = sum(max(FIRST_WINDOW, one.limit - one.acked) for one in self._near_streams())
        assert self.near.mux.held <= most, "the near side read more than the peer takes"

    def _near_streams(self) -> list[Stream]:
        return list(self.near.mux.streams.values())

    def settle(self) -> None:
        """A quiet time with a link: all is finished, read, delivered and forgotten."""
        for end in self.ends:
            end.reading = True
            self.read(end)
        self.link()
        for _ in range(QUIET_TURNS):
            self.now += 0.05
            for end in self.ends:
                for number in list(end.mux.streams):
                    end.mux.finish(number)
                    self.ways[end.name, number].finished = True
                self.read(end)
                self.move(end, sys.maxsize)
            if not any(end.mux.streams or end.mux._resets for end in self.ends):
                break
        self.check_settled()

    def check_settled(self) -> None:
        for end in self.ends:
            mux = end.mux
            assert not mux.streams, f"streams stay at {end.name}: {list(mux.streams)}"
            assert not mux._resets, f"resets stay at {end.name}"
            assert mux._turns.under_way == mux.held == 0
            assert not mux._turns._waiting
            assert not mux._acks
            assert not mux._unheard
        for way in self.ways.values():
            if not self._over_early(way.number):
                assert (way.arrived, way.ended) == (way.written, True), way
        for end in self.ends:
            for number in end.resets | end.told:
                self._check_agreed(self.other(end), number)

    def _check_agreed(self, end: End, number: int) -> None:
        """The other end was reset, so ``end`` knows it, or it was all done here, or never here."""
        if number in end.resets | end.told:
            return
        if end is self.far and (number not in self.opened or number in self.lost):
            return
        to_us = self.ways[self.other(end).name, number]
        assert to_us.ended, f"{end.name} does not know that stream {number} was reset"
        assert self.ways[end.name, number].finished

    def _over_early(self, number: int) -> bool:
        asked = number in self.near.resets | self.far.resets
        told = number in self.near.told | self.far.told
        assert asked or not told or number in self.excused
        return asked or told


def run(choices: Choices, steps: int) -> None:
    """One schedule."""
    world = World(choices)
    for end in world.ends:
        end.reading = choices.number(0, 2) > 0
    world.link()
    for _ in range(steps):
        world.step()
    world.settle()


def run_seed(seed: int) -> None:
    """The schedule of ``seed``; a failure names it."""
    choices = Seeded(seed)
    try:
        run(choices, choices.number(5, 250))
    except Exception as error:
        error.add_note(f"again: python -m tests.pure.mux_world --seed {seed} --schedules 1")
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 40))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none later")
    wish = parser.parse_args()
    begun = time.monotonic()
    print(f"{wish.schedules} schedules from seed {wish.seed}", flush=True)
    done = 0
    for seed in range(wish.seed, wish.seed + wish.schedules):
        if time.monotonic() - begun > wish.seconds:
            break
        run_seed(seed)
        done += 1
        if done % 5_000 == 0:
            print(f"{done} in {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{done} schedules held, in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
