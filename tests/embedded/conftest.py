"""A box on the loopback: an SSH server in this process, and what is needed to talk to it."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from remotenb.embedded import EmbeddedServer
from remotenb.model import Host
from remotenb.server import Endpoint
from remotenb.ssh.link import open_link
from remotenb.tunnel import direct
from remotenb.tunnel.listener import Listener, bind
from tests.embedded.peers import TIMEOUT_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.jupyter import Connect
    from remotenb.ssh.link import Link


def environment(*first: Path) -> dict[str, str]:
    """What commands of the box see; the folders ``first`` come first in PATH."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([*map(str, first), beside, os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Box:
    """A server that can be logged in to."""

    host: Host
    home: Path


def connected_to(port: int) -> list[object]:
    """The connections of this process whose near end is ``port``."""
    sockets = psutil.Process().net_connections("tcp")
    return [one for one in sockets if len(one.raddr) and one.laddr.port == port]


@contextmanager
def played(server: EmbeddedServer) -> Iterator[Host]:
    """The server, until the connections to it have ended."""
    with server as host:
        yield host
        until(lambda: not connected_to(host.port), "the server's connections have ended")


GIVEN = "TESTS_BOX"
"""Where a box plays that this process cannot: its Host as JSON, for what runs under Wine."""


def given(told: str) -> Host:
    """The host that a process on Linux has made; its files are on this machine."""
    facts = json.loads(told)
    paths = {name: tuple(map(Path, facts.pop(name))) for name in ("identity_files", "known")}
    return Host(
        identity_files=paths["identity_files"],
        user_known_hosts=paths["known"],
        identities_only=True,
        identity_agent="none",
        strict_host_key="yes",
        **facts,
    )


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The box."""
    if GIVEN in os.environ:
        yield Box(given(os.environ[GIVEN]), Path())
        return
    if os.name == "nt":
        pytest.skip("a box needs a POSIX sh")
    server = EmbeddedServer(tmp_path_factory.mktemp("box"), environment=environment())
    with played(server) as host:
        yield Box(host, server.home)


@pytest.fixture(scope="session")
def link(box: Box) -> Iterator[Link]:
    """A connection to the box."""
    with open_link(box.host) as opened:
        yield opened


@pytest.fixture(scope="session")
def connect(link: Link) -> Connect:
    """Connects to an endpoint of the box, the way the tunnel goes."""
    return direct.Forwards(link.transport).connect


@pytest.fixture
def tunnel(link: Link) -> Iterator[Callable[[int], socket.socket]]:
    """A connection to a tunnel's local port that leads to a port of the box."""
    with ExitStack() as stack:

        def open_tunnel(port: int) -> socket.socket:
            carrier = direct.DirectCarrier(link.transport, Endpoint("127.0.0.1", port))
            listener = stack.enter_context(Listener(bind([0]), carrier))
            address = ("127.0.0.1", listener.port)
            return stack.enter_context(socket.create_connection(address, TIMEOUT_S))

        yield open_tunnel
