"""The socket and the SSH transport on it, tuned where paramiko leaves round trips lying about."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from paramiko import Message, SSHException
from paramiko.common import cMSG_SERVICE_REQUEST
from paramiko.transport import ServiceRequestingTransport

from remotenb.errors import HostUnknown, HostUnreachable

if TYPE_CHECKING:
    from remotenb.model import Host

KEEPALIVE_IDLE_S = 5
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 20_000
"""How long sent bytes may stay unacknowledged (Linux) before the connection is given up."""

WINDOW_BYTES = 8 << 20
"""Of a channel: more than OpenSSH's 2 MiB pays on long paths, more than 16 MiB does not."""


TCP_QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)
"""Linux has it."""


class QuickAckSocket(socket.socket):
    """Acknowledges at once: sshd holds its second small packet back (Nagle) until we do.

    Linux forgets the option after a while, so it is set again with each read.
    """

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read, then ask for immediate acknowledgements again."""
        data = super().recv(bufsize, flags)
        self.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        return data


def dial(host: Host) -> socket.socket:
    """A TCP connection to ``host`` within its ConnectTimeout, tuned for small packets.

    Raises :class:`HostUnknown` or :class:`HostUnreachable`.
    """
    where = f"{host.hostname} port {host.port}"
    try:
        addresses = socket.getaddrinfo(host.hostname, host.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnknown(
            f"the name {host.hostname} does not resolve ({getattr(error, 'strerror', error)})",
            hint="check the spelling, the VPN, and HostName in ssh_config",
        ) from None
    deadline = time.monotonic() + host.connect_timeout
    refusals: list[OSError] = []
    for family, kind, proto, _, address in addresses:
        left = deadline - time.monotonic()
        if refusals and left <= 0:
            break
        try:
            return _connected(family, kind, proto, address, max(left, 0.001))
        except OSError as error:
            refusals.append(error)
    raise _unreachable(where, refusals[0], host.connect_timeout)


def _connected(
    family: int, kind: int, proto: int, address: tuple[object, ...], timeout: float
) -> socket.socket:
    cls = QuickAckSocket if TCP_QUICKACK else socket.socket
    sock = cls(family, kind, proto)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        _tune(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_IDLE_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    ):
        if hasattr(socket, name):  # which of them there are differs by OS and its version
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _unreachable(where: str, error: OSError, timeout: float) -> HostUnreachable:
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachable(
            f"{where} refuses connections", hint="is that the right port, and does sshd run there?"
        )
    if isinstance(error, TimeoutError):
        return HostUnreachable(
            f"{where} does not answer ({timeout:g} s)",
            hint="is the machine up, and does the VPN or firewall let you through?",
        )
    return HostUnreachable(
        f"{where} cannot be reached: {error.strerror or error}",
        hint="check your network, the VPN, and HostName in ssh_config",
    )


class Transport(ServiceRequestingTransport):
    """paramiko's transport with the faster choices first.

    AES-GCM costs a third of paramiko's default in CPU. The request for the login service
    goes out together with the first login, not one round trip before it.
    """

    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    def __init__(self, sock: socket.socket, **options: object) -> None:
        super().__init__(sock, default_window_size=WINDOW_BYTES, **options)  # type: ignore[arg-type]
        self._service_requested = False

    def prefer_key_types(self, types: tuple[str, ...]) -> None:
        """Ask for host keys of these types first: those that known_hosts can judge."""
        security = self.get_security_options()
        wanted = [sign for t in types for sign in _signatures(t) if sign in security.key_types]
        security.key_types = (*wanted, *(t for t in security.key_types if t not in wanted))

    def ensure_session(self) -> None:
        """Ask for the login service, once, and do not wait for the answer."""
        if not self.is_active() or not self.initial_kex_done:
            msg = "No existing session"
            raise SSHException(msg)
        if self._service_requested:
            return
        self._service_requested = True
        request = Message()
        request.add_byte(cMSG_SERVICE_REQUEST)
        request.add_string("ssh-userauth")
        # paramiko's own way to send; its stubs leave it out
        self._send_message(request)  # type: ignore[attr-defined]
        self.auth_handler = self.get_auth_handler()


def _signatures(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)
