"""Docker's verbs from the laptop: one's own containers, and nobody else's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import LAB4, TINY, did, listed, on, refused

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box

IDLE = ("sleep", "1000")


def run(box: Box, name: str, *options: str, user: str = "alice") -> None:
    """A container that does nothing, started by hand."""
    box.docker("run", "-d", "--init", "--name", name, *options, TINY, *IDLE, user=user)


def state(box: Box, name: str) -> str:
    """What docker says of it; empty when it is not there."""
    shown = box.docker("inspect", "-f", "{{.State.Status}}", name, check=False)
    return shown.stdout.strip()


def options_of(laptop: Laptop) -> tuple[str, str]:
    """What a command needs that is not asked for JSON."""
    return "-F", str(laptop.ssh_config)


def test_containers_are_listed_with_their_owners(laptop: Laptop, box: Box) -> None:
    assert listed(laptop, "ps", "gpu-box") == []
    run(box, "mine", "--label", "remotenb.user=alice")
    run(box, "hers", "--label", "remotenb.user=bob", user="bob")
    (row,) = listed(laptop, "ps", "gpu-box")
    assert (row["name"], row["image"], row["status"]) == ("mine", TINY, "running")
    both = {row["name"]: row["owner"] for row in listed(laptop, "ps", "gpu-box", "--all")}
    assert both == {"mine": "alice", "hers": "bob"}


def test_a_container_is_stopped_started_killed_and_removed(laptop: Laptop, box: Box) -> None:
    run(box, "mine", "--label", "remotenb.user=alice")
    assert did(laptop, "stop", "gpu-box")["what"] == "stopped"
    assert state(box, "mine") == "exited"
    assert did(laptop, "start", "gpu-box", "mine")["what"] == "started"
    assert state(box, "mine") == "running"
    error = refused(laptop, "rm", "gpu-box")
    assert (error["error"], error["hint"]) == ("EngineRefused", "stop it first, or --force")
    assert did(laptop, "kill", "gpu-box")["name"] == "mine"
    assert state(box, "mine") == "exited"
    assert did(laptop, "rm", "gpu-box")["what"] == "removed"
    assert state(box, "mine") == ""


def test_a_container_that_is_stopped_stays_so_though_a_session_was_open_at_it(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4, "--gpus", "none") as connected:
        name = connected.ready["container"]
        assert refused(laptop, "rm", "gpu-box")["error"] == "EngineRefused"
        assert [row["link"] for row in json.loads(laptop.run("status", "--json").out)] == ["up"]
        assert did(laptop, "stop", "gpu-box")["what"] == "stopped"
        assert connected.wait_for("closed", 10)["reason"] == "disconnected"
        assert connected.process.wait(10) == 0
        assert state(box, name) == "exited"


@pytest.mark.parametrize("verb", ["stop", "kill", "start", "rm"])
def test_another_users_container_is_left_alone_by_its_name(
    laptop: Laptop, box: Box, verb: str
) -> None:
    run(box, "hers", "--label", "remotenb.user=bob", user="bob")
    error = refused(laptop, verb, "gpu-box", "hers")
    assert "bob" in error["message"]
    assert "--others" in error["hint"]
    assert refused(laptop, verb, "gpu-box")["error"] == "ContainerMissing"
    assert state(box, "hers") == "running"


def test_a_name_that_is_not_there_or_is_shell_syntax_is_one_clear_line(
    laptop: Laptop, box: Box
) -> None:
    options = options_of(laptop)
    run(box, "mine", "--label", "remotenb.user=alice")
    for name in ("nobody", "$(reboot)", "; rm -rf ~", "a b", "--all", "-x", "x\ny"):
        error = refused(laptop, "stop", "gpu-box", "--", name)
        assert error["error"] == "ContainerMissing"
        assert "mine" in error["hint"]
    for name in ("$(reboot)", "x\ny"):
        for verb in (("cp", ":x", "y"), ("commit", "alice/x:1"), ("install", "six")):
            where = (verb[0], "gpu-box", f"--container={name}", *verb[1:])
            assert refused(laptop, *where)["error"] == "ContainerMissing", where
        done = laptop.run("exec", *options, "gpu-box", f"--container={name}", "true")
        assert (done.code, done.out) == (125, ""), done
        assert laptop.run("logs", *options, "gpu-box", f"--container={name}").code == 4
    assert state(box, "mine") == "running"


def test_names_that_docker_would_refuse_are_refused_before_it_is_asked(
    laptop: Laptop, box: Box
) -> None:
    for name in ("$(reboot)", "-x", "x"):
        done = laptop.run("run", *options_of(laptop), "gpu-box", "-d", f"--name={name}", TINY)
        assert (done.code, "name" in done.err) == (125, True), done
    for image in ("$(reboot)", "Upper:1", "x\ny"):
        for verb in ("rmi", "push"):
            error = refused(laptop, verb, "gpu-box", "--", image)
            assert (error["code"] in {2, 4}, "\n" in error["message"]) == (True, False), error
    run(box, "mine", "--label", "remotenb.user=alice")
    error = refused(laptop, "commit", "gpu-box", TINY)
    assert (error["code"], "already" in error["message"]) == (2, True)
    assert box.docker("ps", "-aq").stdout.count("\n") == 1


def test_images_are_listed_and_removed_unless_a_container_needs_them(
    laptop: Laptop, box: Box
) -> None:
    rows = listed(laptop, "images", "gpu-box")
    assert all(row["free"] > 1 << 20 for row in rows)
    names = {row["image"] for row in rows}
    assert {LAB4, TINY} <= names
    run(box, "mine")
    error = refused(laptop, "rmi", "gpu-box", TINY)
    assert error["code"] == 4
    assert "container" in error["message"]
    assert "ps HOST --all" in error["hint"]
    box.docker("tag", TINY, "alice/copy:1")
    assert did(laptop, "rmi", "gpu-box", "alice/copy:1")["what"] == "removed"
    assert "alice/copy:1" not in {row["image"] for row in listed(laptop, "images", "gpu-box")}
    assert refused(laptop, "rmi", "gpu-box", "no/such:1")["error"] == "ImageMissing"


def test_what_a_container_printed_is_shown_without_its_escape_sequences(
    laptop: Laptop, box: Box
) -> None:
    say = "printf 'one\\033]0;x\\007\\n'; echo two >&2"
    box.docker("run", "--name", "mine", "--label", "remotenb.user=alice", TINY, "sh", "-c", say)
    done = laptop.run("logs", "gpu-box", "--container", "mine", "-F", str(laptop.ssh_config))
    assert (done.code, sorted(done.out.splitlines())) == (0, ["one", "two"])


def test_only_stopped_containers_that_remotenb_made_are_pruned_and_only_when_told(
    laptop: Laptop, box: Box
) -> None:
    for name in ("stopped", "runs"):
        run(box, name, "--label", f"remotenb.name={name}", "--label", "remotenb.user=alice")
    run(box, "by-hand", "--label", "remotenb.user=alice")
    box.docker("exec", "stopped", "dd", "if=/dev/zero", "of=/x", "bs=1M", "count=3")
    sizes = {row["name"]: row["size"] for row in listed(laptop, "ps", "gpu-box", "--size")}
    assert (sizes["stopped"], sizes["runs"]) == (3 << 20, 0)
    box.docker("kill", "stopped", "by-hand")
    change = "--change=LABEL remotenb.committed=now"
    box.docker("commit", change, "stopped")
    for name in ("alices", "bobs"):
        box.docker("tag", TINY, f"remotenb/partial:{name}-1")
    theirs = box.docker("commit", "--change=LABEL remotenb.partial=bob", "stopped").stdout[7:19]
    half = box.docker("commit", "--change=LABEL remotenb.partial=alice", "stopped").stdout[7:19]
    arrived = "/home/alice/.local/state/remotenb/transfer/alices"
    box.run(["mkdir", "-p", arrived], user="alice")
    assert "remotenb/partial" not in str(listed(laptop, "images", "gpu-box"))
    shown = laptop.run("prune", "gpu-box", "-F", str(laptop.ssh_config))
    assert (shown.code, "stopped  busybox:1  exited  3.0 MiB" in shown.err) == (2, True)
    assert "image remotenb/partial:alices-1" in shown.err
    assert refused(laptop, "prune", "gpu-box")["message"] == "nothing was removed"
    assert state(box, "stopped") == "exited"
    done = laptop.run(*on(laptop, "prune", "gpu-box", "--yes"))
    removed = [event["name"] for event in done.events]
    assert (removed[0], removed[2:]) == ("stopped", [half, "remotenb/partial:alices-1", arrived])
    images = box.docker("images", "-a").stdout
    assert ("alices" in images, half in images) == (False, False)
    assert ("bobs" in images, images.count("<none>"), theirs in images) == (True, 2, True)
    assert not box.path(arrived).exists()
    assert [state(box, name) for name in ("stopped", "runs", "by-hand")] == [
        "",
        "running",
        "exited",
    ]
