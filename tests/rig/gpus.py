"""FAKE GPUs: no test machine has one.

A box "has" GPUs when an nvidia-smi is on its PATH that answers with the rows given here. docker's
`--gpus` is accepted through a stand-in for NVIDIA's prestart hook, which puts that nvidia-smi in
the container. No device and no CUDA is behind any of it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from . import cache
from .dockerd import TOOLKIT
from .machine import Machine

HOOK: Final = "nvidia-container-runtime-hook"
_ROWS: Final = "/etc/fake-gpus"
_SMI: Final = "/usr/bin/nvidia-smi"

SmiFailure = Literal["nodriver", "mismatch", "nodevices", "unknown", "hang"]


@dataclass(frozen=True)
class GpuProcess:
    """A process that nvidia-smi shows on a GPU; memory in MiB."""

    pid: int
    memory: int
    name: str = "python3"


@dataclass(frozen=True)
class Gpu:
    """A row of nvidia-smi: memory in MiB, utilization in percent."""

    index: int
    name: str = "NVIDIA A100-SXM4-80GB"
    memory_total: int = 81920
    memory_used: int = 4
    utilization: int = 0
    driver: str = "535.161.08"
    processes: tuple[GpuProcess, ...] = ()

    @property
    def uuid(self) -> str:
        """Its id, made from its index."""
        return f"GPU-{self.index:08x}-0000-4000-8000-{self.index:012x}"


def insert(machine: Machine, gpus: list[Gpu], failure: SmiFailure | None, *, toolkit: bool) -> None:
    """Let nvidia-smi answer with these rows or fail in that way; show the toolkit's hook or not."""
    rows = [f"!{failure}"] if failure else [_row(gpu) for gpu in gpus]
    machine.path(_ROWS).write_text("".join(f"{row}\n" for row in rows))
    _copy(machine, "nvidia-smi", _SMI)
    if toolkit:
        _copy(machine, HOOK, f"/usr/bin/{HOOK}")
    else:
        machine.path(f"/usr/bin/{HOOK}").unlink(missing_ok=True)


def remove(machine: Machine) -> None:
    """Take all GPUs out, and every NVIDIA command off the PATH."""
    for path in (_ROWS, _SMI, f"/usr/bin/{HOOK}"):
        machine.path(path).unlink(missing_ok=True)


def toolkit_files() -> dict[str, str]:
    """Return the files of the stand-in toolkit: path and text."""
    return {f"{TOOLKIT}/{HOOK}": (cache.SCRIPTS / HOOK).read_text()}


def _copy(machine: Machine, script: str, path: str) -> None:
    file = machine.path(path)
    file.write_text((cache.SCRIPTS / script).read_text())
    file.chmod(0o755)


def _row(gpu: Gpu) -> str:
    processes = ",".join(f"{p.pid}:{p.memory}:{p.name}" for p in gpu.processes)
    columns = (gpu.index, gpu.name, gpu.uuid, gpu.memory_total, gpu.memory_used, gpu.utilization)
    return "|".join(map(str, (*columns, gpu.driver, processes)))
