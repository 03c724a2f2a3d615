"""What stands at the other end of a connection: small servers, each good at one thing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 20.0


def until(what: Callable[[], object], says: str, seconds: float = TIMEOUT_S) -> None:
    """Look again and again until ``what`` is true; an error after the deadline."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s: {says}"
        time.sleep(0.02)


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on a free port that gives each connection to ``serve``, in a thread."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def one(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(TIMEOUT_S)
            serve(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:  # closed
                return
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join(TIMEOUT_S)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port where nothing listens, held so that nobody else comes to listen there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    data = bytearray()
    while more := sock.recv(1 << 16):
        data += more
    return bytes(data)


def echo_at_the_end(sock: socket.socket) -> None:
    """Read until the other side has finished, and only then send all of it back."""
    sock.sendall(read_all(sock))


def echo_at_once(sock: socket.socket) -> None:
    """Send back what comes."""
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def silent(sock: socket.socket) -> None:
    """Take the connection and say nothing."""
    sock.recv(1)
    read_all(sock)


def hang_up(sock: socket.socket) -> None:
    """Close at once."""
