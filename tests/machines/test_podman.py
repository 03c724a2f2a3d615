"""podman without root, as docker: found, started, entered, through a cut of the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lines import KernelLines
from tests.machines.conftest import LAB4, TINY, did, listed, on, refused
from tests.machines.test_doctor import checked
from tests.notebook import Notebook
from tests.rig.gpus import Gpu
from tests.rig.podman import podman

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab
    from tests.rig.podman import Podman

START = ("gpu-box", "--engine", "podman", "--image", LAB4, "--volume", "~/work:/work")
WHO = """\
import os, getpass, pathlib
pathlib.Path("/work/made").write_text("by a cell")
print(os.getuid(), getpass.getuser())
"""


@pytest.fixture
def own(box: Box) -> Iterator[Podman]:
    """Podman of alice, with one image."""
    with podman(box, "alice", 1000) as alices:
        alices.load(LAB4)
        yield alices


def test_a_notebook_in_podman_is_its_users_and_is_driven_like_dockers(
    laptop: Laptop, box: Box, own: Podman
) -> None:
    box.set_gpus([Gpu(0), Gpu(1, memory_used=70_000)])
    error = laptop.refused(*START)
    assert (error["error"], "nvidia-ctk cdi generate" in error["hint"]) == ("GpuUnavailable", True)
    assert own("ps", "-aq").stdout == ""

    own.set_cdi([Gpu(0), Gpu(1)])
    with laptop.connected(*START) as session:
        name = session.ready["container"]
        assert (session.ready["engine"], session.ready["relay"]) == ("podman", True)
        assert "not_after_reboot" in session.warnings
        assert Notebook(session.ready["url"]).run(WHO).split() == ["1000", "alice"]
        owner = box.run(["stat", "-c", "%U", "/home/alice/work/made"]).stdout
        assert owner == "alice\n"
    with laptop.connected("gpu-box") as again:  # docker is there too; what runs is found
        assert (again.ready["container"], again.ready["reused"]) == (name, True)
    (row,) = listed(laptop, "ps", "gpu-box")
    assert (row["engine"], row["gpus"], row["ownership"]) == ("podman", "0", "mine")
    ran = laptop.run("exec", "-F", str(laptop.ssh_config), "gpu-box", "whoami")
    assert (ran.code, ran.out) == (0, "alice\n")
    did(laptop, "stop", "gpu-box")
    images = listed(laptop, "images", "gpu-box")
    assert {one["engine"] for one in images if one["image"] == LAB4} == {"docker", "podman"}
    did(laptop, "rm", "gpu-box", name)
    assert own("ps", "-aq").stdout == ""


@pytest.mark.long
def test_a_cut_of_the_link_loses_nothing_that_a_cell_in_podman_prints(
    laptop: Laptop, lab: Lab, own: Podman
) -> None:
    with laptop.connected(*START, "--gpus", "none") as session:
        assert own("ps", "-q").stdout
        with KernelLines(Notebook(session.ready["url"]), 120) as lines:
            lines.wait_past(10)
            lab.block("drop")
            session.wait_for("dropped", 10)
            lab.unblock()
            assert not session.wait_for("restored", 20)["lost"]
            lines.assert_each_once_in_order()


def test_what_another_user_of_a_container_left_in_podman_is_given_back(
    laptop: Laptop, box: Box, own: Podman
) -> None:
    box.run(["mkdir", "-p", "/home/alice/work"], user="alice")
    leave = "mkdir /w/deep && touch /w/deep/one && chown -R 1234:1234 /w/deep"
    own("run", "--rm", "-v", "/home/alice/work:/w", "--entrypoint=sh", LAB4, "-c", leave)
    others = ["find", "/home/alice/work", "!", "-user", "alice"]
    assert len(box.run(others).stdout.split()) == 2
    laptop.variables["REMOTENB_ENGINE"] = "podman"
    assert did(laptop, "chown", "gpu-box", "~/work")["files"] == 2
    assert did(laptop, "chown", "gpu-box", "~/work", "--yes")["changed"] is True
    assert box.run(others).stdout == ""


def test_a_check_up_gives_podmans_container_the_gpus_as_podman_takes_them(
    laptop: Laptop, box: Box, own: Podman
) -> None:
    laptop.variables["REMOTENB_ENGINE"] = "podman"
    box.set_gpus([Gpu(0), Gpu(1)])
    found = checked(laptop, "gpu-box", code=4)
    assert found["toolkit"]["state"] == "broken"
    assert "nvidia-ctk cdi generate" in found["toolkit"]["cure"]
    own.set_cdi([Gpu(0), Gpu(1)])
    found = checked(laptop, "gpu-box")
    assert found["toolkit"]["state"] == "ok"
    assert found["GPUs inside"]["said"] == f"2 in {LAB4}"
    assert own("ps", "-aq").stdout == ""


@pytest.mark.long
def test_a_commit_that_cannot_freeze_says_so_before_it_begins(
    laptop: Laptop, box: Box, own: Podman
) -> None:
    laptop.variables["REMOTENB_ENGINE"] = "podman"
    own.load(TINY)
    own("run", "-d", "--name", "mine", "--label=remotenb.user=alice", TINY, "sleep", "1000")
    error = refused(laptop, "commit", "gpu-box", "alice/x:1", "--pause")
    assert "podman cannot freeze" in error["message"]
    assert "--no-pause" in error["hint"]
    assert own("image", "exists", "alice/x:1", check=False).returncode == 1
    assert did(laptop, "commit", "gpu-box", "alice/x:1")["what"] == "committed"
    own("rmi", "alice/x:1")


def test_that_podman_copies_an_image_is_said_once_and_a_disk_without_room_for_it_is_noticed(
    laptop: Laptop, box: Box, own: Podman
) -> None:
    laptop.variables["REMOTENB_ENGINE"] = "podman"
    own.load(TINY)
    own("run", "--name", "new", TINY, "touch", "/new")
    own("commit", "-q", "new", "localhost/fresh:1")
    own("rm", "new")
    start = ("run", "gpu-box", "-d", "fresh:1", "--", "sleep", "100")
    box.write("/usr/local/bin/df", "#!/bin/sh\necho x; echo 'disk 9 9 1000 99% /'\n", mode=0o755)
    try:
        error = refused(laptop, *start)
    finally:
        box.run(["rm", "/usr/local/bin/df"])
    assert (error["error"], "copies the image" in error["message"]) == ("DiskFull", True)
    assert own("ps", "-aq").stdout == ""
    for codes in (["copies_image"], []):
        done = laptop.run(*on(laptop, *start))
        assert done.code == 0, done
        assert [one["code"] for one in done.events if one["event"] == "warning"] == codes
    own("rm", "-f", "-a", "-t", "0")
    own("rmi", "fresh:1")
