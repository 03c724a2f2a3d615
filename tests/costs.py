"""What a tunnel costs: an echo's time idle and beside a download, uploads, CPU, memory."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

BULK = 40_000_000
ECHOES = 300
EVERY_S = 0.01
"""Between two echoes: a person types slower, a progress bar prints faster."""

HEAD = "| tunnel | echo idle, p50 / p99 | beside a download | upload | CPU of the laptop |"


def connection(port: int, kind: bytes) -> socket.socket:
    """To the server of the bench; ``kind`` says what it does."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(kind)
    return sock


def download(port: int) -> None:
    """All of :data:`BULK` bytes."""
    with connection(port, b"2") as sock:
        left = BULK
        while left:
            data = len(sock.recv(1 << 20))
            assert data
            left -= data


def upload(port: int) -> None:
    """The same number of bytes the other way, until the server has them."""
    with connection(port, b"4") as sock:
        block = bytes(1 << 16)
        for _ in range(BULK // len(block)):
            sock.sendall(block)
        sock.sendall(bytes(BULK % len(block)))
        assert sock.recv(1)


def echoes(port: int) -> list[float]:
    """Seconds of each, sorted."""
    taken = []
    with connection(port, b"3") as sock:
        for _ in range(ECHOES):
            start = time.perf_counter()
            sock.sendall(b"x" * 64)
            left = 64
            while left:
                data = len(sock.recv(left))
                assert data
                left -= data
            taken.append(time.perf_counter() - start)
            time.sleep(EVERY_S)
    return sorted(taken)


def beside_a_download(port: int) -> list[float]:
    """Echoes while something is downloaded again and again through the same tunnel."""
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            download(port)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        return echoes(port)
    finally:
        over.set()
        thread.join()


def _cpu() -> float:
    processes = [psutil.Process(), *psutil.Process().children()]
    times = [one.cpu_times() for one in processes if one.name() in {"ssh", processes[0].name()}]
    return sum(one.user + one.system for one in times)


def figures(port: int) -> Iterator[str]:
    """The cells of one row."""
    for taken in (echoes(port), beside_a_download(port)):
        p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99)]
        yield f"{p50 * 1e3:.1f} / {p99 * 1e3:.1f} ms"
    start = time.perf_counter()
    upload(port)
    yield f"{BULK / 1e6 / (time.perf_counter() - start):.0f} MB/s"
    before = _cpu()
    for _ in range(5):
        download(port)
    yield f"{(_cpu() - before) / (5 * BULK / 1e9):.0f} s/GB"
