"""Whatever a peer sends, a link's end either takes it or raises ProtocolError, in little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remotenb.far import frames
from remotenb.far.events import Ended, Opened, Received, Reset
from remotenb.far.frames import (
    Decoder,
    Entry,
    Frame,
    Hello,
    ProtocolError,
    frame,
    pack_hello,
    unpack_hello,
)
from remotenb.far.mux import ANSWERS, NOBODY, Mux
from remotenb.far.stream import FIRST_WINDOW, LAST_WINDOW
from tests.pure.mux_world import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable

NEAR, FAR = b"n" * 16, b"f" * 16
MOST = (1 << 64) - 1
LAST_STREAM = (1 << 32) - 1
LARGEST_FRAME = frames.HEADER.size + frames._SIZES[frames.HELLO][1]
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, LAST_STREAM - 1, LAST_STREAM])
OFFSETS = st.sampled_from([0, 1, 2, 3, 4, 1000, FIRST_WINDOW, MOST - 1, MOST])
ENTRIES = st.builds(Entry, NUMBERS, OFFSETS, OFFSETS, st.booleans())
HELLOS = st.builds(
    Hello,
    st.sampled_from([1, 1, 1, 2]),
    st.booleans(),
    st.sampled_from([SESSION, SESSION, NOBODY]),
    st.sampled_from([NEAR, FAR, b"x" * 16]),
    st.sampled_from([NOBODY, FAR, NEAR]),
    st.sampled_from([1, 2, 3, MOST]),
    NUMBERS,
    st.lists(ENTRIES, max_size=4).map(tuple),
)
PAYLOADS = {
    frames.REFUSE: st.binary(max_size=9),
    frames.OPEN: st.binary(min_size=1, max_size=9),
    frames.DATA: st.binary(min_size=1, max_size=9),
    frames.ACK: OFFSETS.map(frames.LIMIT.pack),
    frames.STATUS: st.binary(min_size=9, max_size=9),
}
FRAMES = st.one_of(
    HELLOS.map(pack_hello),
    *(
        st.builds(frame, st.just(kind), NUMBERS, OFFSETS, PAYLOADS.get(kind, st.just(b"")))
        for kind in range(frames.REFUSE, frames.STATUS + 1)
    ),
)


class Victim:
    """One end on a link with a peer that may be anything; its application does what it can."""

    def __init__(self, *, near: bool) -> None:
        self.mux = Mux(near, SESSION, NEAR if near else FAR)
        self.now = 1.0
        self.decoder = Decoder()
        self.unread: dict[int, int] = {}
        if near:
            self._work_of_before()
            self.mux.connect(2, self.now)
            self.mux.pull(self.now)

    def _work_of_before(self) -> None:
        """One stream is known to the peer, one was reset, and one is new."""
        self.mux.connect(1, self.now)
        first, second = self.mux.open(b"a", self.now), self.mux.open(b"b", self.now)
        self.mux.write(first, b"abc")
        self.mux.finish(first)
        self.mux.pull(self.now)
        self.mux.reset(second)
        self.mux.disconnect()
        self.mux.open(b"c", self.now)

    def feed(self, data: bytes) -> None:
        for one in self.decoder.feed(data):
            self.take(one)
        self.check_bounds()

    def take(self, one: Frame) -> None:
        if one.kind == frames.HELLO and not self.mux.near and self.mux.epoch == 0:
            events = self.mux.accept(unpack_hello(one.payload), self.now)
        else:
            events = self.mux.receive(one, self.now)
        for event in events:
            if isinstance(event, Opened):
                self.mux.write(event.stream, b"welcome")
            elif isinstance(event, Received):
                self.unread[event.stream] = self.unread.get(event.stream, 0) + len(event.data)
            elif isinstance(event, Ended):
                self.mux.finish(event.stream)

    def check_bounds(self) -> None:
        mux = self.mux
        assert len(self.decoder._buffer) < LARGEST_FRAME
        assert len(mux._control) <= ANSWERS + 1
        assert len(mux.streams) + len(mux._resets) <= frames.MAX_STREAMS
        assert set(mux._acks) | set(mux._turns._waiting) <= set(mux.streams)
        assert mux._turns.under_way >= 0
        for number, count in self.unread.items():
            if number in mux.streams:
                assert count <= FIRST_WINDOW

    def go_on(self) -> None:
        """The application's time: it reads, and what there is to send goes out."""
        self.now += 0.5
        for number, count in self.unread.items():
            self.mux.consumed(number, count, self.now)
        self.unread.clear()
        self.mux.pull(self.now)
        self.mux.deadline()


def greeted(*, near: bool) -> Victim:
    """An end whose peer began as it should."""
    victim = Victim(near=near)
    epoch, incarnation = (2, FAR) if near else (1, NEAR)
    entries = (Entry(1, 0, FIRST_WINDOW, reset=False),) if near else ()
    highest = 1 if near else 0
    hello = Hello(1, False, SESSION, incarnation, NOBODY, epoch, highest, entries)
    victim.feed(pack_hello(hello))
    victim.mux.pull(victim.now)
    return victim


def torture(victim: Victim, parts: list[bytes]) -> None:
    """Feed all; when the link must end for it, the next one works."""
    try:
        for part in parts:
            victim.feed(part)
            victim.go_on()
    except ProtocolError:
        victim.check_bounds()
    victim.mux.disconnect()
    assert victim.mux.pull(victim.now) == b""
    if victim.mux.near:
        victim.mux.connect(victim.mux.epoch + 1, victim.now)
        victim.mux.pull(victim.now)


@given(st.booleans(), st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_at_all_are_taken_or_refused(near: bool, parts: list[bytes]) -> None:  # noqa: FBT001  hypothesis gives it
    torture(Victim(near=near), parts)
    torture(greeted(near=near), parts)


@settings(max_examples=500, deadline=None)
@given(st.booleans(), st.booleans(), st.lists(FRAMES, max_size=12))
def test_any_frames_in_any_order_are_taken_or_refused(
    near: bool,  # noqa: FBT001  hypothesis gives it
    polite: bool,  # noqa: FBT001  hypothesis gives it
    parts: list[bytes],
) -> None:
    torture(greeted(near=near) if polite else Victim(near=near), parts)


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(FRAMES, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(1, 60),
)
def test_frames_with_bytes_changed_are_taken_or_refused(
    near: bool,  # noqa: FBT001  hypothesis gives it
    parts: list[bytes],
    changes: list[tuple[int, int]],
    size: int,
) -> None:
    data = bytearray(b"".join(parts))
    for at, value in changes:
        data[at % len(data)] = value
    pieces = [bytes(data[at : at + size]) for at in range(0, len(data), size)]
    torture(greeted(near=near), pieces)


@given(st.lists(FRAMES, max_size=6), st.integers(1, 50))
@example([frame(frames.DATA, 1, 0, bytes(frames.MAX_DATA))], 1000)
def test_frames_are_the_same_however_they_are_split(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    decoder = Decoder()
    seen: list[frames.Frame] = []
    for at in range(0, len(data), size):
        seen += decoder.feed(data[at : at + size])
    assert seen == list(Decoder().feed(data))
    assert b"".join(frame(*one) for one in seen) == data


@given(HELLOS)
def test_a_hello_is_read_as_it_was_written(hello: Hello) -> None:
    (one,) = Decoder().feed(pack_hello(hello))
    assert unpack_hello(one.payload) == hello


@pytest.mark.parametrize("kind", [0, *range(frames.HELLO, frames.STATUS + 1), 12, 255])
def test_a_length_that_a_type_may_not_have_is_refused_by_its_head_alone(kind: int) -> None:
    least, most = frames._SIZES.get(kind, (0, 0))
    for length in {most + 1, 1 << 31, LAST_STREAM} | ({least - 1} if least else set()):
        with pytest.raises(ProtocolError):
            list(Decoder().feed(frames.HEADER.pack(kind, 1, 0, length)))


def test_a_decoder_that_refused_does_not_recover() -> None:
    decoder = Decoder()
    for data in (b"\xff" * 20, frame(frames.PING)):
        with pytest.raises(ProtocolError):
            list(decoder.feed(data))


def hello_of(near: bool, **changes: Any) -> Hello:  # noqa: FBT001  whose it is
    epoch, incarnation = (1, NEAR) if near else (2, FAR)
    return Hello(1, False, SESSION, incarnation, NOBODY, epoch, 1, ())._replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"version": 2}, {"session": NOBODY}, {"epoch": 3}, {"epoch": 1}, {"epoch": MOST}],
    ids=str,
)
def test_the_near_side_takes_no_hello_of_another_link(changes: dict[str, Any]) -> None:
    victim = Victim(near=True)
    with pytest.raises(ProtocolError):
        victim.feed(pack_hello(hello_of(near=False, **changes)))
    assert set(victim.mux.streams) == {1, 3}


@pytest.mark.parametrize(
    "changes",
    [{"version": 0}, {"session": NOBODY}, {"epoch": 1}, {"epoch": 0}, {"incarnation": FAR}],
    ids=str,
)
def test_the_far_side_goes_on_as_before_when_a_hello_is_not_for_it(
    changes: dict[str, Any],
) -> None:
    victim = greeted(near=False)
    victim.feed(frame(frames.OPEN, 1, FIRST_WINDOW, b"t"))
    with pytest.raises(ProtocolError):
        victim.mux.accept(hello_of(near=True, **{"epoch": 2, **changes}), 2.0)
    assert victim.mux.epoch == 1
    victim.feed(frame(frames.DATA, 1, 0, b"abc"))
    assert victim.unread == {1: 3}


@pytest.mark.parametrize("received", [5, 9, MOST])
def test_a_hello_that_claims_what_was_not_sent_changes_nothing(received: int) -> None:
    """No stream may be forgotten without its application being told."""
    victim = Victim(near=True)
    entries = (Entry(3, 0, 0, reset=True), Entry(1, received, 0, reset=False))
    with pytest.raises(ProtocolError):
        victim.feed(pack_hello(hello_of(near=False, streams=entries)))
    assert set(victim.mux.streams) == {1, 3}
    assert victim.mux.held == 3


def test_a_peer_may_not_take_back_what_it_acknowledged() -> None:
    victim = greeted(near=True)
    victim.feed(frame(frames.ACK, 1, 2, frames.LIMIT.pack(FIRST_WINDOW)))
    with pytest.raises(ProtocolError):
        victim.feed(frame(frames.ACK, 1, 1, frames.LIMIT.pack(FIRST_WINDOW)))


ACK_ALL = frames.LIMIT.pack(MOST)


@pytest.mark.parametrize(
    ("near", "data"),
    [
        (True, pack_hello(hello_of(near=False))),
        (False, pack_hello(hello_of(near=True))),
        (True, frame(frames.OPEN, 9, 0, b"t")),
        (True, frame(frames.BYE)),
        (False, frame(frames.REFUSE)),
        (False, frame(frames.STATUS, payload=bytes(9))),
        (True, frame(frames.DATA, 9, 0, b"x")),
        (False, frame(frames.DATA, 9, 0, b"x")),
        (False, frame(frames.END, 9)),
        (False, frame(frames.RESET, 9)),
        (False, frame(frames.ACK, 9, 0, ACK_ALL)),
        (True, frame(frames.ACK, 1, 5, ACK_ALL)),
        (True, frame(frames.ACK, 1, MOST, ACK_ALL)),
        (True, frame(frames.DATA, 1, 1, b"x")),
        (True, frame(frames.DATA, 1, MOST, b"x")),
        (True, frame(frames.END, 1, 1)),
        (True, frame(frames.END, 1, MOST)),
        (True, frame(frames.END, 1) * 2),
        (True, frame(frames.END, 1) + frame(frames.DATA, 1, 0, b"x")),
        (False, frame(frames.OPEN, 0, 0, b"t")),
        (False, frame(frames.OPEN, 2, 0, b"t") * 2),
        (False, frame(frames.OPEN, 2, 0, b"t") + frame(frames.OPEN, 1, 0, b"t")),
        (False, frame(frames.OPEN, 2, 0, b"t") + frame(frames.ACK, 2, 1, ACK_ALL)),
    ],
)
def test_what_no_correct_peer_sends_ends_the_link(near: bool, data: bytes) -> None:  # noqa: FBT001  whose side
    with pytest.raises(ProtocolError):
        greeted(near=near).feed(data)


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        frame(frames.PING, 0, MOST),
        frame(frames.DATA, 1, 0, b"x"),
        frame(frames.ACK, 1, 0, ACK_ALL),
        frame(frames.RESET, 1),
    ],
)
def test_nothing_is_taken_before_hello(near: bool, data: bytes) -> None:  # noqa: FBT001  whose side
    with pytest.raises(ProtocolError):
        Victim(near=near).feed(data)


def flood(victim: Victim, parts: Callable[[int], bytes], most: int) -> int:
    """How many of ``parts`` an end takes that may not send."""
    for count in range(most):
        try:
            victim.feed(parts(count))
        except ProtocolError:
            return count
    return most


@pytest.mark.parametrize("near", [True, False])
def test_pings_to_an_end_that_may_not_answer_are_bounded(near: bool) -> None:  # noqa: FBT001  whose side
    victim = greeted(near=near)
    taken = flood(victim, lambda n: frame(frames.PING, 0, n), 2 * ANSWERS)
    assert 64 < taken <= ANSWERS + 1
    assert sum(map(len, victim.mux._control)) < 1 << 20


def test_resets_to_an_end_that_may_not_answer_are_bounded() -> None:
    victim = greeted(near=False)
    victim.feed(frame(frames.OPEN, LAST_STREAM, 0, b"t"))
    taken = flood(victim, lambda n: frame(frames.RESET, n + 1), 2 * ANSWERS)
    assert frames.MAX_STREAMS <= taken <= ANSWERS + 1


def test_streams_opened_and_reset_at_once_are_bounded() -> None:
    victim = greeted(near=False)

    def open_and_reset(n: int) -> bytes:
        return frame(frames.OPEN, n + 1, 0, b"t") + frame(frames.RESET, n + 1)

    assert flood(victim, open_and_reset, 2 * ANSWERS) <= ANSWERS + 1


def test_no_more_streams_are_opened_than_may_be() -> None:
    victim = greeted(near=False)
    taken = flood(victim, lambda n: frame(frames.OPEN, n + 1, 0, b"t"), 2 * frames.MAX_STREAMS)
    assert taken == frames.MAX_STREAMS


def test_streams_that_the_far_side_reset_count_until_the_peer_knows() -> None:
    victim = greeted(near=False)
    for number in range(1, frames.MAX_STREAMS + 1):
        victim.feed(frame(frames.OPEN, number, 0, b"t"))
        victim.mux.reset(number)
    with pytest.raises(ProtocolError):
        victim.feed(frame(frames.OPEN, frames.MAX_STREAMS + 1, 0, b"t"))
    victim.go_on()
    victim.feed(frame(frames.RESET, 1))
    victim.feed(frame(frames.OPEN, frames.MAX_STREAMS + 2, 0, b"t"))


def test_the_near_side_opens_no_more_streams_than_may_be() -> None:
    near = Mux(near=True, session=SESSION, incarnation=NEAR)
    for _ in range(frames.MAX_STREAMS):
        near.open(b"t", 1.0)
    with pytest.raises(ProtocolError):
        near.open(b"t", 1.0)


def test_data_beyond_the_window_ends_the_link() -> None:
    victim = greeted(near=False)
    victim.feed(frame(frames.OPEN, 1, 0, b"t"))
    chunk = bytes(frames.MAX_DATA)
    for offset in range(0, FIRST_WINDOW, len(chunk)):
        victim.feed(frame(frames.DATA, 1, offset, chunk))
    with pytest.raises(ProtocolError):
        victim.feed(frame(frames.DATA, 1, FIRST_WINDOW, b"x"))


def test_a_limit_without_end_does_not_make_room_without_end() -> None:
    victim = greeted(near=False)
    victim.feed(frame(frames.OPEN, 1, MOST, b"t"))
    assert victim.mux.room(1) == LAST_WINDOW - len(b"welcome")


def test_an_answer_to_no_ping_says_nothing_about_the_path() -> None:
    victim = greeted(near=True)
    victim.feed(frame(frames.PONG, 0, MOST) + frame(frames.PONG, 0, 12345))
    assert victim.mux.pace.rtt == 0


def test_a_reset_of_a_stream_is_told_once_and_answered() -> None:
    victim = greeted(near=True)
    (one,) = Decoder().feed(frame(frames.RESET, 1))
    assert victim.mux.receive(one, 1.0) == [Reset(1)]
    assert victim.mux.receive(one, 1.0) == []
    kinds = [each.kind for each in Decoder().feed(victim.mux.pull(1.0, 1))]
    assert kinds.count(frames.RESET) == 2
