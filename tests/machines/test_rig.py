"""The rig itself: that its machines are what the other tests take them for."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.rig.gpus import Gpu, GpuProcess
from tests.rig.images import BARE, BUSYBOX, CLASSIC, KINDS, LAB2, LAB4, Kind

if TYPE_CHECKING:
    from tests.rig.lab import Lab
    from tests.rig.network import Fault

pytestmark = pytest.mark.long


def ssh(lab: Lab, host: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the box from the laptop."""
    options = ["-F", str(lab.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=3"]
    argv = lab.in_laptop(["ssh", *options, host, command])
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("host", "user"),
    [("gpu-box", "alice"), ("gpu-box-far", "alice"), ("gpu-box-bob", "bob")],
)
def test_every_alias_logs_in_without_a_question(lab: Lab, host: str, user: str) -> None:
    """The key, the host key and the address of each alias fit."""
    assert ssh(lab, host, "id -un").stdout == f"{user}\n"


def test_no_machine_has_a_way_out(lab: Lab) -> None:
    """Neither side has a default route."""
    laptop = subprocess.run(
        lab.in_laptop(["ip", "route"]), capture_output=True, text=True, check=True
    )
    assert "default" not in laptop.stdout + lab.box.run(["ip", "route"]).stdout


def interfaces() -> str:
    """Return the network interfaces that this process sees."""
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def test_this_process_can_leave_the_laptop_and_come_back(lab: Lab) -> None:
    """The interfaces are the laptop's while in it."""
    lab.leave_laptop()
    outside = interfaces()
    lab.enter_laptop()

    assert "lap0" not in outside
    assert "lap0" in interfaces()


def test_only_the_docker_group_may_use_docker(lab: Lab) -> None:
    """Carol is not in it."""
    assert ssh(lab, "gpu-box", "docker ps").returncode == 0
    assert "permission denied" in ssh(lab, "gpu-box-carol", "docker ps").stderr


@pytest.mark.parametrize(
    ("kind", "command", "version"),
    [
        (LAB4, "jupyter lab --version", "4.6.6"),
        (LAB2, "jupyter lab --version", "2.3.2"),
        (CLASSIC, "jupyter notebook --version", "6.5.7"),
        (BARE, "python3 --version", "Python 3"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_image_runs_its_command_after_its_banner(
    lab: Lab, kind: Kind, command: str, version: str
) -> None:
    """Each generation of Jupyter is what its tag promises."""
    out = lab.box.docker("run", "--rm", kind.tag, *command.split()).stdout

    assert "NVIDIA Release" in out
    assert out.splitlines()[-1].startswith(version)


@pytest.mark.parametrize("kind", [CLASSIC, BARE], ids=lambda kind: kind.name)
def test_an_image_without_lab_has_none(lab: Lab, kind: Kind) -> None:
    """`jupyter lab` is not to be found in it."""
    done = lab.box.docker("run", "--rm", kind.tag, "jupyter-lab", "--version", check=False)
    assert done.returncode == 127


def test_the_wire_delays(lab: Lab) -> None:
    """Two hundred milliseconds one way are four hundred there and back."""
    lab.wire.set(delay=0.2)
    began = time.monotonic()
    ping = lab.in_laptop(["bash", "-c", "exec 3<>/dev/tcp/10.78.0.2/22"])
    subprocess.run(ping, check=True)
    assert 0.4 <= time.monotonic() - began < 0.8


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("drop", "timed out"),
        ("link_down", "timed out"),
        ("reset", "refused"),
        ("host_unreachable", "No route to host"),
    ],
)
def test_a_fault_looks_as_it_does_in_the_field(lab: Lab, fault: Fault, complaint: str) -> None:
    """What ssh says of each, and that nothing of it stays."""
    lab.block(fault)
    assert complaint in ssh(lab, "gpu-box", "true").stderr

    lab.unblock()
    assert ssh(lab, "gpu-box", "true").returncode == 0


def test_a_box_keeps_its_images_and_containers_over_a_power_cut(lab: Lab) -> None:
    """The container is there, ended; its processes are not."""
    lab.box.docker("run", "-d", "--name", "nb", BUSYBOX, "sleep", "1234")
    lab.box.power_off()
    assert "timed out" in ssh(lab, "gpu-box", "true").stderr

    lab.box.boot()

    assert ssh(lab, "gpu-box", "true").returncode == 0
    assert lab.box.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout == "nb exited\n"
    assert not [line for line in lab.box.processes() if "1234" in line]
    for kind in KINDS:
        lab.box.docker("image", "inspect", kind.tag)


def test_a_reset_leaves_nothing_of_a_test(lab: Lab) -> None:
    """Containers, processes, files, shells and homes are as they were."""
    lab.box.docker("run", "-d", BUSYBOX, "sleep", "1234")
    lab.box.docker("tag", BUSYBOX, "mine:1")
    lab.box.write("/home/alice/notes", "text", owner="alice")
    lab.box.set_shell("alice", "/usr/bin/fish")
    lab.box.set_home("alice", "/home/al ice")
    ssh(lab, "gpu-box", "setsid sleep 4321 </dev/null >/dev/null 2>&1 &")

    lab.reset()

    assert lab.box.docker("ps", "-aq").stdout == ""
    assert "mine" not in lab.box.docker("images").stdout
    assert not [line for line in lab.box.processes() if "1234" in line or "4321" in line]
    assert ssh(lab, "gpu-box", "echo $SHELL; pwd; ls").stdout == "/bin/bash\n/home/alice\n"


def test_a_login_has_the_shell_and_home_it_was_given(lab: Lab) -> None:
    """Also a home with a space in it."""
    lab.box.set_shell("alice", "/usr/bin/fish")
    lab.box.set_home("alice", "/home/al ice")
    assert ssh(lab, "gpu-box", "echo $SHELL; pwd").stdout == "/usr/bin/fish\n/home/al ice\n"


def test_a_box_without_gpus_has_no_nvidia_smi(lab: Lab) -> None:
    """Nor has a container, and docker says what it says where NVIDIA's toolkit is missing."""
    lab.box.set_gpus(None, toolkit=False)
    done = lab.box.docker("run", "--rm", "--gpus", "all", BUSYBOX, "true", check=False)

    assert ssh(lab, "gpu-box", "nvidia-smi").returncode == 127
    assert 'could not select device driver "" with capabilities: [[gpu]]' in done.stderr


def test_a_container_sees_the_gpus_it_was_given(lab: Lab) -> None:
    """The fake nvidia-smi answers in the container for those alone."""
    lab.box.set_gpus([Gpu(0), Gpu(1, memory_used=40536, processes=(GpuProcess(4242, 40000),))])
    query = ["nvidia-smi", "--query-gpu=index,memory.used", "--format=csv,noheader,nounits"]
    apps = "nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader"

    host = ssh(lab, "gpu-box", " ".join(query)).stdout
    inside = lab.box.docker("run", "--rm", "--gpus", "device=1", LAB4.tag, *query).stdout

    assert host == "0, 4\n1, 40536\n"
    assert inside.splitlines()[-1] == "1, 40536"
    assert ssh(lab, "gpu-box", apps).stdout == f"{Gpu(1).uuid}, 4242\n"


def test_sshd_takes_extra_lines_and_forgets_them(lab: Lab) -> None:
    """The lines win over the defaults."""
    lab.box.sshd("AllowUsers bob")
    assert ssh(lab, "gpu-box", "true").returncode == 255

    lab.box.sshd()
    assert ssh(lab, "gpu-box", "true").returncode == 0


def test_docker_can_be_stopped_and_started(lab: Lab) -> None:
    """A container that minds no signal does not hold it up."""
    lab.box.docker("run", "-d", BUSYBOX, "sleep", "1234")
    lab.box.dockerd_stop()
    assert "Cannot connect" in ssh(lab, "gpu-box", "docker ps").stderr

    lab.box.dockerd_start()
    assert ssh(lab, "gpu-box", "docker ps").returncode == 0
