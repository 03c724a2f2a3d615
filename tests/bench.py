"""Seconds, round trips and throughput, beside ssh and sshtunnel, in one run on the rig's machines.

``make bench`` prints the tables of docs/reference/figures.md. A round trip is not counted but
measured: what a delay of 100 ms adds, divided by 100 ms. Ratios are to OpenSSH in the same run.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sshtunnel

from remotenb import far
from remotenb.server import ON_HOST, Endpoint
from remotenb.session.ways import Place, attach
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from remotenb.tunnel.direct import DirectCarrier
from remotenb.tunnel.listener import Listener, bind
from remotenb.tunnel.relayed import Relayed
from tests import costs
from tests.costs import BULK
from tests.laptop import Laptop
from tests.machines.conftest import LAB4
from tests.rig.failures import until
from tests.rig.lab import Lab

FAR = "gpu-box-far"
RTT_S = 0.1
PORT = 7000

Tunnel = Callable[[Lab], AbstractContextManager[int]]

# The first byte says what is wanted: 1 a byte, 2 many, 3 an echo, 4 a byte when many have come.
# Runs on the box with the machine's own Python.
SERVER = f"""
import contextlib, socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):  # a client that leaves early is none of our business
        with contextlib.suppress(OSError):
            self.answer()
    def answer(self):
        kind = self.request.recv(1)
        while kind == b"3":
            data = self.request.recv(65536)
            if not data:
                return
            self.request.sendall(data)
        size = {BULK} if kind == b"2" else 1
        left = {BULK} if kind == b"4" else 0
        while left > 0:
            left -= len(self.request.recv(1 << 20)) or left
        block = bytes(65536)
        while size > 0:
            size -= self.request.send(block[:size])
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
Server(("127.0.0.1", {PORT}), Handler).serve_forever()
"""


def seconds(act: Callable[[], object]) -> float:
    """What ``act`` takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@contextmanager
def at_rtt(lab: Lab, rtt: float) -> Iterator[None]:
    """The far path with a round trip of ``rtt`` seconds."""
    lab.wire.set(delay=rtt / 2)
    yield
    lab.wire.reset()


def both(lab: Lab, act: Callable[[], float], runs: int) -> tuple[float, float, float]:
    """Seconds without delay and with it, and the round trips between them.

    The fastest of several that take turns: what else the machine does only adds.
    """
    near, far = [], []
    for _ in range(runs):
        with at_rtt(lab, 0):
            near.append(act())
        with at_rtt(lab, RTT_S):
            far.append(act())
    return min(near), min(far), (min(far) - min(near)) / RTT_S


def connects(lab: Lab, laptop: Laptop, runs: int) -> None:
    """The first table: from the command to the ready notebook."""
    ssh = ["ssh", "-F", str(lab.ssh_config), FAR, "true"]

    def plain() -> float:
        return seconds(lambda: subprocess.run(ssh, check=True, stdin=subprocess.DEVNULL))

    def connect(*more: str) -> float:
        start = time.perf_counter()
        with laptop.connected(FAR, *more):
            return time.perf_counter() - start

    def cold() -> float:
        containers = lab.box.docker("ps", "-aq").stdout.split()
        if containers:
            lab.box.docker("rm", "-f", *containers)
        return connect("--image", LAB4)

    rows = {
        "ssh HOST true": both(lab, plain, runs),
        "connect, cold (no container)": both(lab, cold, runs),
        "connect, warm (notebook runs)": both(lab, connect, runs),
    }
    print("\n| from the command to | 0 ms | 100 ms | round trips |\n|---|---|---|---|")
    for name, (near, distant, trips) in rows.items():
        print(f"| {name} | {near:.2f} s | {distant:.2f} s | {trips:.1f} |")


@contextmanager
def by_ssh(lab: Lab) -> Iterator[int]:
    """``ssh -N -L``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forward = ["-N", "-L", f"{port}:127.0.0.1:{PORT}", "-o", "ExitOnForwardFailure=yes"]
    process = subprocess.Popen(["ssh", "-F", str(lab.ssh_config), *forward, FAR])
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens, "ssh -L", seconds=20)


@contextmanager
def by_sshtunnel(lab: Lab) -> Iterator[int]:
    """sshtunnel, as its users start it."""
    tunnel = sshtunnel.SSHTunnelForwarder(
        (lab.box.far_ip, 22),
        ssh_username="alice",
        ssh_pkey=str(lab.key),
        allow_agent=False,
        host_pkey_directories=[],
        remote_bind_address=("127.0.0.1", PORT),
        local_bind_address=("127.0.0.1", 0),
    )
    tunnel.start()
    try:
        yield tunnel.local_bind_port
    finally:
        tunnel.stop(force=True)


@contextmanager
def by_relay(lab: Lab) -> Iterator[int]:
    """Our tunnel, with a relay beside the server."""
    endpoint = Endpoint("127.0.0.1", PORT, place=ON_HOST)
    place = Place(ON_HOST, ((far.boot("python3"), {"folders": []}),))
    relayed = Relayed(secrets.token_bytes(16), "box", print)
    with open_link(resolve(FAR, config_file=lab.ssh_config)) as link:
        attach(link, place, relayed, [endpoint])
        with Listener(bind([0]), relayed.carrier(endpoint)) as listener:
            yield listener.port
        relayed.close()


@contextmanager
def by_remotenb(lab: Lab) -> Iterator[int]:
    """Our tunnel, with the direct carrier."""
    host = resolve(FAR, config_file=lab.ssh_config)
    with open_link(host) as link:
        carrier = DirectCarrier(link.transport, Endpoint("127.0.0.1", PORT))
        with Listener(bind([0]), carrier) as listener:
            yield listener.port


def first_byte(port: int) -> float:
    """Seconds from a new connection to its first byte back."""

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            sock.sendall(b"1")
            assert sock.recv(1)

    return seconds(ask)


def download(port: int) -> float:
    """Megabytes a second, one connection."""

    def fetch() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
            sock.sendall(b"2")
            left = BULK
            while left:
                left -= len(sock.recv(1 << 20)) or left
            assert left == 0

    return BULK / 1e6 / seconds(fetch)


@contextmanager
def serving(lab: Lab) -> Iterator[None]:
    """What the tunnels lead to."""
    lab.box.write("/tmp/server.py", SERVER)
    server = subprocess.Popen(lab.box.enter(["python3", "/tmp/server.py"]))
    try:
        until(lambda: PORT in [one.port for one in lab.box.listening()], "the server")
        yield
    finally:
        server.kill()
        server.wait(10)


def tunnels(lab: Lab, runs: int) -> None:
    """The second table: what goes through; the tunnels take turns."""
    taken: dict[str, list[list[float]]] = {name: [] for name in TUNNELS}
    for _ in range(runs):
        for name, open_tunnel in TUNNELS.items():
            taken[name].append(_figures(lab, open_tunnel))
    rows = {
        name: [statistics.median(row) for row in zip(*taken[name], strict=True)] for name in TUNNELS
    }
    base = next(iter(rows.values()))
    print("\n| tunnel | first byte 0 ms | 100 ms | download 0 ms | 50 ms |\n|---|---|---|---|---|")
    for name, figures in rows.items():
        ratios = [figure / first for figure, first in zip(figures, base, strict=True)]
        near, far, lan, wan = figures
        print(
            f"| {name} | {near * 1e3:.1f} ms ({ratios[0]:.2f}) | {far * 1e3:.0f} ms "
            f"({ratios[1]:.2f}) | {lan:.0f} MB/s ({ratios[2]:.2f}) "
            f"| {wan:.1f} MB/s ({ratios[3]:.2f}) |"
        )


def expenses(lab: Lab) -> None:
    """The third table: what it costs."""
    print(f"\n{costs.HEAD}\n|---|---|---|---|---|")
    for name, open_tunnel in TUNNELS.items():
        with at_rtt(lab, 0), open_tunnel(lab) as port:
            print(f"| {name} | {' | '.join(costs.figures(port))} |")


def _figures(lab: Lab, open_tunnel: Tunnel) -> list[float]:
    figures: list[float] = []
    for rtt, measure in ((0.0, first_byte), (0.1, first_byte), (0.0, download), (0.05, download)):
        with at_rtt(lab, rtt), open_tunnel(lab) as port:
            measure(port)  # what is only the first time
            figures.append(measure(port))
    return figures


TUNNELS: dict[str, Tunnel] = {
    "ssh -L": by_ssh,
    "sshtunnel": by_sshtunnel,
    "remotenb, relay": by_relay,
    "remotenb, direct": by_remotenb,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    home = Path(tempfile.mkdtemp(prefix="remotenb-bench-"))
    try:
        with Lab() as lab:
            lab.enter_laptop()
            lab.reset()
            connects(lab, Laptop(home, lab.ssh_config), runs)
            with serving(lab):
                tunnels(lab, runs)
                expenses(lab)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
