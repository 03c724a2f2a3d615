"""The live sessions of this user: found by their files, and by asking each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remotenb.background import control, state
from remotenb.errors import LocalError, RemotenbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.background.control import Facts
    from remotenb.background.state import SessionFile

logger = logging.getLogger(__name__)


def live(host: str | None = None) -> list[tuple[SessionFile, Facts]]:
    """Each session that answers, and its status; the files of the others are removed."""
    found = []
    for file in state.read_all():
        if host is not None and file.host != host:
            continue
        try:
            found.append((file, first(file, "status")))
        except RemotenbError as error:
            logger.warning("%s", error.message)
        except (OSError, ValueError, LookupError) as error:
            logger.info("the session at port %d is over: %s", file.local_port, error)
            state.forget(file)
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
    """The one answer of a session; raises :class:`OSError` or :class:`LookupError` for none."""
    for answer in control.ask(file.address, what, **more):
        return answer
    raise LookupError(what)


def watch(file: SessionFile) -> Iterator[Facts]:
    """The events of a session until its end."""
    return (answer for answer in control.ask(file.address, "watch") if answer)
