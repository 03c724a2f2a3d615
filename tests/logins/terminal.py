"""A command on a terminal, and somebody who answers what it asks."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TIMEOUT_S = 40.0
_PROMPT = re.compile(r"(assword|code|passphrase|\(yes/no[^)]*\))[^\n]*[:?] ?$", re.IGNORECASE)


@dataclass
class Talk:
    """How it went."""

    code: int
    seconds: float
    prompts: list[str]
    """Each question, its last line; those whether to keep something are left out."""
    screen: str


def run(
    argv: Sequence[str],
    answers: Mapping[str, Sequence[object]],
    environment: Mapping[str, str],
    *,
    seen: Mapping[str, Callable[[], bytes]] | None = None,
) -> Talk:
    """Run ``argv`` on a terminal of its own; ``answers`` by a word of the prompt, in their order.

    Who has no answer left gives a wrong one. What is to be done when words are ``seen`` may type.
    """
    watched = dict(seen or {})
    left = {word: list(given) for word, given in answers.items()}
    begun = time.monotonic()
    pid, terminal = pty.fork()  # type: ignore[attr-defined,unused-ignore]  # Windows has none
    if pid == 0:  # the child: nothing but exec
        os.execvpe(argv[0], list(argv), dict(environment))
    screen, fresh, prompts = "", "", list[str]()
    try:
        while time.monotonic() - begun < TIMEOUT_S:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            if not (data := _read(terminal)):
                break
            screen, fresh = screen + data, fresh + data
            for words in [one for one in watched if one in fresh]:
                os.write(terminal, watched.pop(words)())
            if _PROMPT.search(fresh.replace("\r", "")):
                question = fresh.replace("\r", "").rpartition("\n")[2]
                fresh = ""
                if "keyring" not in question:
                    prompts.append(question.strip())
                os.write(terminal, f"{_answer(left, question)}\n".encode())
        else:
            os.kill(pid, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(terminal)
    return Talk(code, time.monotonic() - begun, prompts, screen)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode("utf-8", "replace")
    except OSError:  # its other end is closed
        return ""


def _answer(left: dict[str, list[object]], prompt: str) -> str:
    if "yes/no" in prompt:
        return "no" if "keyring" in prompt else "yes"
    for word, given in left.items():
        if word in prompt.lower() and given:
            answer = given.pop(0)
            return str(answer() if callable(answer) else answer)
    return "wrong"
