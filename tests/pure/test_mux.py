"""The relay's protocol: streams go on over cuts, whole and in order, or both ends know better."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotenb.far import frames
from remotenb.far.events import Bye, Ended, Event, Opened, Received, Refused, Reset, Status
from remotenb.far.frames import Decoder, unpack_hello
from remotenb.far.mux import ACK_EVERY_S, NEVER, Mux
from remotenb.far.pace import PING_IDLE_S
from remotenb.far.stream import FIRST_WINDOW, LAST_WINDOW, URGENT_BYTES
from tests.pure.mux_world import SESSION, Seeded, run_seed

SCHEDULES = 500
LARGE = 20 << 20


class Pair:
    """Two ends, and a link that carries all at once."""

    def __init__(self) -> None:
        self.near = Mux(True, SESSION, b"n" * 16)
        self.far = Mux(False, SESSION, b"f" * 16)
        self.now = 1.0
        self.epoch = 0
        self.link()

    def link(self) -> list[Event]:
        """A new link; what the near side is told by it."""
        self.near.disconnect()
        self.far.disconnect()
        self.epoch += 1
        (hello,) = Decoder().feed(self.near.connect(self.epoch, self.now))
        return self.far.accept(unpack_hello(hello.payload), self.now)

    def up(self, size: int = LARGE) -> list[Event]:
        return carry(self.near, self.far, self.now, size)

    def down(self, size: int = LARGE) -> list[Event]:
        return carry(self.far, self.near, self.now, size)

    def both(self, rounds: int = 4) -> list[Event]:
        events = []
        for _ in range(rounds):
            self.now += 0.05
            events += self.up() + self.down()
        return events


def carry(sender: Mux, receiver: Mux, now: float, size: int) -> list[Event]:
    events = []
    for one in Decoder().feed(sender.pull(now, size)):
        events += receiver.receive(one, now)
    return [event for event in events if not isinstance(event, frames.Hello)]


def sent(mux: Mux, now: float, size: int = LARGE) -> list[frames.Frame]:
    return list(Decoder().feed(mux.pull(now, size)))


def bytes_of(events: list[Event]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for event in events:
        if isinstance(event, Received):
            counts[event.stream] = counts.get(event.stream, 0) + len(event.data)
    return counts


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    pair.both(2)
    return pair


@settings(max_examples=SCHEDULES, deadline=None)
@given(st.integers(0, 1 << 40))
def test_what_is_written_arrives_once_and_whole_or_both_ends_know(seed: int) -> None:
    run_seed(seed)


def test_a_seed_repeats_its_decisions() -> None:
    first, second = Seeded(7), Seeded(7)
    assert [first.number(0, 99) for _ in range(9)] == [second.number(0, 99) for _ in range(9)]


def test_an_opening_and_its_first_bytes_travel_behind_hello_without_waiting() -> None:
    near = Mux(True, SESSION, b"n" * 16)
    number = near.open(b"t", 1.0)
    near.write(number, b"GET /")
    (hello,) = Decoder().feed(near.connect(1, 1.0))
    kinds = [one.kind for one in sent(near, 1.0)]
    assert hello.kind == frames.HELLO
    assert kinds == [frames.PING, frames.OPEN, frames.DATA]


def test_a_stream_of_the_last_link_waits_until_the_far_side_says_what_it_has(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.up()
    pair.near.write(number, b"abc")
    pair.link()
    assert {one.kind for one in sent(pair.near, pair.now)} == {frames.PING}
    pair.down()
    assert bytes_of(pair.up()) == {number: 3}


def test_what_arrived_unacknowledged_before_a_cut_is_not_sent_again(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.near.write(number, b"abcdef")
    assert bytes_of(pair.up()) == {number: 6}
    assert pair.near.held == 6
    pair.link()
    assert bytes_of(pair.both()) == {}
    assert pair.near.held == 0


def test_an_opening_that_was_lost_is_sent_again(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.near.write(number, b"abc")
    sent(pair.near, pair.now)  # and nobody gets it
    pair.link()
    assert pair.both() == [Opened(number, b"t"), Received(number, b"abc")]


def test_credit_that_a_reader_gave_during_the_outage_counts(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.up()
    pair.far.write(number, bytes(FIRST_WINDOW + 10))
    assert bytes_of(pair.both(20)) == {number: FIRST_WINDOW}
    pair.near.disconnect()
    pair.near.consumed(number, FIRST_WINDOW, pair.now)
    pair.link()
    assert bytes_of(pair.both()) == {number: 10}


def test_a_stream_opened_with_a_relay_that_died_is_not_opened_with_the_next() -> None:
    pair = Pair()
    number = pair.near.open(b"POST", pair.now)
    assert Opened(number, b"POST") in pair.up()
    pair.far = Mux(False, SESSION, b"g" * 16)
    pair.link()  # its HELLO is lost, too
    pair.link()
    events = pair.both()
    assert Reset(number) in events
    assert not any(isinstance(event, Opened) for event in events)


def test_a_stream_the_second_relay_knows_goes_on_though_its_hello_was_lost(pair: Pair) -> None:
    pair.far = Mux(False, SESSION, b"g" * 16)
    pair.near.disconnect()
    number = pair.near.open(b"t", pair.now)
    pair.link()
    assert Opened(number, b"t") in pair.up()
    pair.link()
    pair.near.write(number, b"abc")
    events = pair.both()
    assert Reset(number) not in events
    assert bytes_of(events) == {number: 3}


def test_a_half_closed_stream_carries_the_answer(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.near.write(number, b"question")
    pair.near.finish(number)
    assert pair.up()[-1] == Ended(number)
    pair.far.write(number, b"answer")
    pair.far.finish(number)
    assert pair.both() == [Received(number, b"answer"), Ended(number)]
    assert not pair.near.streams
    assert not pair.far.streams


def test_what_is_written_to_a_stream_that_is_over_goes_nowhere(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.near.reset(number)
    pair.near.reset(number)
    pair.near.write(number, b"abc")
    pair.near.finish(number)
    pair.near.consumed(number, 3, pair.now)
    assert pair.near.room(number) == 0
    assert pair.both() == []


def test_room_ends_at_the_windows_and_is_never_negative(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    assert pair.near.room(number) == FIRST_WINDOW
    pair.near.write(number, bytes(LAST_WINDOW + 1))
    assert pair.near.room(number) == 0


def test_a_reader_that_does_not_read_stops_only_its_own_stream(pair: Pair) -> None:
    slow, quick = pair.near.open(b"s", pair.now), pair.near.open(b"q", pair.now)
    pair.up()
    pair.far.write(slow, bytes(LAST_WINDOW))
    for _ in range(40):
        pair.both(1)
    pair.far.write(quick, bytes(100_000))
    assert bytes_of(pair.both()) == {quick: 100_000}
    assert pair.near.streams[slow].received == FIRST_WINDOW


def test_a_window_grows_for_a_reader_that_keeps_up_and_not_beyond_its_most(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.up()
    for _ in range(60):
        pair.far.write(number, bytes(max(pair.far.room(number), 0)))
        pair.now += 0.01
        count = bytes_of(pair.down()).get(number, 0)
        pair.near.consumed(number, count, pair.now)
        pair.up()
    assert pair.near.streams[number].window == LAST_WINDOW


def test_small_messages_do_not_wait_for_bulk_and_do_not_count_its_cap(pair: Pair) -> None:
    bulk = [pair.near.open(b"b", pair.now) for _ in range(2)]
    socket = pair.near.open(b"w", pair.now)
    pair.up()
    for number in bulk:
        pair.far.write(number, bytes(FIRST_WINDOW))
    while sent(pair.far, pair.now, 64 << 10):
        pass
    pair.far.write(socket, b"x" * 100)
    (one,) = sent(pair.far, pair.now, 1)
    assert (one.kind, one.stream, one.payload) == (frames.DATA, socket, b"x" * 100)


def test_a_small_message_is_the_first_in_the_next_pull(pair: Pair) -> None:
    bulk = [pair.near.open(b"b", pair.now) for _ in range(2)]
    socket = pair.near.open(b"w", pair.now)
    pair.up()
    for number in bulk:
        pair.far.write(number, bytes(FIRST_WINDOW))
    sent(pair.far, pair.now, 40_000)
    pair.far.write(socket, b"x")
    data = [one for one in sent(pair.far, pair.now, 40_000) if one.kind == frames.DATA]
    assert data[0].stream == socket


def test_a_flood_in_small_writes_is_held_by_the_cap_as_any_other(pair: Pair) -> None:
    number = pair.near.open(b"w", pair.now)
    pair.up()
    for _ in range(FIRST_WINDOW // 1000):
        pair.far.write(number, bytes(1000))
        sent(pair.far, pair.now)
    assert pair.far._turns.under_way <= pair.far.pace.cap + URGENT_BYTES


def test_many_small_streams_together_do_not_exceed_twice_the_cap(pair: Pair) -> None:
    many = [pair.near.open(b"w", pair.now) for _ in range(500)]
    pair.up()
    for number in many:
        pair.far.write(number, bytes(URGENT_BYTES))
    for _ in range(10):
        sent(pair.far, pair.now)
    assert pair.far._turns.under_way <= 2 * pair.far.pace.cap + URGENT_BYTES


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_bulk_streams_share_the_link_within_a_fifth(pair: Pair, count: int) -> None:
    bulk = [pair.near.open(b"b", pair.now) for _ in range(count)]
    pair.up()
    total: dict[int, int] = dict.fromkeys(bulk, 0)
    for _ in range(600):
        for number in bulk:
            pair.far.write(number, bytes(pair.far.room(number)))
        pair.now += 0.005
        for number, size in bytes_of(pair.down(100_000)).items():
            pair.near.consumed(number, size, pair.now)
            total[number] += size
        pair.up()
    assert min(total.values()) > 0.8 * max(total.values())


def test_without_a_link_nothing_is_due_and_nothing_is_sent() -> None:
    near = Mux(True, SESSION, b"n" * 16)
    near.open(b"t", 1.0)
    assert near.deadline() == NEVER
    assert near.pull(1.0) == b""


def test_after_each_pull_the_next_deadline_lies_in_the_future(pair: Pair) -> None:
    number = pair.near.open(b"t", pair.now)
    pair.up()
    pair.far.write(number, b"abc")
    pair.down()
    assert pair.near.deadline() == pair.now
    pair.near.pull(pair.now)
    pair.far.write(number, b"def")
    pair.down()
    assert pair.near.deadline() == pytest.approx(pair.now + ACK_EVERY_S)
    pair.link()
    pair.near.consumed(number, 3, pair.now)
    for _ in range(200):  # nobody answers
        pair.now += PING_IDLE_S
        pair.near.pull(pair.now)
        pair.far.pull(pair.now)
        assert pair.near.deadline() > pair.now
        assert pair.far.deadline() > pair.now


def test_silence_counts_from_the_last_answer_or_the_links_begin(pair: Pair) -> None:
    heard = pair.near.heard
    assert pair.near.silence(heard + 3) == pytest.approx(3)
    pair.now += 10
    pair.link()
    assert pair.near.silence(pair.now + 1) == pytest.approx(1)


def test_a_ping_of_the_peers_own_is_no_sign_that_ours_arrive(pair: Pair) -> None:
    heard = pair.near.heard
    pair.now += PING_IDLE_S
    came = sent(pair.far, pair.now)
    assert [one.kind for one in came] == [frames.PING]
    for one in came:
        pair.near.receive(one, pair.now)
    assert pair.near.heard == heard
    pair.both(1)
    assert pair.near.heard == pair.now


def test_what_the_far_side_says_of_itself_is_told(pair: Pair) -> None:
    said = frames.status(123, stopped=True) + frames.refusal("superseded")
    told = [event for one in Decoder().feed(said) for event in pair.near.receive(one, 2.0)]
    assert told == [Status(123, True), Refused("superseded")]
    (bye,) = Decoder().feed(frames.frame(frames.BYE))
    assert pair.far.receive(bye, 2.0) == [Bye()]
