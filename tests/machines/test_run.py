"""Containers without a notebook: ``run``, as docker's, and the user's own files."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remotenb import run as running
from remotenb.machine import Machine
from remotenb.model import EngineState
from remotenb.probe import probe
from remotenb.report import Quiet
from remotenb.settings import Settings
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from tests.machines.conftest import LAB4, TINY, did, listed, refused
from tests.rig.failures import until
from tests.rig.gpus import Gpu

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.machines.conftest import ByHand
    from tests.rig.box import Box
    from tests.rig.lab import Lab

assert sys.platform != "win32", "the machines are Linux's"


def run(
    laptop: Laptop, *args: str, given: bytes = b"", check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """``remotenb run gpu-box ARGS``."""
    argv = laptop.argv("run", "-F", str(laptop.ssh_config), "gpu-box", *args)
    return subprocess.run(
        argv, check=check, capture_output=True, timeout=60, env=laptop.environment, input=given
    )


def inspected(box: Box, name: str, what: str) -> str:
    """What docker says of it; empty when it is not there."""
    return box.docker("inspect", "-f", what, name, check=False).stdout.strip()


def test_a_command_has_the_laptops_pipes_its_exit_code_and_files_that_are_yours(
    laptop: Laptop, box: Box
) -> None:
    script = 'cat; echo no >&2; touch /w/made "$HOME/x"; id -un; exit 7'
    volume = ("--volume", "new/work:/w", "--rm", "-e", "A=b c")
    config = laptop.home / "config.toml"
    config.write_text("[defaults]\nulimits = []\n")  # the rig's docker may not set them
    done = run(
        laptop,
        "--config",
        str(config),
        *volume,
        LAB4,
        "--",
        "sh",
        "-c",
        script,
        given=b"in\n",
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (7, [b"in", b"alice"])
    assert b"no\n" in done.stderr
    owner = ["stat", "-c", "%U", "/home/alice/new", "/home/alice/new/work/made"]
    assert box.run(owner).stdout.split() == ["alice", "alice"]
    assert box.docker("ps", "-aq").stdout == ""


def test_one_that_is_left_to_itself_is_a_container_of_yours_and_no_notebook(
    laptop: Laptop, box: Box
) -> None:
    options = ("-d", "--name", "train", "--gpus", "1", "-p", "8080:80", "-e", "A=b c")
    box.set_gpus([Gpu(0), Gpu(1)])
    event = did(laptop, "run", "gpu-box", *options, TINY, "--", "sleep", "1000")
    assert (event["what"], event["name"]) == ("started", "train")
    (row,) = listed(laptop, "ps", "gpu-box")
    assert (row["owner"], row["notebook"], row["gpus"]) == ("alice", False, "1")
    assert inspected(box, "train", "{{.Config.User}}") == "1000:1000"
    ports = "{{json .HostConfig.PortBindings}}"
    assert inspected(box, "train", ports) == '{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}'
    error = refused(laptop, "run", "gpu-box", *options, TINY)
    assert (error["error"], "--name" in error["hint"]) == ("NameTaken", True)
    refusal = laptop.refused("gpu-box", "--image", TINY)
    assert refusal["error"] == "JupyterMissing"  # in a container of its own, not in this one
    assert inspected(box, "train", "{{.State.Running}}") == "true"


def test_it_is_started_by_the_engine_that_made_it(lab: Lab) -> None:
    host = resolve("gpu-box", config_file=lab.ssh_config)
    with open_link(host) as link:
        seen = probe(link, engine="docker", enter=False)
        machine = Machine(host, Settings(image=TINY, ulimits=()), link, seen, Quiet())
        spec = running.spec_of_run(machine, name=None, options=("--rm",))
        # FAKE: the engine that new containers are made with by now, which has none
        broken = EngineState("podman", ("false",))
        machine = replace(machine, probe=replace(seen, engine=broken))
        made = running.make(machine, spec, ("sh", "-c", "echo begun; exit 3"))
        begun = running.begin(machine, spec, made, term="", size=(80, 24))
        assert (begun.first or begun.channel.recv(100), begun.code()) == (b"begun\n", 3)
        idle = running.make(machine, spec, ("true",))
        assert running.never_started(machine, spec, idle)
        assert lab.box.docker("ps", "-aq").stdout == ""


def test_what_is_not_to_be_had_is_said_and_leaves_nothing(laptop: Laptop, box: Box) -> None:
    assert refused(laptop, "run", "gpu-box", "-d", "no/such:1")["error"] == "ImageMissing"
    assert refused(laptop, "run", "gpu-box", "-d")["error"] == "NoImage"
    volume = ("--volume", "/etc/shadow/x:/w")
    assert refused(laptop, "run", "gpu-box", "-d", *volume, TINY)["error"] == "MountMissing"
    assert refused(laptop, "run", "gpu-box", TINY)["code"] == 2  # --json without -d
    for options in ((), ("--rm",)):
        done = run(laptop, "-p", "22", *options, TINY, "--", "true", check=False)
        assert done.returncode == 125
        assert b"hint: choose another port" in done.stderr
    assert run(laptop, "--rm", TINY, "--", "no-such-command", check=False).returncode == 127
    assert box.docker("ps", "-aq").stdout == ""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long)],
)
def test_it_ends_with_the_laptop(
    laptop: Laptop, box: Box, number: signal.Signals, code: int
) -> None:
    argv = laptop.argv("run", "-F", str(laptop.ssh_config), "gpu-box", "--rm", "--name", "job")
    argv += [TINY, "--", "sh", "-c", "echo begun; exec sleep 777"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=laptop.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.wait(20) == code
    until(lambda: inspected(box, "job", "{{.Id}}") == "", "the container's end", seconds=20)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [((), 0, "begun"), (("-p", "22"), 125, "hint: choose another port")],
)
def test_a_terminal_hears_of_a_refused_start_in_our_words(
    laptop: Laptop, box: Box, options: tuple[str, ...], code: int, said: str
) -> None:
    argv = laptop.argv("run", "-F", str(laptop.ssh_config), "gpu-box", "--rm", *options)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*argv, TINY, "--", "sh", "-c", "test -t 0 && echo begun"],
        env={**laptop.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what a terminal's end looks like
            while data := os.read(ours, 1 << 16):
                shown += data
        os.close(ours)
        assert process.wait(60) == code, shown
    assert said in shown.decode()
    assert b"daemon" not in shown  # the engine's own words
    assert box.docker("ps", "-aq").stdout == ""


def test_connect_says_which_options_did_nothing(laptop: Laptop, by_hand: ByHand) -> None:
    by_hand("--network", "host", "--label", "remotenb.user=alice")
    with laptop.connected("gpu-box", "--volume", "~/x:/x", "--gpus", "none") as session:
        assert session.ready["reused"] is True
        (said,) = [one["message"] for one in session.events if one.get("code") == "unheeded"]
        assert said == "--gpus and --volume did nothing: container nb is there already"


def test_a_notebook_that_a_crash_of_docker_took_down_is_started_again(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        name = session.ready["container"]
        box.dockerd_kill()
        box.dockerd_start()  # which ends what the other left running, and books it as a stop
        assert session.wait_for("server_restarted", 60)["kernels_lost"] is True
        assert inspected(box, name, "{{.State.Status}}") == "running"
