"""What to do when the link of a session comes and goes: the one place that decides it. Pure.

``begin`` gives the first state and its action; from then on each thing that happens is an event,
and ``advance`` answers with the next state and the one action that the shell must take.

::

                      Opened  Lost    Failed  Due   Woke   PersonCame  Gone  Stop
    Connecting        Up      -       End     -     same   same        End   End
    Up                -       retry   -       -     Check  Check       End   End
    Backoff           -       -       -       Open  Open   Open        End   End
    Reopening         Up      -       retry   -     same   same        End   End
    WaitingForPerson  -       -       -       -     same   Open        End   End
    Stopped           same    same    same    same  same   same        same  same

``-`` cannot happen and raises :class:`IllegalStep`; ``retry`` is an Open, a Wait, a question to
a person or the End, by the kind of trouble. Only ``begin`` opens with prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.session.retrying import Outage, Trouble, trouble

if TYPE_CHECKING:
    from remotenb.session.retrying import Policy


@dataclass(frozen=True, slots=True)
class Connecting:
    """The first connect goes on; whatever fails now ends it."""


@dataclass(frozen=True, slots=True)
class Up:
    """The link holds."""

    since: float
    flaps: int = 0
    """How often it came and went at once before this."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The next attempt comes at ``until``."""

    until: float
    outage: Outage


@dataclass(frozen=True, slots=True)
class Reopening:
    """An attempt goes on, without a person."""

    outage: Outage


@dataclass(frozen=True, slots=True)
class WaitingForPerson:
    """Nothing is tried before a person comes."""

    outage: Outage


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end."""


State = Connecting | Up | Backoff | Reopening | WaitingForPerson | Stopped


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempt succeeded."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is gone."""

    cause: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    error: Exception
    attended: bool = False
    """Somebody was there to be asked in it."""


@dataclass(frozen=True, slots=True)
class Due:
    """The wait is over."""


@dataclass(frozen=True, slots=True)
class Woke:
    """The laptop slept, or changed its network."""


@dataclass(frozen=True, slots=True)
class PersonCame:
    """Somebody asks to try again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The server does not come back, or something else ends it all."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody ends the session."""


Event = Opened | Lost | Failed | Due | Woke | PersonCame | Gone | Stop


@dataclass(frozen=True, slots=True)
class Open:
    """Connect and log in; with stored keys alone unless ``prompting``."""

    prompting: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Report :class:`Due` after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the far side for a sign of life, now."""


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Tell that a person is needed, and for what."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class End:
    """Close everything; ``error`` is None where somebody wanted it."""

    error: Exception | None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Go on as before."""


Action = Open | Wait | Check | AskPerson | End | Nothing
Step = tuple[State, Action]


class IllegalStep(Exception):
    """An event that cannot happen in this state: a bug of the shell's."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{type(event).__name__} while {type(state).__name__}: {event}, {state}")
        self.state = state
        self.event = event


def begin() -> Step:
    """The first connect: the only one that may ask a person."""
    return Connecting(), Open(prompting=True)


def advance(state: State, event: Event, now: float, policy: Policy) -> Step:
    """The state after ``event``, and what to do; raises :class:`IllegalStep`."""
    match state, event:
        case Stopped(), _:
            return state, Nothing()
        case _, Stop():
            return Stopped(), End(None)
        case _, Gone(error=error):
            return Stopped(), End(error)
        case _:
            return _by_state(state, event, now, policy)


def _by_state(state: State, event: Event, now: float, policy: Policy) -> Step:
    match state:
        case Connecting():
            return _connecting(state, event, now)
        case Up():
            return _up(state, event, now, policy)
        case Backoff():
            return _backoff(state, event, now)
        case Reopening():
            return _reopening(state, event, now, policy)
        case WaitingForPerson():
            return _waiting(state, event)
        case Stopped():  # pragma: no cover  advance has seen to it
            return state, Nothing()


def _connecting(state: Connecting, event: Event, now: float) -> Step:
    match event:
        case Opened():
            return Up(now), Nothing()
        case Failed(error=error):
            return Stopped(), End(error)
        case Woke() | PersonCame():
            return state, Nothing()
        case _:
            raise IllegalStep(state, event)


def _up(state: Up, event: Event, now: float, policy: Policy) -> Step:
    match event:
        case Lost():
            return _lost(state, now, policy)
        case Woke() | PersonCame():
            return state, Check()
        case _:
            raise IllegalStep(state, event)


def _backoff(state: Backoff, event: Event, now: float) -> Step:
    match event:
        case Due() if now < state.until:  # a timer that was early
            return state, Wait(state.until - now)
        case Due() | Woke() | PersonCame():
            return _open(state.outage)
        case _:
            raise IllegalStep(state, event)


def _reopening(state: Reopening, event: Event, now: float, policy: Policy) -> Step:
    match event:
        case Opened():
            return Up(now, state.outage.count(Trouble.FLAPPING)), Nothing()
        case Failed():
            return _failed(state.outage, event, now, policy)
        case Woke() | PersonCame():
            return state, Nothing()
        case _:
            raise IllegalStep(state, event)


def _waiting(state: WaitingForPerson, event: Event) -> Step:
    match event:
        case PersonCame():
            return _open(state.outage)
        case Woke():
            return state, Nothing()
        case _:
            raise IllegalStep(state, event)


def _open(outage: Outage) -> Step:
    return Reopening(outage), Open(prompting=False)


def _lost(state: Up, now: float, policy: Policy) -> Step:
    """As after a failure if the link came and went at once before; the first loss costs no wait."""
    flaps = state.flaps if now - state.since < policy.settled else 0
    why = AskPerson("the connection breaks again and again", "")
    return _retry(Outage(now, {Trouble.FLAPPING: flaps}), Trouble.FLAPPING, why, now, policy)


def _failed(outage: Outage, event: Failed, now: float, policy: Policy) -> Step:
    error, kind = event.error, trouble(event.error)
    if kind is Trouble.REFUSED and event.attended:
        kind = Trouble.PERSON  # the account may be locked by more of that, and keys were tried
    if kind is Trouble.FINAL:
        return Stopped(), End(error)
    why = AskPerson(getattr(error, "message", str(error)), getattr(error, "hint", ""))
    return _retry(outage, kind, why, now, policy)


def _retry(outage: Outage, kind: Trouble, why: AskPerson, now: float, policy: Policy) -> Step:
    schedule = policy.schedule(kind, now - outage.since)
    seconds = schedule.wait(outage.count(kind), policy.jitter())
    if seconds is None:
        return WaitingForPerson(outage), why
    after = outage.with_one(kind)
    return (Backoff(now + seconds, after), Wait(seconds)) if seconds else _open(after)
