"""What is said when a login did not come off: what was tried, and what would help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remotenb.errors import AuthenticationFailed, LoginNeedsPerson, StillBooting
from remotenb.ssh.agent import AgentHangs
from remotenb.text import one_line

if TYPE_CHECKING:
    from remotenb.errors import KeyUnusable, LinkError
    from remotenb.model import Host
    from remotenb.ssh.answers import Answers

_BY_PERSON = {"password": "a password", "keyboard-interactive": "answers to its questions"}

_NOLOGIN = "not permitted to log in"
"""In what systemd writes into /run/nologin, and sshd says when it has taken the key."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key that did not help, and why."""

    key: str
    reason: str


@dataclass(slots=True)
class Tried:
    """What a login has tried so far."""

    failures: int = 0
    """As sshd counts them."""
    refusals: list[Refusal] = field(default_factory=list)
    unusable: KeyUnusable | None = None
    agent_hangs: bool = False
    certificate_hint: str = ""
    partly: bool = False
    """One method was right, and another is wanted too."""
    unasked: list[str] = field(default_factory=list)
    """Methods for which nobody was there."""
    unanswered: bool = False

    def refused(self, key: str, error: Exception) -> None:
        """A key could not be used, for a reason of its own."""
        self.agent_hangs |= isinstance(error, AgentHangs)
        self.refusals.append(Refusal(key, one_line(str(error))))


def needs_person(host: Host, what: str) -> LoginNeedsPerson:
    """Nobody is there to be asked, or may be."""
    return LoginNeedsPerson(
        f"{host.login} wants {what}, and nobody is there to be asked",
        hint=f"run it on a terminal and without --json; or log in by key: ssh-copy-id {host.name}",
    )


def not_again(host: Host) -> LoginNeedsPerson:
    """In a retry: what a person gave is not given a second time without them."""
    return LoginNeedsPerson(
        f"the login to {host.login} is by password or second factor, which no retry may use",
        hint=f"remotenb connect {host.name} asks again; the notebook goes on, and so does its page",
    )


def still_booting(host: Host, said: str) -> StillBooting | None:
    """What sshd ``said`` before it ended the login tells that nobody may come in yet."""
    if _NOLOGIN not in said:
        return None
    words = f"{host.login} lets nobody in: {one_line(said)}"
    return StillBooting(words, hint="try again in a minute")


def expired(host: Host) -> AuthenticationFailed:
    """The password was right, and may not be used any more."""
    return AuthenticationFailed(
        f"the password of {host.login} has expired",
        hint=f"change it on a terminal: ssh {host.name}",
    )


def why(  # noqa: PLR0913  all that is known
    host: Host,
    tried: Tried,
    answers: Answers,
    *,
    allowed: tuple[str, ...] | None,
    cut_off: bool,
    attended: bool,
) -> LinkError:
    """The error that fits best."""
    if answers.wrong or (tried.unanswered and attended):
        return _not_taken(host, tried, answers, cut_off=cut_off)
    if cut_off and answers.by_person:
        return AuthenticationFailed(
            f"{host.login} ended the login while it waited for an answer",
            hint="be quicker (sshd's LoginGraceTime), or was it denied on the telephone?",
        )
    if tried.unusable is not None and not attended and not tried.partly:
        return tried.unusable  # the server would take that key, or was never shown one
    wanted = [_BY_PERSON[one] for one in tried.unasked] or (
        ["an answer"] if tried.unanswered else []
    )
    keys_refused = bool(tried.refusals) and not tried.partly
    if wanted and not keys_refused:
        return needs_person(host, " or ".join(dict.fromkeys(wanted)))
    if tried.unusable is not None:
        return tried.unusable
    return _no_key(host, tried, allowed or (), wanted, cut_off=cut_off)


def _not_taken(host: Host, tried: Tried, answers: Answers, *, cut_off: bool) -> LinkError:
    if not answers.wrong:
        return AuthenticationFailed(
            f"{host.login} was not given what it asked for", hint="connect again"
        )
    if answers.denied:
        return AuthenticationFailed(
            f"{host.login} did not take the login: it asks on another device",
            hint="was it denied on the telephone, or not answered there in time?",
        )
    what = "answers" if answers.factors else "password"
    times = "once" if answers.wrong == 1 else f"{answers.wrong} times"
    hint = "not tried again, so that the account is not locked; is it the right user?"
    if cut_off or tried.unanswered:
        hint = "is it the right user, and the right password or code?"
    return AuthenticationFailed(f"{host.login} did not take your {what} ({times})", hint=hint)


def _no_key(
    host: Host, tried: Tried, allowed: tuple[str, ...], wanted: list[str], *, cut_off: bool
) -> LinkError:
    login = host.login
    hint = f"put your key there with: ssh-copy-id {host.name}"
    if allowed and not {"publickey", *_BY_PERSON} & set(allowed):
        hint = f"{login} takes only {', '.join(allowed)}; ask its administrator for keys"
    if not tried.refusals:
        return AuthenticationFailed(
            f"no key to log in to {login} with", hint=f"ssh-keygen -t ed25519, then {hint}"
        )
    if tried.agent_hangs:
        hint = "is your agent locked, or waiting for you to confirm or touch something?"
    elif tried.certificate_hint:
        hint = tried.certificate_hint
    elif cut_off:
        hint = "it ends the connection after so many keys: IdentitiesOnly yes and the right one"
    elif wanted:
        hint = f"it takes {' or '.join(wanted)} too: run it on a terminal; or {hint}"
    shown = "; ".join(f"{one.key}: {one.reason}" for one in tried.refusals)
    return AuthenticationFailed(f"{login} accepted none of your keys ({shown})", hint=hint)
