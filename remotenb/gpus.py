"""Who computes on the GPUs of a machine: process, container, user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.machine import Machine
    from remotenb.model import Container

TIMEOUT_S = 30.0
COLUMNS = 7
"""What gpu_processes.sh prints."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process with memory on a GPU; what the driver or the machine does not tell is None."""

    gpu: str
    """The GPU's UUID."""
    memory: int | None
    """MiB."""
    pid: int
    user: str | None
    container: str | None
    """Its name."""
    kernel: str | None
    """The id of the notebook kernel that it is."""
    name: str
    """Of its program; not its arguments, in which people put keys."""


def processes(machine: Machine) -> tuple[GpuProcess, ...]:
    """All that nvidia-smi knows of; raises a :class:`FarSideError` when it hangs."""
    done = machine.link.script(far.source("gpu_processes.sh"), timeout=TIMEOUT_S)
    return tuple(parse(done.out.decode("utf-8", "replace"), machine.probe.containers))


def parse(text: str, containers: tuple[Container, ...]) -> Iterator[GpuProcess]:
    """The script's lines; one that is not such a line is left out."""
    names = {one.id: one.name for one in containers}
    owners = {one.id: one.owner for one in containers}
    for line in text.splitlines():
        cells = [plain(cell).strip() for cell in line.split("\t")]
        if len(cells) != COLUMNS or not cells[2].isdecimal():
            continue
        uuid, memory, pid, user, container, kernel, name = cells
        yield GpuProcess(
            gpu=uuid,
            memory=int(memory) if memory.isdecimal() else None,
            pid=int(pid),
            # root of a container is its owner, as far as that is known
            user=(owners.get(container) if user in {"root", ""} else user) or user or None,
            container=names.get(container, container[:12]) or None,
            kernel=kernel or None,
            name=name,
        )
