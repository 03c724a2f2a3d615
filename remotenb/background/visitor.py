"""Somebody at another terminal of this laptop, who logs a session in that waits for a person.

The session's questions go through its door, one JSON line each, and an answer comes back for each.
What is typed is in no file, no argv and no log.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from remotenb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.background.asking import Facts
    from remotenb.laptop.credentials import Asker

PERSON_TIMEOUT_S = 180.0
"""For what somebody types; sshd's own LoginGraceTime is 120 s."""


class Visitor:
    """Asks over a socket, as one asks a person at a terminal; who has left answers nothing."""

    def __init__(self, sock: socket.socket, read: Callable[[socket.socket], Facts]) -> None:
        """``read`` reads one line of JSON."""
        self._sock = sock
        self._read = read
        self._lock = threading.Lock()

    def agree(self, question: str) -> bool:
        """Yes or no."""
        return self._ask("agree", question) is True

    def secret(self, prompt: str) -> Secret | None:
        """Something that is not shown while it is typed."""
        typed = self._ask("secret", prompt)
        return Secret(typed) if isinstance(typed, str) and typed else None

    def answer(self, prompt: str, *, echo: bool) -> str:
        """What a server asks."""
        typed = self._ask("answer", prompt, echo=echo)
        return typed if isinstance(typed, str) else ""

    def tell(self, text: str) -> None:
        """What a server says."""
        self._ask("tell", text)

    def still_there(self) -> None:
        """Show that the session lives, unless it waits for an answer just now."""
        if self._lock.acquire(blocking=False):
            with suppress(OSError):
                self._sock.sendall(b"{}\n")
            self._lock.release()

    def leave(self) -> None:
        """End whatever is being asked."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, kind: str, text: str, **more: object) -> object:
        line = json.dumps({"question": kind, "text": text, **more}).encode() + b"\n"
        with self._lock, suppress(OSError, ValueError, TypeError):
            self._sock.settimeout(PERSON_TIMEOUT_S)
            self._sock.sendall(line)
            return self._read(self._sock).get("answer")
        return None


def reply(person: Asker | None, facts: Facts) -> Facts:
    """The answer of ``person`` to a question of a :class:`Visitor`."""
    text = str(facts.get("text"))
    answer: object = None
    if person is not None:
        match facts.get("question"):
            case "agree":
                answer = person.agree(text)
            case "secret":
                typed = person.secret(text)
                answer = typed.reveal() if typed else None
            case "answer":
                answer = person.answer(text, echo=facts.get("echo") is True)
            case _:
                person.tell(text)
    return {"answer": answer}
