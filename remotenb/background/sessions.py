"""The live sessions of this user: found by their files, and by asking each."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from remotenb.background import asking, state
from remotenb.background.visitor import reply
from remotenb.errors import LocalError, RemotenbError
from remotenb.report import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.background.asking import Facts
    from remotenb.background.state import SessionFile
    from remotenb.laptop.credentials import Asker

logger = logging.getLogger(__name__)


def live(host: str | None = None) -> list[tuple[SessionFile, Facts]]:
    """Each session that answers, and its status; the files of those that are over are removed."""
    found = []
    for file in state.read_all():
        if host is not None and file.host != host:
            continue
        try:
            found.append((file, first(file, "status")))
        except RemotenbError as error:
            if isinstance(error.__cause__, (ConnectionRefusedError, FileNotFoundError)):
                logger.info("the session at port %d is over", file.local_port)
                state.forget(file)
            elif file.path.exists():  # else it ended while it was asked
                logger.warning("%s", error.message)
    return found


def one(host: str) -> SessionFile:
    """The newest session of ``host``; raises :class:`LocalError` when there is none."""
    sessions = live(host)
    if not sessions:
        raise LocalError(
            f"there is no session of {host} on this laptop", hint=f"remotenb connect {host}"
        )
    return max(sessions, key=lambda session: str(session[1].get("started")))[0]


def first(file: SessionFile, what: str, **more: object) -> Facts:
    """The one answer of a session; raises :class:`LocalError` when it gives none."""
    for answer in _answers(file, what, None, **more):
        return answer
    raise LocalError(_silent(file), hint="remotenb status")


def watch(file: SessionFile) -> Iterator[Facts]:
    """The events of a session from now on, until its end; raises :class:`LocalError`."""
    answers = _answers(file, "watch")
    next(answers, None)  # says that it listens
    return (answer for answer in answers if answer)


def log_in(file: SessionFile, person: Asker | None) -> None:
    """Log a session in that waits for somebody; it asks ``person``, through us.

    Raises the error that ended the attempt, or :class:`LocalError`.
    """
    answers = _answers(
        file, "login", answer=lambda facts: reply(person, facts), attended=person is not None
    )
    for facts in answers:
        if facts.get("event") == "error":
            raise error_of(facts)


def _answers(
    file: SessionFile,
    what: str,
    answer: Callable[[Facts], Facts] | None = None,
    **more: object,
) -> Iterator[Facts]:
    try:
        yield from asking.ask(file.address, what, reply=answer, **more)
    except (OSError, ValueError) as error:
        kill = "taskkill /F /PID" if sys.platform == "win32" else "kill"
        hint = f"{kill} {file.pid}, if it is stopped or hangs"
        raise LocalError(_silent(file), hint=hint) from error


def _silent(file: SessionFile) -> str:
    return f"the session of {file.host} at port {file.local_port} (pid {file.pid}) does not answer"
