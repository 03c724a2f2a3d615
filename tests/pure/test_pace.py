"""The pace of a link, on simulated paths: fast ones are filled, and slow ones are not flooded."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING

import pytest

from remotenb.far import frames
from remotenb.far.events import Opened, Received
from remotenb.far.frames import Decoder, unpack_hello
from remotenb.far.mux import Mux
from remotenb.far.pace import LEAST_CAP

if TYPE_CHECKING:
    from collections.abc import Callable

MBIT = 1_000_000 / 8
URGENT = 8 << 10
CHUNK = 64 << 10


class Path:
    """One direction: a buffer without end, a rate, and a time to travel."""

    def __init__(self, rate: float, delay: float, stall: Callable[[], float]) -> None:
        self.rate = rate
        self.delay = delay
        self.stall = stall
        self.free_at = 0.0
        self.arriving: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes, now: float) -> None:
        packet = max(1500, int(self.rate / 2000))
        for at in range(0, len(data), packet):
            part = data[at : at + packet]
            begin = max(self.free_at, now) + self.stall()
            self.free_at = begin + len(part) / self.rate
            self.arriving.append((self.free_at + self.delay, part))

    def take(self, now: float) -> bytes:
        parts = []
        while self.arriving and self.arriving[0][0] <= now:
            parts.append(self.arriving.popleft()[1])
        return b"".join(parts)

    @property
    def next_at(self) -> float:
        return self.arriving[0][0] if self.arriving else float("inf")


class Link:
    """Two ends and a path between them; the near side sends, the far side reads at once."""

    def __init__(
        self, mbit: float, rtt: float, stall: Callable[[], float] = lambda: 0.0, tick: float = 0.01
    ) -> None:
        self.now = 0.0
        self.tick = tick
        self.near = Mux(True, b"s" * 16, b"n" * 16)
        self.far = Mux(False, b"s" * 16, b"f" * 16)
        self.up = Path(mbit * MBIT, rtt / 2, stall)
        self.down = Path(mbit * MBIT, rtt / 2, lambda: 0.0)
        self.decoders = {True: Decoder(), False: Decoder()}
        self.arrived: dict[int, int] = {}
        self.echoes: dict[int, float] = {}
        self.bulk: set[int] = set()
        self.up.put(self.near.connect(1, 0.0), 0.0)

    def add_bulk(self) -> int:
        number = self.near.open(b"bulk", self.now)
        self.bulk.add(number)
        return number

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._feed()
            self._exchange()
            due = min(self.near.deadline(), self.far.deadline())
            step = min(self.up.next_at, self.down.next_at, due, self.now + self.tick)
            self.now = max(step, self.now + 1e-4)

    def echo(self, size: int = URGENT) -> float:
        """Seconds until ``size`` urgent bytes have come back."""
        number = self.near.open(b"echo", self.now)
        self.near.write(number, bytes(size))
        begun = self.now
        while self.echoes.get(number, 0) < size:
            assert self.now < begun + 60
            self.run(self.tick / 10)
        return self.now - begun

    def _feed(self) -> None:
        for number in self.bulk:
            room = self.near.room(number)
            if room >= CHUNK:
                self.near.write(number, bytes(room))

    def _exchange(self) -> None:
        for mux, path in ((self.near, self.up), (self.far, self.down)):
            data = mux.pull(self.now)
            while data:
                path.put(data, self.now)
                data = mux.pull(self.now)
        for mux, path in ((self.far, self.up), (self.near, self.down)):
            for one in self.decoders[mux.near].feed(path.take(self.now)):
                self._take(mux, one)

    def _take(self, mux: Mux, one: frames.Frame) -> None:
        if one.kind == frames.HELLO and not mux.near:
            mux.accept(unpack_hello(one.payload), self.now)
            return
        for event in mux.receive(one, self.now):
            if isinstance(event, Opened) and event.target == b"echo":
                self.echoes[event.stream] = 0
            elif isinstance(event, Received):
                self._received(mux, event)

    def _received(self, mux: Mux, event: Received) -> None:
        mux.consumed(event.stream, len(event.data), self.now)
        if mux.near:
            self.echoes[event.stream] += len(event.data)
        elif event.stream in self.echoes:
            mux.write(event.stream, event.data)
        else:
            self.arrived[event.stream] = self.arrived.get(event.stream, 0) + len(event.data)

    def rate(self, seconds: float) -> float:
        """Of what arrives in the next ``seconds``, as a share of the path's rate."""
        before = sum(self.arrived.values())
        self.run(seconds)
        return (sum(self.arrived.values()) - before) / seconds / self.up.rate


def test_on_a_slow_path_urgent_bytes_do_not_wait_behind_bulk() -> None:
    link = Link(10, 0.04)
    link.add_bulk()
    link.run(4)
    echoes = []
    for _ in range(60):
        link.run(0.13)
        echoes.append(link.echo())
    # 8 KiB take 7 ms each way; the rest is the queue
    assert sorted(echoes)[30] < 0.04 + 0.014 + 0.045
    assert max(echoes) < 0.04 + 0.014 + 0.06
    assert link.rate(5) > 0.85


@pytest.mark.parametrize(
    ("mbit", "rtt", "settling"), [(1000, 0.0003, 0.5), (200, 0.1, 3.0), (10, 0.4, 5.0)]
)
def test_a_bulk_stream_reaches_most_of_the_rate_within_seconds(
    mbit: float, rtt: float, settling: float
) -> None:
    link = Link(mbit, rtt)
    link.add_bulk()
    link.run(settling)
    assert link.rate(min(1.0, 100 / mbit) + 2 * rtt) > 0.8


def test_stalls_as_of_lost_packets_do_not_shrink_the_cap_for_ever() -> None:
    random = Random(1)
    link = Link(10, 0.4, lambda: 0.4 if random.random() < 0.02 / 20 else 0.0)  # of 30 kB each
    link.add_bulk()
    link.run(10)
    caps = []
    for _ in range(60):
        link.run(1)
        caps.append(link.near.pace.cap)
    assert sorted(caps)[30] > 4 * LEAST_CAP
    assert link.rate(20) > 0.5


def test_the_cap_follows_a_path_that_becomes_faster_and_slower() -> None:
    link = Link(10, 0.04)
    link.add_bulk()
    link.run(5)
    link.up.rate = 100 * MBIT
    link.run(5)
    assert link.rate(2) > 0.8
    link.up.rate = 10 * MBIT
    link.run(5)
    assert link.echo() < 0.04 + 0.014 + 0.06


def test_a_path_that_became_longer_is_filled_again() -> None:
    link = Link(100, 0.02)
    link.add_bulk()
    link.run(5)
    link.up.delay = link.down.delay = 0.1
    link.run(60)
    assert link.rate(2) > 0.8
