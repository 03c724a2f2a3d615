"""What is on the box before remotenb comes."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laptop import Event, Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

LAB4 = "nvcr.io/nvidia/pytorch:25.10-py3"
LAB2 = "nvcr.io/nvidia/pytorch:23.07-py3"
CLASSIC = "nvcr.io/nvidia/tensorflow:20.10-tf2-py3"
BARE = "nvcr.io/nvidia/cuda:12.4.0-base"
TINY = "busybox:1"

ARTICLE = ("jupyter", "notebook", "--ip", "0.0.0.0", "--allow-root")
"""As the article tells to start it."""


def on(laptop: Laptop, verb: str, *args: str) -> list[str]:
    """A command line with the options that every command has."""
    return [verb, "--json", "-F", str(laptop.ssh_config), *args]


def listed(laptop: Laptop, *args: str) -> list[dict[str, Any]]:
    """What a listing command prints with --json."""
    done = laptop.run(*on(laptop, *args))
    assert done.code == 0, done
    rows: list[dict[str, Any]] = json.loads(done.out)
    return rows


def did(laptop: Laptop, *args: str) -> Event:
    """The last event of a command that must succeed."""
    done = laptop.run(*on(laptop, *args))
    assert done.code == 0, done
    return done.events[-1]


def refused(laptop: Laptop, *args: str) -> Event:
    """The error of a command that must fail."""
    return laptop.run(*on(laptop, *args)).error


@pytest.fixture
def box(lab: Lab) -> Box:
    """The GPU server."""
    return lab.box


class ByHand(Protocol):
    """Starts a container with Jupyter in it, as people do; see :func:`by_hand`."""

    def __call__(
        self,
        *docker: str,
        image: str = LAB4,
        name: str = "nb",
        user: str = "alice",
        jupyter: tuple[str, ...] = ARTICLE,
    ) -> str: ...


RUNTIME_FILES = 'cat "$HOME"/.local/share/jupyter/runtime/*server-[0-9]*.json'


def wait_for_server(box: Box, name: str, user: str = "alice") -> None:
    """Until a server in that container has written its runtime file and listens."""

    def listens() -> bool:
        said = box.docker("exec", name, "sh", "-c", RUNTIME_FILES, user=user, check=False).stdout
        sockets = box.docker("exec", name, "cat", "/proc/net/tcp", user=user, check=False).stdout
        ports = {line.split()[1].split(":")[1] for line in sockets.splitlines() if " 0A " in line}
        port = said.partition('"port": ')[2].partition(",")[0]
        return port.isdigit() and f"{int(port):04X}" in ports

    until(listens, f"Jupyter in {name}", seconds=40)


@pytest.fixture
def by_hand(box: Box) -> ByHand:
    """Start a container as the article does; its name comes back when Jupyter listens."""

    def start(
        *docker: str,
        image: str = LAB4,
        name: str = "nb",
        user: str = "alice",
        jupyter: tuple[str, ...] = ARTICLE,
    ) -> str:
        box.docker("run", "-d", "--name", name, *docker, image, *jupyter, "--no-browser", user=user)
        wait_for_server(box, name, user)
        return name

    return start


INTO_A_VENV = """
python3 -m venv --without-pip /opt/jupyter
docker export $(docker create "$1") | tar -x -C /opt/jupyter usr/local
cd /opt/jupyter/usr/local
cp -r lib/python3*/dist-packages/. /opt/jupyter/lib/python3*/site-packages/
cp -r share etc /opt/jupyter/
sed -i '1s|^#!.*python.*|#!/opt/jupyter/bin/python3|' bin/*
cp bin/* /opt/jupyter/bin/
ln -s /opt/jupyter/bin/jupyter /usr/local/bin/jupyter
"""


@pytest.fixture
def host_jupyter(box: Box) -> Iterator[None]:
    """Jupyter on the host itself, in a virtual environment, with its command alone on the PATH."""
    box.run(["sh", "-ec", INTO_A_VENV, "sh", LAB4], timeout=120)
    yield
    box.run(["rm", "-rf", "/opt/jupyter", "/usr/local/bin/jupyter"])


SECOND_DOCKER = "/run/second-docker.sock"
SECOND_DISK = "/var/lib/docker/second"
_START_DOCKER = """
socket=$1 program=$2 && shift 2
mkdir -p /var/lib/docker/second
# a bridge of its own, for with none it would take the other one's away
ip link add docker1 type bridge && ip addr add 10.79.0.1/24 dev docker1
exec $program --data-root /var/lib/docker/second --exec-root /run/second-docker \\
    --pidfile /run/second-docker.pid -H "unix://$socket" --group docker \\
    --bridge docker1 --iptables=false "$@" \\
    >/var/log/second-docker.log 2>&1
"""


@contextmanager
def second_docker(
    box: Box, *options: str, program: str = "dockerd", disk: str = ""
) -> Iterator[None]:
    """One more dockerd of the box, which bob's logins talk to: as if they were on another one.

    ``disk`` is the size of its own disk, as ``20m``.
    """
    address = f"unix://{SECOND_DOCKER}"
    if disk:
        box.run(["mkdir", "-p", SECOND_DISK])
        box.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", SECOND_DISK])
    process = subprocess.Popen(
        box.enter(["sh", "-c", _START_DOCKER, "sh", SECOND_DOCKER, program, *options])
    )
    try:
        box.sshd(f"Match User bob\n  SetEnv DOCKER_HOST={address}")
        info = ["docker", "-H", address, "info"]
        until(lambda: box.run(info, check=False).returncode == 0, "a second docker", seconds=30)
        yield
    finally:
        box.run(["sh", "-c", "kill $(cat /run/second-docker.pid)"], check=False)
        process.wait(20)
        box.run(["ip", "link", "del", "docker1"], check=False)
        box.run(["umount", "-l", SECOND_DISK], check=False)
        box.run(["rm", "-rf", SECOND_DISK], timeout=120)


@contextmanager
def small_disk(box: Box | None, place: Path) -> Iterator[None]:
    """One MiB, of the box or of this machine, whose pages let 256 small files be."""

    def run(*argv: str) -> None:
        if box is not None:
            box.run([*argv])
        else:
            subprocess.run(argv, check=True)

    run("mkdir", str(place))
    run("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", str(place))
    try:
        yield
    finally:
        run("umount", str(place))
