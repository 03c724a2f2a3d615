"""Who is there for a session that waits for a person: at its own terminal, or at another one."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remotenb.errors import LocalError
from remotenb.session.supervisor import Failed, Gone, Up, WaitingForPerson

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.find import People
    from remotenb.laptop.credentials import Asker
    from remotenb.session.supervisor import Event, State


def _busy() -> LocalError:
    return LocalError("somebody is being asked at another terminal", hint="go on there")


def _nothing() -> None:
    """Who sits at the session's own terminal need not be sent away."""


@dataclass(slots=True)
class Visit:
    """Somebody wants to log in, and may be asked in the next attempt, and only in that one."""

    person: Asker | None
    """None where nobody may be asked, and what the keyring has is to be used."""
    leave: Callable[[], object] = _nothing
    """Ends what they are being asked."""
    over: Future[Exception | None] = field(default_factory=Future)
    """How it ended."""
    used: bool = False


class Presence:
    """The visit of the moment."""

    def __init__(self, people: People | None, came: Callable[[], object]) -> None:
        """``came`` is called when somebody is there, from a thread of theirs."""
        self._people = people
        self._came = came
        self._visit: Visit | None = None
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to wait for Enter, where the session has a terminal."""
        if self._people and not (self._listener and self._listener.is_alive()):
            args = (self._people,)
            self._listener = threading.Thread(target=self._hear, args=args, daemon=True)
            self._listener.start()

    def receive(self, visit: Visit) -> None:
        """Somebody is there; while another one is being asked, that is told them instead."""
        with self._lock:
            busy = self._visit is not None
            self._visit = self._visit or visit
        if busy:
            visit.over.set_result(_busy())
        else:
            self._came()

    def taken(self) -> Visit | None:
        """Who came since the last time, and may be asked now."""
        with self._lock:
            visit = self._visit
            if visit is None or visit.used:
                return None
            visit.used = True
            return visit

    @property
    def asked(self) -> bool:
        """Whether somebody may be asked in this attempt."""
        visit = self._visit
        return visit is not None and visit.used

    def attend(self, state: State, event: Event) -> None:
        """After each step: tell whoever came how it went; who came meanwhile is not forgotten."""
        if isinstance(state, Up):
            self.settle(None)
        elif self._visit is not None and not self._visit.used:
            if isinstance(state, WaitingForPerson):
                self._came()
        elif isinstance(event, Failed | Gone):
            self.settle(event.error)

    def settle(self, error: Exception | None) -> None:
        """The attempt is over: tell whoever it was made with."""
        with self._lock:
            visit, self._visit = self._visit, None
        if visit is not None and not visit.over.done():
            visit.over.set_result(error)

    def send_away(self) -> None:
        """The session ends, whatever is being asked."""
        if (visit := self._visit) is not None:
            visit.leave()

    def _hear(self, people: People) -> None:
        if people.came():
            self.receive(Visit(people))
