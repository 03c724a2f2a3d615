"""What an administrator would type on Debian or Ubuntu, as lines to be shown before they are run.

Pure. The vendors' own instructions of 2026: docs.docker.com/engine/install/ubuntu,
docs.nvidia.com/datacenter/cloud-native/container-toolkit. Each line may be run again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.ssh.shell import quote
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER = "https://download.docker.com/linux"
NVIDIA = "https://nvidia.github.io/libnvidia-container"
DOCKER_KEY = "/etc/apt/keyrings/docker.asc"
NVIDIA_KEY = "/etc/apt/keyrings/nvidia-container-toolkit.asc"

OFFLINE_DOCKER = ("containerd.io", "docker-ce", "docker-ce-cli", "docker-buildx-plugin")
OFFLINE_TOOLKIT = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class System:
    """What has to be known of a machine to install something on it; see ``system.sh``."""

    id: str = ""
    codename: str = ""
    architecture: str = ""
    apt: bool = False
    systemd: bool = False
    root: bool = False
    sudo: bool = False
    docker_reached: bool = False
    """Docker's own repository answers."""
    nvidia_reached: bool = False
    apt_has_docker: bool = False
    """The distribution's repositories, as they are known there, have ``docker.io``."""
    apt_has_toolkit: bool = False

    @property
    def known(self) -> bool:
        """Whether we know what to type there."""
        return self.apt and self.id in {"debian", "ubuntu"}


def parse(text: str) -> System:
    """The lines of ``system.sh``, NAME=VALUE; what is not such a line is left out."""
    pairs = (plain(line).partition("=") for line in text.splitlines())
    facts: Mapping[str, str] = {name: value.strip() for name, equals, value in pairs if equals}

    def word(name: str) -> str:
        value = facts.get(name, "")
        return value if re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,30}", value) else ""

    flags = {
        name: facts.get(name) == "yes"
        for name, kind in System.__annotations__.items()
        if kind == "bool"
    }
    return System(word("id"), word("codename"), word("architecture"), **flags)


def shown(system: System, line: str) -> str:
    """``line``, which root is to run, as a person there would type it."""
    return line if system.root else f"sudo {line}"


def install_docker(system: System) -> Lines:
    """Docker Engine: from Docker, else from the distribution; empty where neither is to be had."""
    if not system.known:
        return ()
    if system.docker_reached and system.codename:
        source = (
            f"deb [arch={system.architecture} signed-by={DOCKER_KEY}] "
            f"{DOCKER}/{system.id} {system.codename} stable"
        )
        return (
            "apt-get update",
            "apt-get install -y ca-certificates curl",
            "install -m 0755 -d /etc/apt/keyrings",
            f"curl -fsSL {DOCKER}/{system.id}/gpg -o {DOCKER_KEY}",
            f"chmod a+r {DOCKER_KEY}",
            _written(source, "/etc/apt/sources.list.d/docker.list"),
            "apt-get update",
            "apt-get install -y docker-ce docker-ce-cli containerd.io",
            _service(system, "start"),
        )
    if system.apt_has_docker:
        packages = "apt-get install -y --no-install-recommends docker.io"
        return (packages, _service(system, "start"))
    return ()


def permit(user: str) -> Lines:
    """Let ``user`` talk to docker; that makes them root on that machine."""
    return ("groupadd -f docker", f"usermod -aG docker {quote(user)}")


def install_toolkit(system: System) -> Lines:
    """NVIDIA's Container Toolkit; empty where it is not to be had."""
    if not system.known:
        return ()
    source = f"deb [signed-by={NVIDIA_KEY}] {NVIDIA}/stable/deb/{system.architecture} /"
    fetch: Lines = ()
    if system.nvidia_reached:
        fetch = (
            "install -m 0755 -d /etc/apt/keyrings",
            f"curl -fsSL {NVIDIA}/gpgkey -o {NVIDIA_KEY}",
            f"chmod a+r {NVIDIA_KEY}",
            _written(source, "/etc/apt/sources.list.d/nvidia-container-toolkit.list"),
            "apt-get update",
        )
    elif not system.apt_has_toolkit:
        return ()
    return (
        *fetch,
        "apt-get install -y nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker",
        _service(system, "restart"),
    )


def carried(packages: Lines) -> str:
    """What to do where no repository is reached."""
    return (
        f"no package repository is reached from there: carry {', '.join(packages)} over as .deb "
        "files, and sudo dpkg -i them"
    )


def _service(system: System, verb: str) -> str:
    if not system.systemd:
        return f"service docker {verb}"
    return "systemctl enable --now docker" if verb == "start" else f"systemctl {verb} docker"


def _written(text: str, file: str) -> str:
    script = 'printf "%s\\n" "$1" > "$2"'
    return f"sh -c {quote(script)} sh {quote(text)} {quote(file)}"
