"""How often to try again, by the kind of trouble: all the numbers of a reconnect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from remotenb import errors

if TYPE_CHECKING:
    from remotenb.model import Host


class Trouble(Enum):
    """Why an attempt failed, as far as the next one depends on it."""

    NO_ANSWER = "no TCP connection"
    NO_NAME = "the name does not resolve"
    NO_LOGIN = "TCP, but no login: sshd is overloaded, or counts us as a nuisance"
    BOOTING = "the login is right, and comes too early"
    REFUSED = "the login was refused: still booting, or an agent that is locked"
    NOT_YET = "what is needed over there comes by itself"
    SETBACK = "what is needed over there is not as it was; a person may have to mend it"
    FLAPPING = "the link comes, and goes again at once"
    PERSON = "the login is by password or second factor, which no retry may use"
    FINAL = "trying again cannot help"


# The most precise come first. What comes back without anybody's help is NOT_YET: a daemon that
# restarts, a container that its restart policy starts (the shell says Gone where there is none),
# a Jupyter that is slow to start.
_KINDS: Final = (
    (errors.HostUnreachable, Trouble.NO_ANSWER),
    (errors.HostUnknown, Trouble.NO_NAME),
    (errors.LinkLost, Trouble.NO_LOGIN),
    (errors.ProtocolFailed, Trouble.NO_LOGIN),
    (errors.StillBooting, Trouble.BOOTING),
    (errors.LoginNeedsPerson, Trouble.PERSON),
    (errors.AuthenticationFailed, Trouble.REFUSED),
    (errors.KeyUnusable, Trouble.REFUSED),
    (errors.EngineDown, Trouble.NOT_YET),
    (errors.ContainerNotRunning, Trouble.NOT_YET),
    (errors.JupyterNotReady, Trouble.NOT_YET),
    (errors.FarSideError, Trouble.SETBACK),
)


def trouble(error: Exception) -> Trouble:
    """What ``error`` means for the next attempt; a host key that is wrong, and a bug, are final."""
    if type(error) is errors.FarSideError:  # a script's timeout: the machine is overloaded
        return Trouble.NOT_YET
    return next((kind for ours, kind in _KINDS if isinstance(error, ours)), Trouble.FINAL)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to wait after the first failure of a kind, the second, …; the last is repeated."""

    waits: tuple[float, ...]
    person_after: float = float("inf")
    """Seconds of such waits after which only a person can help."""
    spread: float = 0.0
    """The share of a wait that jitter may add."""

    def wait(self, failures: int, jitter: float) -> float | None:
        """The wait after one more than ``failures``; None when it is a person's turn."""
        beyond = max(failures - len(self.waits), 0)
        waited = sum(self.waits[:failures]) + beyond * self.waits[-1]
        if waited >= self.person_after:
            return None
        return self.waits[min(failures, len(self.waits) - 1)] * (1 + self.spread * jitter)


def steady() -> float:
    """No jitter."""
    return 0.0


# sshd and fail2ban count what comes without a login: these waits grow, and are not in step with
# other clients'
_NO_LOGIN: Final = Schedule((2.0, 5.0, 10.0, 30.0), spread=0.25)


@dataclass(frozen=True, slots=True)
class Policy:
    """All the numbers, in seconds."""

    no_answer: Schedule = Schedule((0.25,))
    no_answer_later: Schedule = Schedule((1.0,))
    young: float = 60.0
    """The age of an outage at which ``no_answer_later`` takes over."""
    no_name: Schedule = Schedule((1.0,))
    no_login: Schedule = _NO_LOGIN
    # sshd counts each (PerSourcePenalties, 5 s), and bars at 15 s together: no faster than that
    booting: Schedule = Schedule((2.0, 3.0) + (5.0,) * 23 + (30.0,), person_after=600.0)
    refused: Schedule = Schedule((30.0,), person_after=600.0)
    person: Schedule = Schedule((1.0,), person_after=0.0)
    not_yet: Schedule = Schedule((1.0,) * 120 + (5.0,))
    setback: Schedule = Schedule((2.0, 5.0, 10.0, 15.0), person_after=120.0)
    flapping: Schedule = Schedule((0.0, 0.25, 1.0, 2.0, 5.0, 10.0, 30.0), spread=0.25)
    settled: float = 10.0
    """A link that held for less counts as one that flaps."""
    jitter: Callable[[], float] = steady
    """A number in [0, 1) each time."""

    def schedule(self, kind: Trouble, age: float) -> Schedule:
        """How to go on with trouble of ``kind`` in an outage that began ``age`` seconds ago."""
        return {
            Trouble.NO_ANSWER: self.no_answer if age < self.young else self.no_answer_later,
            Trouble.NO_NAME: self.no_name,
            Trouble.NO_LOGIN: self.no_login,
            Trouble.BOOTING: self.booting,
            Trouble.REFUSED: self.refused,
            Trouble.PERSON: self.person,
            Trouble.NOT_YET: self.not_yet,
            Trouble.SETBACK: self.setback,
            Trouble.FLAPPING: self.flapping,
        }[kind]


def policy_for(host: Host, jitter: Callable[[], float]) -> Policy:
    """The policy for ``host``: behind others, each attempt is a login there or a new process."""
    if not (host.jumps or host.proxy_command):
        return Policy(jitter=jitter)
    return Policy(no_answer=Schedule((1.0,)), no_answer_later=Schedule((5.0,)), jitter=jitter)


@dataclass(frozen=True, slots=True)
class Outage:
    """What is known of the time since the link was lost."""

    since: float
    failures: Mapping[Trouble, int] = field(default_factory=dict)
    """Of each kind. They outlive a wait for a person: one who mended nothing is told at once."""

    def count(self, kind: Trouble) -> int:
        """How many failures of ``kind`` there were."""
        return self.failures.get(kind, 0)

    def with_one(self, kind: Trouble) -> Outage:
        """The same after one more failure of ``kind``."""
        return replace(self, failures={**self.failures, kind: self.count(kind) + 1})
