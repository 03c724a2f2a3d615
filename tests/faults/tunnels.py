"""The contenders: remotenb, and what people use instead of it."""

from __future__ import annotations

import http.client
import secrets
import shlex
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from tests.notebook import Notebook
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.laptop import Connected, Event, Laptop
    from tests.rig.lab import Lab

BY_HAND_PORT = 18888
ALIVE = "-o ServerAliveInterval={} -o ServerAliveCountMax=3"

# Between the loop (or autossh) and ssh: writes down when an ssh ended.
WRAPPER = """#!/bin/sh
ssh -F {config} "$@" &
child=$!
trap 'kill $child' TERM
wait $child
code=$?
date +%s.%N >>{log}
exit $code
"""
LOOP = "while :; do {ssh}; sleep 1; done"

SSHTUNNEL = """
import sys, time
from sshtunnel import BaseSSHTunnelForwarderError, SSHTunnelForwarder
host, key, near, far = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tunnel = SSHTunnelForwarder(
    (host, 22), ssh_username="alice", ssh_pkey=key, allow_agent=False, host_pkey_directories=[],
    remote_bind_address=("127.0.0.1", far), local_bind_address=("127.0.0.1", near),
    set_keepalive=2.0,
)
tunnel.start()
while True:
    time.sleep(1)
    tunnel.check_tunnels()
    if not tunnel.is_active or not all(tunnel.tunnel_is_up.values()):
        try:
            tunnel.restart()
        except BaseSSHTunnelForwarderError:
            pass
"""


class Contender(ABC):
    """A tunnel to a notebook; a context manager."""

    name: str
    notebook: Notebook
    port: int

    def __init__(self, lab: Lab, host: str) -> None:
        """``host`` is an alias of the rig's ssh_config."""
        self.lab = lab
        self.host = host
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    @abstractmethod
    def start(self) -> None:
        """Open the tunnel and wait until it carries."""

    @abstractmethod
    def losses(self) -> list[float]:
        """When it took the link for lost, by the wall clock."""

    def noticed(self, struck: float) -> float | None:
        """Seconds from the fault to the moment at which it took the link for lost."""
        later = [when - struck for when in self.losses() if when >= struck]
        return min(later, default=None)


class Remotenb(Contender):
    """``remotenb connect``, with a container of its own."""

    name = "remotenb"
    connected: Connected

    def __init__(self, lab: Lab, host: str, laptop: Laptop, *options: str) -> None:
        """``options`` say which container."""
        super().__init__(lab, host)
        self._laptop = laptop
        self._options = options

    def start(self) -> None:
        """Connect, on the port of last time."""
        context = self._laptop.connected(self.host, *self._options)
        self.connected = self._open.enter_context(context)
        self.notebook = Notebook(self.connected.ready["url"])
        self.port = self.connected.ready["local_port"]
        self._options = ("--container", self.container)

    @property
    def container(self) -> str:
        """The name of the container."""
        name: str = self.connected.ready["container"]
        return name

    @property
    def process(self) -> psutil.Process:
        """The process on the laptop."""
        return psutil.Process(self.connected.process.pid)

    def events(self, kind: str) -> list[Event]:
        """What it told so far, of that kind."""
        return [event for event in self.connected.drain() if event["event"] == kind]

    def losses(self) -> list[float]:
        return [datetime.fromisoformat(one["time"]).timestamp() for one in self.events("dropped")]


class Peer(Contender):
    """A process that tunnels to the container that was started by hand."""

    def __init__(self, lab: Lab, host: str, place: Path, token: str) -> None:
        """``place`` is an empty directory, ``token`` the notebook's."""
        super().__init__(lab, host)
        self.place = place
        self.port = _free_port()
        self.notebook = Notebook(f"http://127.0.0.1:{self.port}/?token={token}")
        self._log = place / f"{secrets.token_hex(4)}.log"

    @abstractmethod
    def argv(self) -> list[str]:
        """The command line."""

    def start(self) -> None:
        """Start the process and wait until its port answers."""
        process = subprocess.Popen(
            self.argv(),
            env={"PATH": "/usr/bin:/bin", **self.environment(), "HOME": str(self.place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._open.callback(_kill, process)
        until(self._carries, self.name, seconds=20)

    def environment(self) -> dict[str, str]:
        """What it finds in its environment besides the usual."""
        return {}

    def losses(self) -> list[float]:
        """When an ssh of it ended."""
        return [float(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def ssh(self) -> str:
        """An ``ssh`` that writes down its own end."""
        wrapper = self._log.with_suffix(".sh")
        wrapper.write_text(WRAPPER.format(config=self.lab.ssh_config, log=self._log))
        wrapper.chmod(0o755)
        return str(wrapper)

    def forward(self, every: int) -> str:
        """Options of ssh, with a keepalive each ``every`` seconds."""
        alive = ALIVE.format(every)
        where = f"{self.port}:127.0.0.1:{BY_HAND_PORT}"
        return f"-N -o ExitOnForwardFailure=yes {alive} -L {where} {self.host}"

    def _carries(self) -> bool:
        try:
            return "version" in self.notebook.call("GET", "api")
        except (OSError, ValueError, http.client.HTTPException):
            return False


class Autossh(Peer):
    """autossh without its own monitoring, as its manual advises."""

    every = 30
    name = "autossh 30x3"

    def argv(self) -> list[str]:
        return ["autossh", "-M", "0", *shlex.split(self.forward(self.every))]

    def environment(self) -> dict[str, str]:
        return {"AUTOSSH_PATH": self.ssh(), "AUTOSSH_GATETIME": "0"}


class QuickAutossh(Autossh):
    """The same with a short keepalive."""

    every = 2
    name = "autossh 2x3"


class Loop(Peer):
    """``ssh`` in a loop of the shell."""

    name = "ssh loop 2x3"

    def argv(self) -> list[str]:
        ssh = f"{self.ssh()} -o ConnectTimeout=3 {self.forward(2)}"
        return ["sh", "-c", LOOP.format(ssh=ssh)]


class Sshtunnel(Peer):
    """The library, with the check that its users write around it."""

    name = "sshtunnel"

    def argv(self) -> list[str]:
        ip = self.lab.box.far_ip if self.host.endswith("far") else self.lab.box.ip
        where = [ip, str(self.lab.key), str(self.port), str(BY_HAND_PORT)]
        return [sys.executable, "-c", SSHTUNNEL, *where]


PEERS = (Autossh, QuickAutossh, Loop, Sshtunnel)
NAMES = [Remotenb.name, *(peer.name for peer in PEERS)]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started; suspended, it does not start more."""
    parent = psutil.Process(process.pid)
    with suppress(psutil.NoSuchProcess):
        parent.suspend()
        for child in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait(10)
