"""The links of the chain on the box: its engine, its GPUs, a container of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remotenb.checkup import Facts, Finding, gib, space
from remotenb.engines.complaints import NO_CDI, understand
from remotenb.spec import same_image
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remotenb.model import Image, Probe

ROOM_KIB = 20 << 20
"""An NGC image unpacked."""
_TIMED_OUT = {"124", "137"}
SHM_KIB = 1 << 20
"""Docker's own default is 64 MiB, with which data loaders of several processes die."""


def engine(probe: Probe, wanted: str, host: str) -> Finding:
    """Docker or podman."""
    if probe.engine.name:
        said = f"{' '.join(probe.engine.argv)} {probe.engine.version or ''}".strip()
        return Finding("engine", "ok", said)
    if wanted == "host":
        return Finding("engine", "untested", "engine = host wants none")
    there = [(command, said) for command, said in probe.engine.refusals if said != "not found"]
    if not there:
        cure = f"remotenb setup {host} installs docker; or --engine host"
        return Finding("engine", "broken", "neither docker nor podman is there", cure)
    error = understand(there[0][1], user=probe.user)
    return Finding("engine", "broken", f"{there[0][0]}: {one_line(there[0][1])}", error.hint)


def gpus(probe: Probe) -> Finding:
    """The machine's GPUs, as nvidia-smi on the host tells."""
    if probe.gpus:
        idle = sum(gpu.idle for gpu in probe.gpus)
        return Finding("GPUs", "ok", f"{len(probe.gpus)} x {probe.gpus[0].name}, {idle} idle")
    if probe.gpu_refusal:
        cure = "the driver must be loaded again: sudo modprobe nvidia, or a reboot"
        return Finding("GPUs", "broken", f"nvidia-smi: {probe.gpu_refusal}", cure)
    return Finding("GPUs", "warning", "none: there is no nvidia-smi", "computing is on the CPU")


def toolkit(probe: Probe, host: str) -> Finding:
    """What lets containers have GPUs."""
    if not probe.gpus or not probe.engine.name:
        return Finding("toolkit", "untested", "no GPUs, or no engine")
    if probe.engine.name == "podman":
        if probe.cdi:
            return Finding("toolkit", "ok", "the GPUs are described for CDI")
        return Finding("toolkit", "broken", "the GPUs are not described for CDI", NO_CDI)
    if probe.gpu_toolkit:
        return Finding("toolkit", "ok", "NVIDIA Container Toolkit")
    cure = f"remotenb setup {host} installs it; or --gpus none"
    return Finding("toolkit", "broken", "the NVIDIA Container Toolkit is not there", cure)


def disk(facts: Facts) -> Finding:
    """Room for images."""
    free, total = space(facts.get("engine_space", ""))
    if free is None or total is None:
        return Finding("disk", "untested", "the engine's folder could not be asked")
    said = f"{gib(free)} of {gib(total)} free in {facts.get('engine_root')}"
    if free < ROOM_KIB:
        cure = "an NGC image needs about 20 GiB: remotenb prune, remotenb rmi"
        return Finding("disk", "warning", said, cure)
    return Finding("disk", "ok", said)


def image(wanted: str | None, images: Sequence[Image], host: str) -> Finding:
    """The configured image."""
    if wanted is None:
        cure = f"say which: image = … in the config, or connect --image; remotenb images {host}"
        return Finding("image", "warning", f"none configured; {len(images)} are there", cure)
    if any(same_image(one, wanted) for one in images):
        return Finding("image", "ok", wanted)
    cure = f"remotenb pull {host} {wanted}; on a closed server remotenb push {host} {wanted}"
    return Finding("image", "broken", f"{wanted} is not there", cure)


def inside(facts: Facts, probe: Probe, where: str) -> Iterator[Finding]:
    """What is to be seen in a container, ``where``; empty if there was none to look into."""
    if "inside_code" not in facts:
        for link in ("GPUs inside", "shared memory", "Jupyter"):
            yield Finding(link, "untested", "no container of yours runs, and no image is there")
        return
    if facts["inside_code"] != "0" and "inside_shm" not in facts:
        error = understand(facts.get("inside_said", ""), user=probe.user)
        yield Finding("GPUs inside", "broken", error.message, error.hint)
        return
    yield _gpus_inside(facts, probe, where)
    yield _shared_memory(facts, where)
    if facts.get("inside_jupyter"):
        yield Finding("Jupyter", "ok", f"{facts['inside_jupyter']} in {where}")
    else:
        cure = "remotenb install HOST jupyterlab, or an image that has it"
        yield Finding("Jupyter", "broken", f"there is none in {where}", cure)


def _gpus_inside(facts: Facts, probe: Probe, where: str) -> Finding:
    said = facts.get("inside_gpu_said", "")
    if not probe.gpus:
        return Finding("GPUs inside", "untested", "the box has none")
    count = len(re.findall(r"\bGPU \d+:", said))
    if facts.get("inside_gpu_code") == "0" and count:
        return Finding("GPUs inside", "ok", f"{count} in {where}")
    if "inside_gpu_code" not in facts:
        cure = "start it with --gpus, in a new container"
        return Finding("GPUs inside", "warning", f"{where} was given none", cure)
    if facts["inside_gpu_code"] in _TIMED_OUT:
        said = "it hangs"
    # NVML, after a systemctl daemon-reload took the devices away, or a new driver came
    lost = "Unknown Error" in said or "mismatch" in said
    cure = "remotenb stop, then connect, gives them back" if lost else "see GPUs and toolkit"
    said = one_line(said, 120) or "it says nothing"
    return Finding("GPUs inside", "broken", f"nvidia-smi in {where}: {said}", cure)


def _shared_memory(facts: Facts, where: str) -> Finding:
    size = facts.get("inside_shm", "")
    if not size.isdecimal():
        return Finding("shared memory", "untested", f"{where} did not tell")
    if int(size) < SHM_KIB:
        cure = 'ipc = "host" or shm_size = "16g" in the config, for a new container'
        said = f"{gib(int(size))} in {where}: data loaders may die"
        return Finding("shared memory", "warning", said, cure)
    return Finding("shared memory", "ok", f"{gib(int(size))} in {where}")
