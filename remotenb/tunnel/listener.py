"""The local port: bound once, on the loopback alone, and ours until the session ends."""

from __future__ import annotations

import hashlib
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Protocol, Self

from remotenb.errors import PortTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the ports that Linux (32768) and Windows (49152) give to outgoing connections."""

TRIES = 64
WSAEACCES = 10013
"""What Windows says of a port in a range that Hyper-V, WSL or Docker Desktop has reserved."""
RESERVED = "; Windows' reserved ones: netsh int ipv4 show excludedportrange protocol=tcp"
BACKLOG = 128


class Carrier(Protocol):
    """What takes a browser's connection to the server."""

    def carry(self, browser: socket.socket, first: bytes = b"") -> None:
        """See to it that one connection is carried to its end, and closed; returns at once.

        ``first`` was read from it already.
        """


def ports_for(host: str, container: str) -> Iterator[int]:
    """The ports to try: always the same for this host and container, so that cookies hold.

    A cookie of Jupyter's belongs to the port, and login goes on after a restart of remotenb.
    """
    digest = hashlib.sha256(f"{host}\0{container}".encode()).digest()
    span = LAST_PORT - FIRST_PORT
    first = int.from_bytes(digest[:8], "big") % span
    return (FIRST_PORT + (first + n) % span for n in range(TRIES))


def bind(ports: Iterable[int]) -> socket.socket:
    """A listening socket on the first of ``ports`` that is free; raises :class:`PortTaken`."""
    tried: list[int] = []
    reserved = ""
    for port in ports:
        tried.append(port)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            _claim(sock, port)
        except OSError as error:
            logger.debug("port %d: %s", port, error)
            reserved = RESERVED if getattr(error, "winerror", 0) == WSAEACCES else ""
            sock.close()
            continue
        return sock
    if len(tried) == 1:
        raise PortTaken(
            f"the local port {tried[0]} is taken",
            hint=f"leave --port out, or choose another{reserved}",
        )
    raise PortTaken(
        f"none of the local ports {tried[0]} and the {len(tried) - 1} after it is free",
        hint=f"choose one with --port{reserved}",
    )


def own(sock: socket.socket) -> None:
    """Before it is bound: nobody else may take the port too, also on Windows."""
    if sys.platform == "win32":
        # there SO_REUSEADDR would let two programs share the port, and one take the other's traffic
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # past TIME_WAIT, not past others


def _claim(sock: socket.socket, port: int) -> None:
    own(sock)
    sock.bind((LOOPBACK, port))
    sock.listen(BACKLOG)


class Listener:
    """Accepts connections on a bound socket and hands each to the carrier of the moment."""

    def __init__(self, sock: socket.socket, carrier: Carrier) -> None:
        self.port: int = sock.getsockname()[1]
        self.carrier = carrier
        self._sock = sock
        self._thread = threading.Thread(target=self._accept, name="listener", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._sock.accept()
            except OSError:  # closed
                return
            browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.carrier.carry(browser)

    def close(self) -> None:
        """Stop listening; connections that were accepted end with their carrier."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)  # Linux: close alone does not wake accept
        except OSError:
            pass  # Windows and macOS refuse this for a listening socket, and wake it on close
        self._sock.close()
        self._thread.join(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
