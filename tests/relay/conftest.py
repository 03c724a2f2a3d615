"""The relay as a process of its own beside a server, and this test as the laptop."""

from __future__ import annotations

import os
import secrets
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotenb import far
from remotenb.server import Endpoint
from remotenb.tunnel.relayed import Relayed
from tests.rig.failures import until

assert sys.platform != "win32"  # unix sockets and signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.tunnel.relayed import Attached, Cut

PATIENCE_S = 20.0


def pythons() -> list[str]:
    """This Python, and the oldest that is to be had."""
    old = sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python"))
    return [sys.executable, *map(str, old[:1])]


class ProcessChannel:
    """A process where the product has an SSH channel."""

    def __init__(self, argv: tuple[str, ...], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            argv, bufsize=0, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.closed = self.eof_received = False
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self._in, self._out = self.process.stdin, self.process.stdout
        self._err = self.process.stderr
        self._stdin = self._in.fileno()

    def fileno(self) -> int:
        return self._out.fileno()

    def recv_ready(self) -> bool:
        return bool(select.select([self._out], [], [], 0)[0])

    def recv(self, nbytes: int) -> bytes:
        return os.read(self._out.fileno(), nbytes)

    def recv_stderr_ready(self) -> bool:
        return bool(select.select([self._err], [], [], 0)[0]) and self.process.poll() is None

    def recv_stderr(self, nbytes: int) -> bytes:
        return os.read(self._err.fileno(), nbytes)

    def sendall(self, s: bytes) -> None:
        while s:
            if self.closed:
                raise BrokenPipeError
            s = s[os.write(self._stdin, s) :]

    def close(self) -> None:
        self.closed = True
        self.process.kill()
        self.process.wait()
        for pipe in (self._in, self._out, self._err):
            pipe.close()


class Beside:
    """Starts links to the relay that runs as this user, in a folder of the test's own."""

    def __init__(self, python: str, runtime: Path, targets: list[tuple[str, int]]) -> None:
        self.python = python
        self.targets = targets
        self.environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(runtime)}
        self.channels: list[ProcessChannel] = []
        self.before: tuple[str, ...] = ()
        self.name = f"relay-{secrets.token_hex(6)}"

    def link(self, relayed: Relayed, **wish: object) -> Attached:
        """A new link; what the far side said."""
        channel = self.channel(**wish)
        return relayed.attach(channel, b"a marker").result(PATIENCE_S)

    def channel(self, **wish: object) -> ProcessChannel:
        facts = {
            "name": self.name,
            "folders": list[str](),
            "targets": self.targets,
            "marker": "a marker",
            **wish,
        }
        argv = (*self.before, *far.boot(self.python), far.wish(**facts))
        channel = ProcessChannel(argv, self.environment)
        self.channels.append(channel)
        channel.sendall(far.shipment())
        return channel


class Server:
    """A server that does as the test says with each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        with sock:
            try:
                self._serve(sock)
            except OSError:
                return

    def close(self) -> None:
        self._sock.close()


class Scene:
    """A server, the relay beside it, and laptops."""

    def __init__(self, python: str, runtime: Path) -> None:
        self.cuts: list[Cut] = []
        self.beside = Beside(python, runtime, [])
        self.runtime = runtime
        self._servers: list[Server] = []
        self._laptops: list[Relayed] = []
        self._sockets: list[socket.socket] = []

    def serve(self, serve: Callable[[socket.socket], None]) -> Endpoint:
        server = Server(serve)
        self._servers.append(server)
        self.beside.targets.append(("127.0.0.1", server.port))
        return Endpoint("127.0.0.1", server.port)

    def dial(self, laptop: Relayed, endpoint: Endpoint) -> socket.socket:
        """A connection as the browser makes one."""
        sock = laptop.carrier(endpoint).connect()
        self._sockets.append(sock)
        return sock

    def laptop(self, session: bytes | None = None) -> Relayed:
        laptop = Relayed(session or secrets.token_bytes(16), "box", self.cuts.append)
        self._laptops.append(laptop)
        return laptop

    def files(self) -> list[str]:
        return [str(path) for path in self.runtime.rglob("*")]

    def processes(self) -> list[int]:
        """The relays that run for this test."""
        mark = f"XDG_RUNTIME_DIR={self.runtime}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
            except OSError:
                continue
        return found

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for laptop in self._laptops:
            laptop.close()
        for channel in self.beside.channels:
            if not channel.closed:
                channel.close()
        for server in self._servers:
            server.close()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        until(lambda: not self.processes(), "the relays' end")


@pytest.fixture(params=pythons(), ids=lambda path: "python3.6" if "3.6" in path else "python")
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    scene = Scene(request.param, runtime)
    yield scene
    scene.close()
