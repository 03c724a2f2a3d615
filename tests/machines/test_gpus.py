"""GPUs. They are fakes (there is no hardware): nvidia-smi and the toolkit's hook are stand-ins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import CLASSIC, TINY, did, listed, on, refused
from tests.notebook import Notebook
from tests.rig.gpus import Gpu, GpuProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laptop import Event, Laptop
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
    ("asked", "words"), [("7", "no GPU 7"), ("auto:3", "2 of 3 GPUs are idle: GPU")]
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


def test_an_nvidia_smi_that_says_what_makes_no_sense_is_quoted_on_one_line(
    laptop: Laptop, box: Box
) -> None:
    box.set_gpus([Gpu(0)])
    box.write(
        "/usr/bin/nvidia-smi", "#!/bin/sh\nprintf '\\033]0;x\\007, a\\n\\377\\n'\n", mode=0o755
    )
    error = refused(laptop, "gpus", "gpu-box")
    assert error["error"] == "GpuUnavailable"
    assert "makes no sense" in error["message"]
    assert error["message"].isprintable()


BARRIER = """#!/bin/sh
# A FAKE slow docker: nothing is created before two want to, so that both have seen idle GPUs.
case " $* " in *" create "*)
    touch "/tmp/creates.$$"
    until [ "$(ls /tmp/creates.* | wc -l)" -ge 2 ]; do sleep 0.05; done ;;
esac
exec /usr/bin/docker "$@"
"""


@pytest.fixture
def two_at_once(box: Box) -> Iterator[None]:
    """Two GPUs, and nothing is created before two have chosen."""
    box.set_gpus([Gpu(0), Gpu(1)])
    box.write("/usr/local/bin/docker", BARRIER, mode=0o755)
    box.run(["sh", "-c", "rm -f /tmp/creates.*"])
    yield
    box.run(["rm", "-f", "/usr/local/bin/docker"])


@pytest.mark.long
@pytest.mark.usefixtures("two_at_once")
def test_two_that_choose_at_the_same_moment_get_different_gpus(laptop: Laptop) -> None:
    wanted = ("--image", CLASSIC, "--gpus", "auto:1")
    both = [laptop.connected(host, *wanted) for host in ("gpu-box", "gpu-box-bob")]
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        ready = list(pool.map(stack.enter_context, both))
        told = [warning for one in ready for warning in one.warnings]
        rows = listed(laptop, "ps", "gpu-box", "--all")
    assert sorted(row["gpus"] for row in rows) == ["0", "1"]
    assert told.count("gpus_taken") == 1


@pytest.mark.usefixtures("two_at_once")
def test_nor_do_two_runs_get_the_same_gpu(laptop: Laptop) -> None:
    def run(host: str) -> list[Event]:
        done = laptop.run(*on(laptop, "run", "-d", "--gpus", "auto:1", host, TINY, "--", *IDLE))
        assert done.code == 0, done
        return done.events

    with ThreadPoolExecutor(2) as pool:
        events = [event for one in pool.map(run, ("gpu-box", "gpu-box-bob")) for event in one]
    rows = listed(laptop, "ps", "gpu-box", "--all")
    assert sorted(row["gpus"] for row in rows) == ["0", "1"]
    assert [event.get("code") for event in events].count("gpus_taken") == 1


def test_a_container_that_lost_its_gpus_is_told_of_and_has_them_back_when_started_again(
    laptop: Laptop, box: Box
) -> None:
    box.set_gpus([Gpu(0)])
    with laptop.connected("gpu-box", "--image", CLASSIC) as session:
        name = session.ready["container"]
        assert "gpus_lost" not in session.warnings
    # what a reload of systemd does to a container that runs
    box.docker("exec", "-u", "0", name, "sh", "-c", "echo '!unknown' >/etc/fake-gpus")
    with laptop.connected("gpu-box") as session:
        (said,) = [event for event in session.events if event.get("code") == "gpus_lost"]
        assert "Failed to initialize NVML: Unknown Error" in said["message"]
        assert f"remotenb stop gpu-box {name}" in said["hint"]
    assert did(laptop, "stop", "gpu-box", name)["what"] == "stopped"
    with laptop.connected("gpu-box") as session:
        assert session.ready["container"] == name
        assert "gpus_lost" not in session.warnings
        assert box.docker("exec", name, "nvidia-smi", "-L").stdout.startswith("GPU 0")
