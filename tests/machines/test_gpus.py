"""GPUs. They are fakes (there is no hardware): nvidia-smi and the toolkit's hook are stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import CLASSIC, TINY, listed, refused
from tests.notebook import Notebook
from tests.rig.gpus import Gpu, GpuProcess

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box

IDLE = ("sleep", "1000")
SEEN = "import subprocess as s; print(s.getoutput('nvidia-smi -L | wc -l'))"
BUSY = Gpu(1, memory_used=40_000, utilization=97, processes=(GpuProcess(4242, 40_000),))


def test_auto_takes_the_idle_gpus_alone(laptop: Laptop, box: Box) -> None:
    box.set_gpus([Gpu(0), BUSY, Gpu(2)])
    with laptop.connected("gpu-box", "--image", CLASSIC) as connected:
        requests = box.docker(
            "inspect", "-f", "{{json .HostConfig.DeviceRequests}}", connected.ready["container"]
        ).stdout
        assert '"DeviceIDs":["0","2"]' in requests
        assert Notebook(connected.ready["url"]).run(SEEN) == "2\n"


@pytest.mark.parametrize(("asked", "seen"), [("all", 3), ("0,2", 2)])
def test_gpus_can_be_chosen(laptop: Laptop, box: Box, asked: str, seen: int) -> None:
    box.set_gpus([Gpu(0), BUSY, Gpu(2)])
    with laptop.connected("gpu-box", "--image", CLASSIC, "--gpus", asked) as connected:
        assert Notebook(connected.ready["url"]).run(SEEN) == f"{seen}\n"


@pytest.mark.parametrize(
    ("asked", "words"), [("7", "no GPU 7"), ("auto:3", "2 of 3 GPUs are idle")]
)
def test_gpus_that_are_not_to_be_had_are_refused(
    laptop: Laptop, box: Box, asked: str, words: str
) -> None:
    box.set_gpus([Gpu(0), BUSY, Gpu(2)])
    refused = laptop.refused("gpu-box", "--image", CLASSIC, "--gpus", asked)
    assert (refused["error"], refused["code"]) == ("GpuUnavailable", 4)
    assert words in refused["message"]


def test_a_docker_without_the_toolkit_says_so_in_its_own_words(laptop: Laptop, box: Box) -> None:
    box.set_gpus([Gpu(0)], toolkit=False)
    refused = laptop.refused("gpu-box", "--image", CLASSIC, "--gpus", "all")
    assert (refused["error"], refused["code"]) == ("GpuUnavailable", 4)
    assert "could not select device driver" in refused["message"]
    assert "NVIDIA Container Toolkit" in refused["hint"]
    assert not box.docker("ps", "-aq").stdout
    with laptop.connected("gpu-box", "--image", CLASSIC, "--gpus", "none") as connected:
        assert connected.ready["reused"] is False


@pytest.mark.parametrize(
    "failure", ["nodriver", "mismatch", pytest.param("hang", marks=pytest.mark.long)]
)
def test_a_driver_that_does_not_work_is_quoted(laptop: Laptop, box: Box, failure: str) -> None:
    box.set_gpus([Gpu(0)], failure=failure)  # type: ignore[arg-type]
    refused = laptop.refused("gpu-box", "--image", CLASSIC)
    assert (refused["error"], refused["code"]) == ("GpuUnavailable", 4)
    assert "nvidia-smi" in refused["message"].lower() or "nvml" in refused["message"].lower()


def test_gpus_are_listed_with_who_computes_on_them(laptop: Laptop, box: Box) -> None:
    box.docker("run", "-d", "--name", "training", "--label", "remotenb.user=bob", TINY, *IDLE)
    pid = int(box.docker("inspect", "-f", "{{.State.Pid}}", "training").stdout)
    box.set_gpus([Gpu(0), Gpu(1, memory_used=40_000, processes=(GpuProcess(pid, 39_000),))])
    idle, busy = listed(laptop, "gpus", "gpu-box")
    assert (idle["index"], idle["idle"], idle["processes"]) == (0, True, [])
    assert (busy["index"], busy["idle"], busy["memory_used"]) == (1, False, 40_000)
    (process,) = busy["processes"]
    assert (process["user"], process["container"]) == ("bob", "training")
    assert (process["pid"], process["memory"]) == (pid, 39_000)
    assert "bob in training" in laptop.run("gpus", "gpu-box", "-F", str(laptop.ssh_config)).out


def test_a_box_without_gpus_or_with_a_dead_driver_says_so(laptop: Laptop, box: Box) -> None:
    assert listed(laptop, "gpus", "gpu-box") == []
    box.set_gpus([Gpu(0)], failure="mismatch")
    error = refused(laptop, "gpus", "gpu-box")
    assert error["error"] == "GpuUnavailable"
    assert "mismatch" in error["message"]
