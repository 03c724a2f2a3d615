"""Who computes on the GPUs of a machine: process, container, user."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.machine import Machine
    from remotenb.model import Container
    from remotenb.ssh.link import Link

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


def lost(link: Link, container: Container) -> str:
    """What nvidia-smi says in a container that does not see its GPUs; empty where it does."""
    done = link.script(
        "$(command -v timeout >/dev/null && echo timeout -k 1 10) "
        '$ENGINE exec "$1" nvidia-smi -L 2>&1',
        container.id,
        timeout=TIMEOUT_S,
        ENGINE=shlex.join(container.engine.argv),
    )
    if done.code in {0, *_NO_SUCH_COMMAND}:
        return ""
    return "nvidia-smi hangs in it" if done.code in _TIMED_OUT else one_line(done.out)


_NO_SUCH_COMMAND = {126, 127}
_TIMED_OUT = {124, 137}


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
