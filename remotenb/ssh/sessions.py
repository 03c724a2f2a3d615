"""The session channels of one link: sshd may allow few, and one can be opened ahead.

A session opened while the link waits for something else saves the next command two round
trips: its opening, and the wait for the window that sshd gives only to what runs.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from paramiko import Message, SSHException
from paramiko.common import cMSG_CHANNEL_REQUEST

from remotenb.errors import ProtocolFailed
from remotenb.ssh import shell
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

    from remotenb.model import Host
    from remotenb.ssh.transport import Transport

logger = logging.getLogger(__name__)

ROOM_TIMEOUT_S, ROOM_EVERY_S = 4.0, 0.05


class Sessions:
    """Opens them; at most one is a spare."""

    def __init__(self, transport: Transport, host: Host) -> None:
        self._transport = transport
        self._host = host
        self._spare: Future[Channel | None] | None = None
        self._lock = threading.Lock()
        self.make_room: list[Callable[[], object]] = []
        """Called when sshd opens no further session: it may allow one at a time (MaxSessions)."""

    def open(self) -> Channel:
        """A session channel; if need be after others have been closed, which takes a moment."""
        deadline = time.monotonic() + ROOM_TIMEOUT_S
        asked = False
        while True:
            try:
                return self._transport.open_session(timeout=self._host.connect_timeout)
            except SSHException as error:  # paramiko may give one refusal's reason to another
                if not self._transport.is_active():
                    raise
                if time.monotonic() > deadline:
                    raise ProtocolFailed(
                        f"{self._host.name} opens no further session: {one_line(str(error))}",
                        hint="its administrator can allow more: MaxSessions",
                    ) from None
            if not asked:
                self.drop_spare()
                for give_one_up in self.make_room:
                    give_one_up()
                asked = True
            time.sleep(ROOM_EVERY_S)

    def forget_room(self, give_one_up: Callable[[], object]) -> None:
        """It has nothing to give up any more; may be said twice."""
        self.make_room = [one for one in self.make_room if one != give_one_up]

    def for_one_line(self) -> Channel:
        """One whose shell waits for the line of :data:`shell.ONE_LINE`: the spare, or a new one."""
        channel = self.take_spare()
        if channel is None:
            channel = self.open()
            exec_at_once(self._transport, channel, shell.ONE_LINE)
        return channel

    def open_spare(self) -> None:
        """Have one ready for :meth:`for_one_line`; nothing is waited for."""
        with self._lock:
            if self._spare is not None:
                return
            spare = self._spare = Future()
        fetch = threading.Thread(target=self._fetch, args=(spare,), name="spare", daemon=True)
        fetch.start()

    def take_spare(self) -> Channel | None:
        """The spare one, once its opening was answered; None where there is none that lives."""
        with self._lock:
            spare, self._spare = self._spare, None
        channel = spare.result() if spare is not None else None
        if channel is not None and (channel.closed or channel.eof_received):
            channel.close()
            return None
        return channel

    def drop_spare(self) -> None:
        """Close it, if there is one."""
        channel = self.take_spare()
        if channel is not None:
            channel.close()

    def _fetch(self, spare: Future[Channel | None]) -> None:
        channel: Channel | None = None
        try:
            channel = self._transport.open_session(timeout=self._host.connect_timeout)
            exec_at_once(self._transport, channel, shell.ONE_LINE)
        except (OSError, SSHException, EOFError) as error:
            logger.debug("no spare session: %s", error)
        spare.set_result(channel)


def exec_at_once(transport: Transport, channel: Channel, command: str) -> None:
    """Ask for ``command`` without waiting for the answer: our first bytes follow at once.

    Saves a round trip for each script. A server that refuses closes the channel, which shows.
    """
    request = Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(False)  # noqa: FBT003  the protocol's want_reply
    request.add_string(command)
    transport._send_user_message(request)  # type: ignore[attr-defined]  # noqa: SLF001
