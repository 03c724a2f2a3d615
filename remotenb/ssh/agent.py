"""Agents: asked with patience, and one that is dead, hangs or lies stops no login."""

from __future__ import annotations

import logging
import os
import socket
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import Agent, SSHException
from paramiko.agent import cSSH2_AGENTC_REQUEST_IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paramiko import AgentKey, Message

logger = logging.getLogger(__name__)

VARIABLE = "SSH_AUTH_SOCK"
AGENT_TIMEOUT_S = 10.0
KEYS_LIMIT = 1000
TOUCH_TIMEOUT_S = 60.0
"""For an agent's answer where a person may have to confirm it, or to touch a key."""


class AgentHangs(SSHException):
    """It took longer than it may: it is locked, or waits for somebody."""

    def __init__(self) -> None:
        super().__init__("the agent does not answer")


class PatientAgent(Agent):
    """Waits for an answer so long and no longer; after that, never again."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._hangs = False
        try:
            super().__init__()
        except BaseException:
            self.close()
            raise

    def _connect(self, conn: object) -> None:
        if isinstance(conn, socket.socket):  # so that the thread below has an end
            conn.settimeout(self._patience)
        super()._connect(conn)  # type: ignore[misc]

    def _send_message(self, msg: Message | bytes) -> tuple[int, Message]:
        """In a thread: Windows' agents are pipes and windows, which know no timeout."""
        if self._hangs:
            raise AgentHangs
        answer: Future[tuple[int, Message]] = Future()
        threading.Thread(target=self._ask, args=(msg, answer), daemon=True).start()
        try:
            return answer.result(self._patience + 1)
        except TimeoutError:
            self._hangs = True
            raise AgentHangs from None

    def _ask(self, msg: Message | bytes, answer: Future[tuple[int, Message]]) -> None:
        try:
            kind, said = super()._send_message(msg)  # type: ignore[misc]
            if msg == cSSH2_AGENTC_REQUEST_IDENTITIES:  # paramiko gives these few as bytes
                _believable(said)
            answer.set_result((kind, said))
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            answer.set_exception(error)


def _believable(said: Message) -> None:
    """Paramiko would read as many keys as the agent says, be it four billion."""
    start = said.packet.tell()
    count = said.get_int()
    said.packet.seek(start)
    if count > KEYS_LIMIT:
        raise SSHException(f"the agent says that it has {count} keys")


class AgentKeys:
    """The keys of the agent that ssh_config names; a context manager that lets go of it."""

    def __init__(self, named: str | None, *, attended: bool) -> None:
        self._named = named or VARIABLE
        self._patience = TOUCH_TIMEOUT_S if attended else AGENT_TIMEOUT_S
        self._agent: PatientAgent | None = None

    def keys(self) -> tuple[AgentKey, ...]:
        """What it shows; raises :class:`AgentHangs`. Whatever else is wrong with it: none."""
        if self._named.lower() == "none":
            return ()
        try:
            with _environment(self._named):
                self._agent = PatientAgent(self._patience)
            return tuple(self._agent.get_keys())
        except AgentHangs:
            raise
        except Exception as error:  # noqa: BLE001  a lie may be any error of a parser
            logger.info("no agent: %r", error)
            return ()

    def close(self) -> None:
        """Let go of it."""
        if self._agent is not None:
            self._agent.close()


@contextmanager
def _environment(named: str) -> Iterator[None]:
    """Paramiko knows no other way to name an agent; the next hop may have another."""
    before = os.environ.get(VARIABLE)
    if named != VARIABLE:
        os.environ[VARIABLE] = str(Path(named).expanduser())
    try:
        yield
    finally:
        if before is not None:
            os.environ[VARIABLE] = before
        elif named != VARIABLE:
            del os.environ[VARIABLE]
