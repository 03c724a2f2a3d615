"""Whether somebody sits at a session's terminal, while it waits for a person."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.find import People


class Presence:
    """Enter means that somebody is there: the next login, and only that one, may ask them."""

    def __init__(self, people: People | None, came: Callable[[], object]) -> None:
        """``came`` is called from a thread of its own."""
        self._people = people
        self._came = came
        self._there = False
        self._listener: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to wait for them, where the session has a terminal."""
        if self._people and not (self._listener and self._listener.is_alive()):
            args = (self._people,)
            self._listener = threading.Thread(target=self._hear, args=args, daemon=True)
            self._listener.start()

    def taken(self) -> bool:
        """Whether they came since the last time."""
        there, self._there = self._there, False
        return there

    def _hear(self, people: People) -> None:
        if people.came():
            self._there = True
            self._came()
