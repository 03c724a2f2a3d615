"""A session opened ahead, while the link is busy with something else: two round trips saved."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from paramiko import SSHException

from remotenb.ssh import shell
from remotenb.ssh.transport import exec_at_once

if TYPE_CHECKING:
    from paramiko import Channel

    from remotenb.ssh.transport import Transport

logger = logging.getLogger(__name__)


class Spare:
    """At most one channel whose shell waits for :data:`shell.ONE_LINE`'s line."""

    def __init__(self, transport: Transport, timeout: float) -> None:
        """``timeout`` is for sshd's answer, s."""
        self._transport = transport
        self._timeout = timeout
        self._coming: Future[Channel | None] | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Ask for one, unless there is one; nothing is waited for."""
        with self._lock:
            if self._coming is not None:
                return
            coming = self._coming = Future()
        threading.Thread(
            target=self._fetch, args=(coming,), name="spare session", daemon=True
        ).start()

    def take(self) -> Channel | None:
        """The channel, once its opening was answered; None where there is none that lives."""
        with self._lock:
            coming, self._coming = self._coming, None
        channel = coming.result() if coming is not None else None
        if channel is not None and (channel.closed or channel.eof_received):
            channel.close()
            return None
        return channel

    def let_go(self) -> None:
        """Close it: whoever needs a session may have no other (MaxSessions)."""
        channel = self.take()
        if channel is not None:
            channel.close()

    def _fetch(self, coming: Future[Channel | None]) -> None:
        try:
            channel = self._transport.open_session(timeout=self._timeout)
            exec_at_once(self._transport, channel, shell.ONE_LINE)
        except (OSError, SSHException, EOFError) as error:
            logger.debug("no spare session: %s", error)
            coming.set_result(None)
        else:
            coming.set_result(channel)
