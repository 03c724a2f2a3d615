"""Signals that end a session: all of them as Ctrl-C does."""

from __future__ import annotations

import signal
import sys
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


def utf8_streams() -> None:
    """Windows' consoles and pipes may be of another encoding; our output is UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
