"""Signals that end a session: all of them as Ctrl-C does."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")


def stop_like_ctrl_c() -> None:
    """From now on SIGTERM, SIGHUP and Ctrl-Break raise :class:`KeyboardInterrupt`, as SIGINT does.

    One is enough: a terminal that closes may send two of them, and the second must not interrupt
    the end that the first one began. Ctrl-C still can.
    A shell that starts us in the background sets SIGINT to be ignored; then that is undone too.
    """
    for name in ("SIGINT", *NAMES):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for name in NAMES:
        other = getattr(signal, name, None)
        if other is not None:
            signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def reason(interrupt: KeyboardInterrupt) -> str:
    """Why the session closed: ``interrupted``, ``terminated`` or ``hangup``."""
    words = {"SIGTERM": "terminated", "SIGHUP": "hangup"}
    number = interrupt.args[0] if interrupt.args else signal.SIGINT
    return words.get(signal.Signals(number).name, "interrupted")


HEARD_WITHIN_S = 0.25


class PatientLock:
    """A lock whose long waits are made of short ones, between which Ctrl-C is heard."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self.release = self._lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  threading's
        """As :meth:`threading.Lock.acquire`."""
        if not blocking:
            return self._lock.acquire(blocking=False)
        end = time.monotonic() + timeout if timeout >= 0 else float("inf")
        while True:
            left = max(end - time.monotonic(), 0)
            if self._lock.acquire(timeout=min(left, HEARD_WITHIN_S)):
                return True
            if left <= HEARD_WITHIN_S:
                return False


def hear_ctrl_c() -> None:
    """Windows' Python is deaf to Ctrl-C in the waits of events, conditions, queues and futures.

    All of them wait for a lock that ``threading`` makes by this one name, and ours hears it
    (https://github.com/python/cpython/issues/80116, /issues/125541).
    """
    if sys.platform == "win32":
        threading._allocate_lock = PatientLock  # type: ignore[attr-defined]  # noqa: SLF001


def utf8_streams() -> None:
    """Windows' consoles and pipes may be of another encoding; our output is UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
