"""``doctor``: each link of the chain on real machines, whole and broken."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.laptop import Laptop
from tests.machines.conftest import BARE, LAB4, TINY, on
from tests.rig.gpus import Gpu

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig.box import Box
    from tests.rig.lab import Lab

GPUS = (Gpu(0), Gpu(1, memory_used=40000, utilization=97))


def checked(
    laptop: Laptop, *args: str, code: int = 0, image: str = LAB4
) -> dict[str, dict[str, str]]:
    """What ``doctor --json`` finds, by link."""
    done = laptop.run(*on(laptop, "doctor", *args), environment={"REMOTENB_IMAGE": image})
    assert done.code == code, done
    return {row["link"]: row for row in json.loads(done.out)}


def states(findings: dict[str, dict[str, str]], *links: str) -> set[str]:
    return {findings[link]["state"] for link in links or findings}


def test_a_box_that_is_well_is_told_so_link_by_link(laptop: Laptop, box: Box) -> None:
    box.set_gpus(GPUS)
    with laptop.connected("gpu-box", "--image", LAB4, "--gpus", "all"):
        found = checked(laptop, "gpu-box", image="pytorch:25.10")
    assert found["image"]["said"] == LAB4
    assert states(found) - {"ok"} <= {"warning"}, found
    assert [link for link, row in found.items() if row["state"] == "warning"] == ["browser"]
    assert found["GPUs"]["said"] == "2 x NVIDIA A100-SXM4-80GB, 1 idle"
    assert "2 in container remotenb-alice" in found["GPUs inside"]["said"]
    assert "by the relay" in found["tunnel"]["said"]


def test_a_container_that_goes_at_once_tells_what_is_in_the_image(laptop: Laptop, box: Box) -> None:
    box.write("/home/alice/.bashrc", "echo welcome to the cluster\n", owner="alice")
    box.sshd("AllowTcpForwarding no\nMaxSessions 1")
    found = checked(laptop, "gpu-box", image=BARE, code=4)
    assert found["Jupyter"]["state"] == "broken"
    assert found["Jupyter"]["said"] == f"there is none in {BARE}"
    assert box.docker("ps", "-aq").stdout == ""
    assert (found["shell"]["state"], found["sessions"]["state"]) == ("warning", "warning")
    assert "welcome to the cluster" in found["shell"]["said"]
    assert (found["forwarding"]["state"], found["engine"]["state"]) == ("ok", "ok")
    assert found["notebook"]["cure"] == "remotenb connect gpu-box starts one"
    assert states(found, "token", "tunnel") == {"untested"}


def test_an_image_that_is_not_there_is_named_with_the_ways_to_bring_it(laptop: Laptop) -> None:
    found = checked(laptop, "gpu-box", image="nvcr.io/nvidia/jax:25.10-py3", code=4)
    assert found["image"]["state"] == "broken"
    assert "remotenb pull gpu-box nvcr.io/nvidia/jax:25.10-py3" in found["image"]["cure"]
    assert states(found, "Jupyter", "GPUs inside") == {"untested"}


def test_who_may_not_use_docker_is_told_how_to_get_permission(laptop: Laptop) -> None:
    found = checked(laptop, "gpu-box-carol", code=4)
    assert found["engine"]["state"] == "broken"
    assert "usermod -aG docker carol" in found["engine"]["cure"]
    assert found["login"]["state"] == "ok"


def test_the_first_link_that_breaks_ends_the_chain(
    lab: Lab, laptop: Laptop, tmp_path: Path
) -> None:
    bundle = tmp_path / "report.txt"
    lab.box.sshd_stop()
    found = checked(laptop, "gpu-box", "--bundle", str(bundle), code=3)
    assert (found["name"]["state"], found["TCP"]["state"]) == ("ok", "broken")
    assert states(found, "login", "engine", "tunnel") == {"untested"}
    text = bundle.read_text()
    assert "broken    TCP" in text
    assert not {"alice", "10.77.0.2", "gpu-box"} & set(text.replace("@", " ").split())
    assert bundle.stat().st_mode & 0o077 == 0


def test_a_changed_host_key_is_the_link_that_is_broken(
    lab: Lab, laptop: Laptop, tmp_path: Path
) -> None:
    wrong = tmp_path / "known_hosts"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(make, check=True)
    wrong.write_text(f"{lab.box.ip} {(tmp_path / 'key.pub').read_text()}")
    config = tmp_path / "ssh_config"
    config.write_text(laptop.ssh_config.read_text().replace(str(lab.known_hosts), str(wrong)))
    found = checked(Laptop(laptop.home, config), "gpu-box", code=3)
    assert (found["SSH"]["state"], found["host key"]["state"]) == ("ok", "broken")
    assert states(found, "login", "engine") == {"untested"}


@pytest.mark.long
def test_a_box_without_the_toolkit_is_told_which_package_it_lacks(laptop: Laptop, box: Box) -> None:
    box.set_gpus(GPUS, toolkit=False)
    found = checked(laptop, "gpu-box", code=4)
    assert states(found, "toolkit", "GPUs inside") == {"broken"}
    assert "NVIDIA Container Toolkit" in found["toolkit"]["said"]


def test_a_driver_that_does_not_answer_is_told(laptop: Laptop, box: Box) -> None:
    box.set_gpus(GPUS, failure="nodriver")
    found = checked(laptop, "gpu-box", image=TINY, code=4)
    assert found["GPUs"]["state"] == "broken"
    assert "modprobe nvidia" in found["GPUs"]["cure"]


@pytest.mark.parametrize(
    ("failure", "said", "cure"),
    [
        ("!hang", "it hangs", "toolkit"),
        ("!unknown", "Unknown Error", "remotenb stop"),
        ("", "", ""),
    ],
)
def test_an_nvidia_smi_that_fails_in_the_container_alone_is_told_and_the_rest_is_seen(
    laptop: Laptop, box: Box, failure: str, said: str, cure: str
) -> None:
    box.set_gpus(GPUS)
    mine = ("--label=remotenb.user=alice", "--shm-size=2g", "--gpus=all")
    box.docker("run", "-d", "--name", "mine", *mine, BARE, "sleep", "1000", user="alice")
    box.docker("exec", "mine", "sh", "-c", f"echo '{failure}' >/etc/fake-gpus")
    found = checked(laptop, "gpu-box", code=4)
    inside = found["GPUs inside"]
    assert inside["state"] == "broken"
    assert said in inside["said"]
    assert cure in inside["cure"]
    assert found["GPUs"]["state"] == found["shared memory"]["state"] == "ok"
