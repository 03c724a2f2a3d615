"""``remotenb gpus HOST``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, tables
from remotenb.cli.machines import on_machine
from remotenb.errors import GpuUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.gpus import GpuProcess
    from remotenb.model import Gpu

COLUMNS = ("gpu", "name", "memory", "load", "idle", "used_by")


@click.command("gpus", short_help="The GPUs of HOST, and who computes on them.")
@click.argument("host", metavar="HOST")
@options.as_json("Print one JSON document, a list.")
@options.common
def command(*, host: str, as_json: bool, **where: str | int | None) -> int:
    """The GPUs of HOST: memory, load, and which process, container and user computes on each.

    --gpus auto takes the idle ones.
    """
    with on_machine(host, where, as_json=as_json) as machine:
        from remotenb.gpus import processes  # noqa: PLC0415  see on_machine

        found = machine.probe.gpus
        if machine.probe.gpu_refusal:
            raise GpuUnavailable(
                f"nvidia-smi: {machine.probe.gpu_refusal}",
                hint="the driver of that machine does not work; its administrator can help",
            )
        users = processes(machine) if any(gpu.processes for gpu in found) else ()
    of_each = [(gpu, [one for one in users if one.gpu == gpu.uuid]) for gpu in found]
    rows = [(_members if as_json else _shown)(gpu, using) for gpu, using in of_each]
    none = f"there is no GPU on {host}, or no nvidia-smi that would tell"
    tables.show(rows, COLUMNS, as_json=as_json, none=none)
    return 0


def _members(gpu: Gpu, using: Sequence[GpuProcess]) -> dict[str, object]:
    return {**asdict(gpu), "idle": gpu.idle, "processes": [asdict(one) for one in using]}


def _shown(gpu: Gpu, using: Sequence[GpuProcess]) -> dict[str, object]:
    """A row of the table: for people."""
    return {
        "gpu": gpu.index,
        "name": gpu.name,
        "memory": f"{gpu.memory_used} of {gpu.memory_total} MiB",
        "load": f"{gpu.utilization} %",
        "idle": gpu.idle,
        "used_by": [_user(one) for one in using],
    }


def _user(process: GpuProcess) -> str:
    where = f" in {process.container}" if process.container else ""
    memory = f", {process.memory} MiB" if process.memory is not None else ""
    return f"{process.user or 'unknown'}{where} (pid {process.pid}{memory})"
