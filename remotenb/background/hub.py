"""One session's events, for all who listen: its terminal, its log, whoever joined it."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from remotenb.laptop.clock import timestamp
from remotenb.report import Ready, error_members, members
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from remotenb.errors import RemotenbError
    from remotenb.report import Event, Reporter

LOG_LIMIT = 1 << 20
WAITING_EVENTS = 1000
"""For a listener that is slow; what is older is dropped for it."""

Listener = queue.Queue[dict[str, object] | None]


class Hub:
    """A reporter that hands on to another one, to a file, and to queues."""

    def __init__(self, inner: Reporter, log: Path | None = None) -> None:
        self._inner = inner
        self._log = log
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def step(self, text: str) -> AbstractContextManager[None]:
        """For the terminal alone."""
        return self._inner.step(text)

    def warning(self, code: str, message: str, hint: str) -> None:
        """For all."""
        self._inner.warning(code, message, hint)
        self._hand_on({"event": "warning", "code": code, "message": message, "hint": hint})

    def tell(self, event: Event) -> None:
        """For all; the url of ``ready`` is a secret, and goes to the terminal alone."""
        self._inner.tell(event)
        facts = members(event)
        if isinstance(event, Ready):
            facts |= {"url": event.address}
        self._hand_on(facts)

    def fail(self, error: RemotenbError) -> None:
        """The session ends by ``error``: for all but the terminal, which will show it anyway."""
        self._hand_on({"event": "error", **error_members(error)})

    def end(self) -> None:
        """Nothing more will come."""
        with self._lock:
            for listener in self._listeners:
                _put(listener, None)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A queue of what is told from now on; None is the end."""
        listener: Listener = queue.Queue(WAITING_EVENTS)
        with self._lock:
            self._listeners.append(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def _hand_on(self, facts: dict[str, object]) -> None:
        facts = {"event": facts.pop("event"), "time": timestamp(), **facts}
        with self._lock:
            self._write(facts)
            for listener in self._listeners:
                _put(listener, facts)

    def _write(self, facts: dict[str, object]) -> None:
        if self._log is None:
            return
        words = [f"{key}={one_line(str(value), 200)}" for key, value in facts.items()]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with suppress(OSError):  # not there yet; or, on Windows, somebody just reads it
            if self._log.stat().st_size > LOG_LIMIT:
                self._log.replace(self._log.with_suffix(".old"))
        try:
            with os.fdopen(os.open(self._log, flags, 0o600), "a", encoding="utf-8") as file:
                file.write(
                    f"{facts['time']} {facts['event']} {' '.join(words[2:])}".rstrip() + "\n"
                )
        except OSError:
            self._log = None  # a full disk must not end a session


def _put(listener: Listener, facts: dict[str, object] | None) -> None:
    """Never waits: nobody who listens may hold the session up."""
    while True:
        try:
            return listener.put_nowait(facts)
        except queue.Full:
            try:
                listener.get_nowait()
            except queue.Empty:
                continue
