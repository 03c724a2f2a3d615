"""What a server runs in: what to say to it and what its answers mean. Nothing is run here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from remotenb.engines.docker import Docker
from remotenb.engines.host import HostItself
from remotenb.engines.podman import Podman

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.decision import ContainerSpec
    from remotenb.engines.docker import Argv
    from remotenb.model import Container, EngineState


class Engine(Protocol):
    """Docker, podman, or the host itself, which needs no words at all."""

    def inside(self, container: str) -> Argv:
        """What stands before a command to run it in there, with our stdin."""


class ContainerEngine(Engine, Protocol):
    """What makes containers."""

    id_field: str
    """How a template of its ``inspect`` calls an id."""

    all_gpus: Argv
    """What gives a container all the GPUs there are."""

    whole_images: str
    """What loads an image only with all of its layers, in words; empty where it need not be so."""

    def create(self, spec: ContainerSpec, command: Sequence[str], *, launch: str) -> Argv:
        """Make a container that does ``command`` when it is started."""

    def keep(self, name: str) -> Argv:
        """Start it again after a crash or a reboot from now on; nothing if that is settled."""

    def proof_of_gpus(self, name: str) -> Argv:
        """A command that fails if it was not given its GPUs; nothing if the engine says so."""


def container_engine(state: EngineState) -> ContainerEngine:
    """What is said to an engine that answered."""
    return Podman(state) if state.name == "podman" else Docker(state)


def engine_of(container: Container | None) -> Engine:
    """What a server is in: a container's engine, or the host."""
    return container_engine(container.engine) if container else HostItself()
