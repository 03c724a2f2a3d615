"""The direct carrier: one ``direct-tcpip`` channel of the live SSH connection per connection.

sshtunnel's handler opens the channel and sees to its end. Its pump is replaced: it ends both
directions when one ends, which loses data (measured: 200 kB of 200 kB), and uses ``select``
with a pipe per channel, which breaks at a thousand file descriptors.
"""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import sshtunnel
from paramiko import ChannelException, SSHException
from paramiko.common import OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

from remotenb.errors import ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel, Transport

    from remotenb.server import Endpoint

logger = logging.getLogger(__name__)

CHUNK = 1 << 16
SOMEWHERE = ("127.0.0.1", 0)
"""Where a connection comes from that has no address: one end of a pair."""

LATE_S = 0.5
"""How often a half-closed connection is looked at, to see whether the channel is gone."""


_GONE = (OSError, SSHException, EOFError)
"""The browser has left, or the link has: what paramiko raises then, from any of its calls."""


class _Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]  # noqa: SLF001  held by tests/contract
    """sshtunnel's handler with a pump that passes half-closes on."""

    request: socket.socket

    def _redirect(self, chan: Channel) -> None:
        upward = threading.Thread(target=self._up, args=(chan,), daemon=True)
        upward.start()
        try:
            while data := chan.recv(CHUNK):
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)
            while upward.is_alive() and not chan.closed:
                upward.join(LATE_S)
        finally:
            _shutdown(self.request)

    def _up(self, chan: Channel) -> None:
        try:
            while data := self.request.recv(CHUNK):
                chan.sendall(data)
            chan.shutdown_write()
        except _GONE:
            chan.close()


def _shutdown(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)  # wakes the other thread, which close would not
    except OSError:
        pass


class DirectCarrier:
    """Carries to one endpoint of the far side, over one transport."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        *,
        refused: Callable[[str], None] = logger.debug,
    ) -> None:
        """``refused`` is told why sshd opened no channel."""
        address = (endpoint.host, endpoint.port)
        attributes = {"remote_address": address, "ssh_transport": transport, "logger": logger}
        self._handler = type("Handler", (_Handler,), attributes)
        self._refused = refused

    def carry(self, browser: socket.socket, first: bytes = b"") -> None:
        """Carry one connection, in a thread; a refused channel closes it without a byte."""
        sock = _Replayed(browser, first) if first else browser
        threading.Thread(target=self._carry, args=(sock,), name="connection", daemon=True).start()

    def _carry(self, browser: socket.socket) -> None:
        try:
            self._handler(browser, browser.getpeername() or SOMEWHERE, self)
        except sshtunnel.HandlerSSHTunnelForwarderError as error:
            self._refused(str(error))
        except _GONE as error:
            logger.debug("connection ended: %s", error)
        finally:
            browser.close()


class _Replayed(socket.socket):
    """The browser's socket, with bytes that were read from it put back in front."""

    def __init__(self, sock: socket.socket, first: bytes) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._first = first

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """What was put back, then what comes."""
        if self._first:
            taken, self._first = self._first[:bufsize], self._first[bufsize:]
            return taken
        return super().recv(bufsize, flags)


def forbidden(transport: Transport) -> Future[bool]:
    """Ask sshd whether it forbids forwards; nothing waits, and nobody can listen on port 0."""
    answer: Future[bool] = Future()

    def ask() -> None:
        try:
            transport.open_channel("direct-tcpip", (SOMEWHERE[0], 0), SOMEWHERE).close()
        except ChannelException as error:
            answer.set_result(error.code == OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)
        except _GONE:
            pass
        finally:
            answer.cancel()

    threading.Thread(target=ask, name="forwards?", daemon=True).start()
    return answer


class Forwards:
    """Sockets to endpoints of the far side, carried the way the tunnel goes, for our own use."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._forbidden = False

    def connect(self, endpoint: Endpoint) -> socket.socket:
        """A socket whose other end is carried to ``endpoint``; see :meth:`check`."""
        self.check()
        ours, carried = socket.socketpair()
        carrier = DirectCarrier(self._transport, endpoint, refused=self._note)
        carrier.carry(carried)
        return ours

    def check(self) -> None:
        """Raise :class:`ServerUnreachable` if sshd has said that it forwards nothing."""
        if self._forbidden:
            raise ServerUnreachable(
                "sshd there forbids forwarding, so no notebook can be reached",
                hint="its administrator can allow it: AllowTcpForwarding local",
            )

    def _note(self, why: str) -> None:
        logger.debug("refused: %s", why)
        self._forbidden |= "administratively prohibited" in why.lower()
