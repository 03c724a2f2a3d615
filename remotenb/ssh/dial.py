"""The TCP connection under the SSH one. Knows nothing of SSH, so that it can start at once."""

from __future__ import annotations

import errno
import socket
import sys
import time
from typing import TYPE_CHECKING

from remotenb.errors import HostUnknown, HostUnreachable

if TYPE_CHECKING:
    from remotenb.model import Host

KEEPALIVE_IDLE_S = 5
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 20_000
"""How long sent bytes may stay unacknowledged (Linux) before the connection is given up."""

TCP_QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)
"""Linux has it."""


IDENTIFICATION = "SSH-2.0-remotenb"
"""What each side says first; see RFC 4253, 4.2."""


class SshSocket(socket.socket):
    """Acknowledges at once: sshd holds its second small packet back (Nagle) until we do.

    Linux forgets the option after a while, so it is set again with each read.
    """

    greeted = False
    """Our identification is sent."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read, then ask for immediate acknowledgements again."""
        data = super().recv(bufsize, flags)
        if TCP_QUICKACK:
            self.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        return data

    def greet(self) -> None:
        """Send it now: sshd offers its algorithms once it has it, while we still do other things.

        Raises :class:`OSError`.
        """
        self.sendall(f"{IDENTIFICATION}\r\n".encode())
        self.greeted = True


Address = tuple[int, int, int, tuple[object, ...]]
"""Family, kind, protocol, and where: what a socket is made of and connects to."""


_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def resolve(host: Host) -> list[Address]:
    """The addresses of ``host``; raises :class:`OSError` or :class:`UnicodeError`."""
    family = _FAMILIES[host.address_family]
    found = socket.getaddrinfo(host.hostname, host.port, family, socket.SOCK_STREAM)
    return [(family, kind, proto, address) for family, kind, proto, _, address in found]


def dial(host: Host) -> SshSocket:
    """A TCP connection to ``host`` within its ConnectTimeout, tuned for small packets.

    Raises :class:`HostUnknown` or :class:`HostUnreachable`.
    """
    try:
        addresses = resolve(host)
    except (socket.gaierror, UnicodeError) as error:
        raise unknown(host, error) from None
    deadline = time.monotonic() + host.connect_timeout
    refusals: list[OSError] = []
    for address in addresses:
        left = deadline - time.monotonic()
        if refusals and left <= 0:
            break
        try:
            return _connected(address, host, max(left, 0.001))
        except OSError as error:
            refusals.append(error)
    raise unreachable(host, refusals[0], host.connect_timeout)


def _connected(address: Address, host: Host, timeout: float) -> SshSocket:
    sock = unconnected(address, host)
    try:
        sock.settimeout(timeout)
        sock.connect(address[3])
        tune(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def unconnected(address: Address, host: Host) -> SshSocket:
    """A socket that can connect to ``address``, from where ``host`` is to be reached from.

    Raises :class:`OSError`.
    """
    sock = SshSocket(*address[:3])
    try:
        if host.bind_address:
            found = socket.getaddrinfo(host.bind_address, 0, address[0], socket.SOCK_STREAM)
            sock.bind(found[0][4])
        if host.bind_interface:
            _bind_to(sock, host.bind_interface)
    except OSError as error:
        sock.close()
        where = host.bind_address or host.bind_interface
        raise OSError(
            error.errno, f"not from {where}, as ssh_config wants it: {error.strerror or error}"
        ) from None
    return sock


if sys.platform == "linux":

    def _bind_to(sock: socket.socket, interface: str) -> None:
        """Linux lets users do that since 5.7."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")

else:

    def _bind_to(sock: socket.socket, interface: str) -> None:  # noqa: ARG001  see the other
        raise OSError(errno.ENOTSUP, "BindInterface is for Linux alone; say BindAddress")


def tune(sock: socket.socket) -> None:
    """Set a connected socket up for small packets, and for noticing a dead path."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    _notice_a_dead_path(sock)


if sys.platform == "win32":

    def _notice_a_dead_path(sock: socket.socket) -> None:
        """By what every Windows knows; it has the options by name only since 2017."""
        every_ms = 1000 * KEEPALIVE_IDLE_S
        sock.ioctl(socket.SIO_KEEPALIVE_VALS, (1, every_ms, every_ms))

else:

    def _notice_a_dead_path(sock: socket.socket) -> None:
        for name, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
            ("TCP_KEEPINTVL", KEEPALIVE_IDLE_S),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
        ):
            if hasattr(socket, name):  # which of them there are differs by OS
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def unknown(host: Host, error: Exception) -> HostUnknown:
    """What to say when the name does not resolve."""
    return HostUnknown(
        f"the name {host.hostname} does not resolve ({getattr(error, 'strerror', None) or error})",
        hint="check the spelling, the VPN, and HostName in ssh_config",
    )


def unreachable(host: Host, error: OSError, timeout: float) -> HostUnreachable:
    """What to say when no address took the connection within ``timeout`` seconds."""
    where = f"{host.hostname} port {host.port}"
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
