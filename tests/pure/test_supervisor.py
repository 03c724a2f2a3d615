"""What a session does when its link comes and goes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb import errors
from remotenb.model import Host
from remotenb.session import supervisor
from remotenb.session.retrying import Outage, Policy, Schedule, Trouble, policy_for, trouble
from remotenb.session.supervisor import (
    AskPerson,
    Backoff,
    Check,
    Connecting,
    Due,
    End,
    Failed,
    Gone,
    IllegalStep,
    Lost,
    Nothing,
    Open,
    Opened,
    PersonCame,
    Reopening,
    Stop,
    Stopped,
    Up,
    Wait,
    WaitingForPerson,
    Woke,
    advance,
    begin,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.session.supervisor import Action, Event, State

NOW = 1000.0
POLICY = Policy()
QUIET_OPEN = Open(prompting=False)
NO_ANSWER = errors.HostUnreachable("box port 22 refuses connections", hint="is sshd up?")
HUNG_UP = errors.ProtocolFailed("box hung up")
REFUSED = errors.AuthenticationFailed("box took no key", hint="ssh-add")

STATES: tuple[State, ...] = (
    Connecting(),
    Up(NOW - 100),
    Backoff(NOW, Outage(NOW - 5)),
    Reopening(Outage(NOW - 5)),
    WaitingForPerson(Outage(NOW - 5)),
    Stopped(),
)
EVENTS: tuple[Event, ...] = (
    Opened(),
    Lost("silence"),
    Failed(NO_ANSWER),
    Due(),
    Woke(),
    PersonCame(),
    Gone(errors.ServerGone("removed")),
    Stop(),
)
CELLS = {
    "Up": (Up, Nothing),
    "Open": (Reopening, Open),
    "Check": (Up, Check),
    "End": (Stopped, End),
}


def name(thing: object) -> str:
    return type(thing).__name__


def table() -> dict[tuple[str, str], str]:
    """The table of the module's docstring: what each cell says, by state and event."""
    assert supervisor.__doc__
    lines = supervisor.__doc__.partition("::\n")[2].strip("\n").splitlines()
    events = lines[0].split()
    rows = [line.split() for line in lines[1 : 1 + len(STATES)]]
    return {
        (row[0], event): cell for row in rows for event, cell in zip(events, row[1:], strict=True)
    }


TABLE = table()
PAIRS = [(state, event) for state in STATES for event in EVENTS]


def test_the_table_has_every_pair_of_state_and_event() -> None:
    assert set(TABLE) == {(name(state), name(event)) for state, event in PAIRS}
    assert {type(state) for state in STATES} == set(supervisor.State.__args__)
    assert {type(event) for event in EVENTS} == set(supervisor.Event.__args__)


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=name)
def test_each_pair_does_what_the_table_says(state: State, event: Event) -> None:
    says = TABLE[name(state), name(event)]
    if says == "-":
        with pytest.raises(IllegalStep, match=f"{name(event)} while {name(state)}"):
            advance(state, event, NOW, POLICY)
        return
    after, action = advance(state, event, NOW, POLICY)
    if says == "same":
        assert (after, action) == (state, Nothing())
    elif says == "retry":
        assert isinstance(after, Reopening | Backoff)
        assert isinstance(action, Open | Wait)
    else:
        assert (type(after), type(action)) == CELLS[says]


def test_only_the_first_connect_asks_a_person() -> None:
    assert begin() == (Connecting(), Open(prompting=True))


@pytest.mark.parametrize("error", [NO_ANSWER, HUNG_UP, REFUSED, ValueError("a bug")])
def test_whatever_fails_first_ends_the_first_connect(error: Exception) -> None:
    assert advance(Connecting(), Failed(error), NOW, POLICY) == (Stopped(), End(error))


def test_a_link_that_held_is_opened_again_at_once() -> None:
    after, action = advance(Up(NOW - 60), Lost("silence"), NOW, POLICY)
    assert isinstance(after, Reopening)
    assert after.outage.since == NOW
    assert action == QUIET_OPEN


def test_whoever_ends_it_is_told_why() -> None:
    gone = errors.ServerGone("the container was removed")
    assert advance(STATES[3], Gone(gone), NOW, POLICY)[1] == End(gone)
    assert advance(STATES[3], Stop(), NOW, POLICY)[1] == End(None)


def test_a_timer_that_is_early_waits_for_the_rest() -> None:
    waiting = Backoff(NOW + 2, Outage(NOW))
    assert advance(waiting, Due(), NOW, POLICY) == (waiting, Wait(2.0))


def failing(error: Exception, policy: Policy = POLICY) -> Iterator[Action]:
    """What follows each failure, time passing as it is waited for, and an attempt taking none."""
    now = NOW
    state, _ = advance(Up(NOW - 60), Lost("silence"), now, policy)
    while True:
        state, action = advance(state, Failed(error), now, policy)
        yield action
        if not isinstance(action, Wait):
            return
        now += action.seconds
        state, again = advance(state, Due(), now, policy)
        assert again == QUIET_OPEN


def waits(error: Exception, number: int, policy: Policy = POLICY) -> list[float]:
    actions = failing(error, policy)
    some = [next(actions) for _ in range(number)]
    return [action.seconds for action in some if isinstance(action, Wait)]


def test_without_an_answer_it_is_tried_four_times_a_second_and_after_a_minute_each_second() -> None:
    seconds = waits(NO_ANSWER, 1000)
    assert seconds == [0.25] * 240 + [1.0] * 760


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.HostUnknown("no such name"), [1, 1, 1, 1, 1, 1]),
        (HUNG_UP, [2, 5, 10, 30, 30, 30]),
        (errors.LinkLost("broke"), [2, 5, 10, 30, 30, 30]),
        (errors.EngineDown("docker is down"), [1] * 120 + [5] * 3),
        (errors.ContainerNotRunning("exited"), [1] * 120 + [5] * 3),
        (errors.JupyterNotReady("silent"), [1] * 120 + [5] * 3),
        (errors.FarSideError("did not finish in 10 s"), [1] * 120 + [5] * 3),
        (errors.ShellUnusable("no home yet"), [2, 5, 10, 15, 15, 15]),
        (errors.StillBooting("box lets nobody in"), [2, 3, *[5] * 23, 30, 30]),
        (REFUSED, [30] * 6),
        (errors.KeyUnusable("encrypted"), [30] * 6),
    ],
    ids=name,
)
def test_each_kind_of_trouble_has_its_own_pace(error: Exception, expected: list[float]) -> None:
    assert waits(error, len(expected)) == expected


@pytest.mark.parametrize(
    "error",
    [NO_ANSWER, errors.HostUnknown("?"), HUNG_UP, errors.EngineDown("?"), errors.FarSideError("?")],
    ids=name,
)
def test_what_may_pass_by_itself_is_tried_for_ever(error: Exception) -> None:
    assert len(waits(error, 20_000)) == 20_000


@pytest.mark.parametrize(
    ("error", "pace"),
    [
        (NO_ANSWER, 1.0),
        (HUNG_UP, 30.0),
        (errors.EngineDown("?"), 5.0),
    ],
    ids=name,
)
def test_an_outage_of_64_hours_is_sat_out_and_over_within_one_wait(
    error: Exception, pace: float
) -> None:
    weekend = 64 * 3600.0
    now, attempts = NOW, 0
    state, _ = advance(Up(NOW - 60), Lost("silence"), now, POLICY)
    while now < NOW + weekend:
        state, action = advance(state, Failed(error), now, POLICY)
        assert isinstance(action, Wait)
        assert action.seconds <= pace
        now += action.seconds
        attempts += 1
        state, again = advance(state, Due(), now, POLICY)
        assert again == QUIET_OPEN
    assert now - NOW - weekend <= pace
    assert attempts <= weekend / pace + 300
    state, _ = advance(state, Opened(), now, POLICY)
    assert isinstance(state, Up)


@pytest.mark.parametrize(
    ("error", "seconds"), [(REFUSED, 600), (errors.MountMissing("/data", hint="mount it"), 122)]
)
def test_what_does_not_pass_becomes_a_persons_business(
    error: errors.RemotenbError, seconds: float
) -> None:
    *before, last = failing(error)
    assert sum(action.seconds for action in before if isinstance(action, Wait)) == seconds
    assert last == AskPerson(error.message, error.hint)


@pytest.mark.parametrize(
    "error",
    [
        errors.HostKeyChanged("changed"),
        errors.HostKeyUnknown("unknown"),
        errors.SshConfigError("bad"),
        errors.ServerGone("removed"),
        errors.PortTaken("taken"),
        errors.ConfigError("bad"),
        errors.RemotenbError("a bug"),
        KeyError("a bug"),
    ],
    ids=name,
)
def test_what_cannot_pass_is_final(error: Exception) -> None:
    assert list(failing(error)) == [End(error)]


def leaves(kind: type[errors.RemotenbError]) -> Iterator[type[errors.RemotenbError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from leaves(below)


KINDS = sorted(set(leaves(errors.LinkError)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_that_calls_itself_passing_is_tried_again(kind: type[errors.LinkError]) -> None:
    assert not kind.passing or trouble(kind("?")) is not Trouble.FINAL


def test_a_refusal_between_other_failures_does_not_start_its_time_anew() -> None:
    state: State = Reopening(Outage(NOW))
    now = NOW
    for _ in range(20):
        for error in (REFUSED, NO_ANSWER):
            state, action = advance(state, Failed(error), now, POLICY)
            assert isinstance(action, Wait)
            now += action.seconds
            state, _ = advance(state, Due(), now, POLICY)
    _, action = advance(state, Failed(REFUSED), now, POLICY)
    assert isinstance(action, AskPerson)


def test_a_person_who_mended_nothing_is_told_so_at_once() -> None:
    asked = WaitingForPerson(Outage(NOW, {Trouble.REFUSED: 20}))
    trying, action = advance(asked, PersonCame(), NOW, POLICY)
    assert action == QUIET_OPEN
    assert advance(trying, Failed(REFUSED), NOW, POLICY) == (
        asked,
        AskPerson("box took no key", "ssh-add"),
    )


def test_a_login_that_only_a_person_can_give_is_not_tried_again() -> None:
    by_hand = errors.LoginNeedsPerson("the login is by password", hint="connect again")
    state, action = advance(Reopening(Outage(NOW)), Failed(by_hand), NOW, POLICY)
    assert isinstance(state, WaitingForPerson)
    assert action == AskPerson("the login is by password", "connect again")


def test_what_somebody_typed_in_vain_is_not_followed_by_tries_without_them() -> None:
    trying = Reopening(Outage(NOW))
    state, action = advance(trying, Failed(REFUSED, attended=True), NOW, POLICY)
    assert isinstance(state, WaitingForPerson)
    assert action == AskPerson("box took no key", "ssh-add")
    state, _ = advance(trying, Failed(NO_ANSWER, attended=True), NOW, POLICY)
    assert not isinstance(state, WaitingForPerson)


def test_a_link_that_comes_and_goes_is_opened_less_and_less_often() -> None:
    state: State = Up(NOW)
    seconds = []
    now = NOW
    for _ in range(8):
        state, action = advance(state, Lost("reset"), now, POLICY)
        if isinstance(action, Wait):
            seconds.append(action.seconds)
            now += action.seconds
            state, action = advance(state, Due(), now, POLICY)
        assert action == QUIET_OPEN
        state, _ = advance(state, Opened(), now, POLICY)
    assert seconds == [0.25, 1, 2, 5, 10, 30, 30]
    assert advance(state, Lost("reset"), now + POLICY.settled, POLICY)[1] == QUIET_OPEN


def test_jitter_makes_waits_longer_and_comes_from_the_policy() -> None:
    jumpy = replace(POLICY, jitter=lambda: 0.5)
    assert waits(HUNG_UP, 4, jumpy) == [2.25, 5.625, 11.25, 33.75]
    assert waits(NO_ANSWER, 1, jumpy) == [0.25]


def test_behind_other_hosts_each_attempt_costs_a_login_and_there_are_fewer() -> None:
    host = Host("box", "box.example", "ann")
    assert policy_for(host, POLICY.jitter) == POLICY
    for behind in (replace(host, jumps=(host,)), replace(host, proxy_command="nc %h %p")):
        policy = policy_for(behind, POLICY.jitter)
        assert waits(NO_ANSWER, 61, policy) == [1.0] * 60 + [5.0]


def test_a_schedule_counts_only_the_waits_that_were() -> None:
    schedule = Schedule((1.0, 4.0), person_after=13.0)
    assert [schedule.wait(n, 0.0) for n in range(5)] == [1.0, 4.0, 4.0, 4.0, None]


ERRORS = st.sampled_from(
    [
        NO_ANSWER,
        errors.HostUnknown("?"),
        HUNG_UP,
        errors.LinkLost("?"),
        REFUSED,
        errors.EngineDown("?"),
        errors.DiskFull("?"),
        errors.HostKeyChanged("?"),
        ValueError("?"),
    ]
)
HAPPENINGS = st.one_of(
    st.sampled_from([Opened(), Lost("?"), Due(), Woke(), PersonCame(), Stop()]),
    st.builds(Failed, ERRORS),
)
PASSING = st.lists(
    st.tuples(HAPPENINGS, st.floats(0, 40), st.floats(0, 0.999)), min_size=1, max_size=60
)


def always(luck: float) -> Callable[[], float]:
    return lambda: luck


def played(
    happenings: list[tuple[Event, float, float]],
) -> Iterator[tuple[float, State, Event, Action]]:
    """Each legal event of ``happenings``; it comes a while after the last, Due only when it is."""
    state, _ = begin()
    now = NOW
    for event, later, luck in happenings:
        due = isinstance(event, Due) and isinstance(state, Backoff)
        now = state.until if isinstance(state, Backoff) and due else now + later
        if TABLE[name(state), name(event)] != "-":
            state, action = advance(state, event, now, replace(POLICY, jitter=always(luck)))
            yield now, state, event, action


@given(PASSING)
def test_after_the_first_connect_nobody_is_prompted(
    happenings: list[tuple[Event, float, float]],
) -> None:
    assert all(action != Open(prompting=True) for *_, action in played(happenings))


@given(PASSING)
def test_the_end_is_the_end(happenings: list[tuple[Event, float, float]]) -> None:
    ended = False
    for _, state, _, action in played(happenings):
        assert not ended or (state, action) == (Stopped(), Nothing())
        ended = ended or isinstance(action, End)
        assert isinstance(state, Stopped) is ended


@given(PASSING)
def test_every_wait_is_a_wait_and_its_state_knows_its_end(
    happenings: list[tuple[Event, float, float]],
) -> None:
    for now, state, _, action in played(happenings):
        if isinstance(action, Wait):
            assert action.seconds > 0
            assert isinstance(state, Backoff)
            assert state.until == pytest.approx(now + action.seconds)


@given(
    st.lists(st.tuples(st.one_of(st.just(Opened()), st.builds(Failed, ERRORS)), st.floats(0, 20)))
)
def test_between_two_attempts_time_passes_unless_somebody_asks(
    outcomes: list[tuple[Event, float]],
) -> None:
    """Attempts and links that take no time at all: only the first loss is opened at once."""
    now = NOW
    state: State = Up(now)
    opened: list[float] = []
    for outcome, held in outcomes:
        event: Event = Lost("?") if isinstance(state, Up) else outcome
        now += held if isinstance(state, Up) and held > POLICY.settled else 0
        state, action = advance(state, event, now, POLICY)
        if isinstance(state, Backoff):
            now = state.until
            state, action = advance(state, Due(), now, POLICY)
        if isinstance(action, Open):
            opened.append(now)
    assert all(after - before > 0.249 for before, after in pairwise(opened))
