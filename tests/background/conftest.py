"""A server that an SSH server on the loopback plays, and a laptop with a home of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from remotenb.embedded import EmbeddedServer
from tests.laptop import Laptop
from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.model import Host

ENTRY = """\
Host box
    HostName {host.hostname}
    Port {host.port}
    User {host.user}
    IdentityFile {host.identity_files[0]}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {host.user_known_hosts[0]}
    GlobalKnownHostsFile /dev/null
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A box with a Jupyter of its own; what runs in its home is ended at last."""
    folder = tmp_path_factory.mktemp("box")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    played = EmbeddedServer(folder, environment={"PATH": path})
    with played as host:
        yield host
    home = f"HOME={played.home}"
    ours = [p for p in psutil.process_iter() if home in _environment(p)]
    for process in ours:
        process.kill()
    until(lambda: not any(process.is_running() for process in ours), "the box's end")


def _environment(process: psutil.Process) -> list[str]:
    try:
        return [f"{name}={value}" for name, value in process.environ().items()]
    except psutil.Error:
        return []


@pytest.fixture
def laptop(server: Host, tmp_path: Path) -> Iterator[Laptop]:
    """A laptop that knows the box as ``box``; its sessions end with the test."""
    config = tmp_path / "ssh_config"
    config.write_text(ENTRY.format(host=server))
    home = tmp_path / "home"
    home.mkdir()
    laptop = Laptop(home, config)
    yield laptop
    laptop.run("disconnect", "--all")
    mine = f"HOME={home}"
    until(
        lambda: not [p for p in psutil.process_iter() if mine in _environment(p)],
        "the sessions' end",
    )
