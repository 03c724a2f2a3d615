"""A machine fetches images by itself, from a registry like NVIDIA's."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests import fake_keyring
from tests.machines.conftest import LAB4, did, on, refused
from tests.rig.failures import until
from tests.rig.registry import contents
from tests.rig.registry.front import API_KEY, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laptop import Connected, Event, Laptop
    from tests.rig.box import Box
    from tests.rig.registry import Registry

assert sys.platform != "win32", "the machines are Linux's"

CLARA, SECRET = contents.CLARA, contents.SECRET
WHOLE = contents.CLARA_LAYERS * contents.CLARA_LAYER
SLOW = 4 << 20
"""Bytes a second of each layer: a pull of some seconds."""


@pytest.fixture
def laptop(laptop: Laptop) -> Laptop:
    """With a keyring that is a file."""
    keyring = {fake_keyring.FILE: str(laptop.home / "keyring.json"), **fake_keyring.ENVIRONMENT}
    laptop.variables.update(keyring)
    return laptop


def has(box: Box, image: str) -> bool:
    return box.docker("image", "inspect", image, check=False).returncode == 0


def nothing_is_left(box: Box) -> bool:
    """No process and no file of a pull."""
    asks = [one for one in box.processes() if "dial-stdio" in one or "tee /dev/null" in one]
    return not asks and box.run(["ls", "-A", "/tmp"]).stdout == ""


def log_in(laptop: Laptop, key: str = API_KEY) -> subprocess.CompletedProcess[bytes]:
    argv = laptop.argv(*on(laptop, "login", "gpu-box", "--password-stdin"))
    return subprocess.run(
        argv,
        check=False,
        capture_output=True,
        timeout=60,
        env=laptop.environment,
        input=f"{key}\n".encode(),
    )


@contextmanager
def half_way(laptop: Laptop, image: str, host: str = "gpu-box") -> Iterator[Connected]:
    """A pull, some of whose bytes have come."""
    from tests.laptop import Connected  # noqa: PLC0415  only typed elsewhere

    process = subprocess.Popen(
        laptop.argv(*on(laptop, "pull", host, image)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=laptop.environment,
    )
    try:
        running = Connected(process, [])
        while running.wait_for("progress", 30)["bytes"] < SLOW:
            pass
        yield running
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def answered(laptop: Laptop, argv: list[str], answer: bytes) -> str:
    """What a command prints on a terminal where its question is answered, to its end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=laptop.environment
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # what a terminal's end looks like
        while data := os.read(ours, 1 << 16):
            said += data
            if b"(yes/no)? " in said and answer:
                os.write(ours, answer)
                answer = b""
    os.close(ours)
    process.wait(60)
    return said.decode()


def events(laptop: Laptop, image: str) -> list[Event]:
    done = laptop.run(*on(laptop, "pull", "gpu-box", image))
    assert done.code == 0, done
    return done.events


def test_an_image_is_pulled_with_its_bytes_told_and_once_is_enough(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    registry.faults.rate = 8 << 20
    *told, done = events(laptop, CLARA)
    progress = [one for one in told if one["event"] == "progress"]
    assert len(progress) > 1
    amounts = [one["bytes"] for one in progress]
    assert (amounts[0], amounts) == (0, sorted(amounts))
    assert progress[0]["total"] == progress[-1]["bytes"] == done["bytes"] > WHOLE
    assert (done["what"], done["name"], done["up_to_date"]) == ("pulled", CLARA, False)
    digests = box.docker("image", "inspect", "-f", "{{.RepoDigests}}", CLARA).stdout
    assert done["digest"] in digests
    assert did(laptop, "pull", "gpu-box", CLARA)["up_to_date"] is True


def test_nvidias_images_go_by_their_short_names(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    box.docker("tag", LAB4, "kept:1")
    box.docker("rmi", LAB4)
    done = did(laptop, "pull", "gpu-box", "pytorch:25.10")
    assert (done["name"], done["bytes"]) == (LAB4, 0)
    assert has(box, LAB4)
    error = refused(laptop, "pull", "gpu-box", "nvcr.io/nvidia/pytorch:25.10")
    assert (error["error"], error["code"]) == ("ImageUnknown", 4)
    assert error["hint"] == f"did you mean {LAB4}?"
    assert did(laptop, "rmi", "gpu-box", "pytorch:25.10")["name"] == LAB4
    assert not has(box, LAB4)
    box.docker("tag", "kept:1", LAB4)


def test_a_login_is_proved_kept_on_the_laptop_and_nowhere_on_the_machine(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    error = refused(laptop, "pull", "gpu-box", SECRET)
    assert (error["error"], error["hint"]) == ("LoginNeeded", "remotenb login gpu-box nvcr.io")
    wrong = log_in(laptop, "nvapi-wrong")
    assert wrong.returncode == 4
    assert json.loads(wrong.stdout)["error"] == "LoginRefused"
    right = log_in(laptop)
    said = json.loads(right.stdout)
    assert (right.returncode, said["user"], said["proved"]) == (0, USER, True)
    registry.faults.rate = SLOW
    with half_way(laptop, SECRET) as pull:
        assert not [one for one in box.processes() if API_KEY in one]
        assert pull.wait_for("done", 60)["name"] == SECRET
        assert API_KEY not in json.dumps(pull.events)
    assert API_KEY not in right.stdout.decode() + right.stderr.decode()
    traces = ["grep", "-rlsF", API_KEY, "/home", "/tmp", "/dev/shm", "/run", "/var/log"]
    assert box.run(traces, check=False).stdout == ""
    assert box.run(["ls", "-A", "/tmp", "/dev/shm", "/home/alice/.docker"], check=False).stdout == (
        "/dev/shm:\n\n/tmp:\n"
    )
    assert did(laptop, "logout", "gpu-box")["what"] == "logged out"
    box.docker("rmi", SECRET)
    assert refused(laptop, "pull", "gpu-box", SECRET)["error"] == "LoginNeeded"


def test_a_login_that_the_user_has_over_there_serves_as_well(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    login = ["docker", "login", "-u", USER, "--password-stdin", "nvcr.io"]
    box.run(login, user="alice", input=API_KEY)
    assert did(laptop, "pull", "gpu-box", SECRET)["up_to_date"] is False
    assert has(box, SECRET)
    box.run(["rm", "-r", "/home/alice/.docker"])


def test_ctrl_c_ends_the_pull_over_there_and_the_next_one_is_whole(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    registry.faults.rate = SLOW
    with half_way(laptop, CLARA) as pull:
        assert pull.stop(signal.SIGINT) == 130
    until(lambda: nothing_is_left(box), "the end of it")
    registry.faults.rate = 0
    asked = len(registry.seen)
    assert not has(box, CLARA)
    assert len(registry.seen) == asked
    assert did(laptop, "pull", "gpu-box", CLARA)["bytes"] > WHOLE
    assert has(box, CLARA)


def test_a_broken_link_does_not_end_the_pull_and_it_is_shown_again(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    registry.faults.rate = SLOW
    with half_way(laptop, CLARA) as pull:
        box.signal_sshd("KILL", user="alice")
        assert pull.wait_for("warning", 30)["code"] == "link_lost"
        assert pull.wait_for("done", 60)["up_to_date"] is False
    assert has(box, CLARA)
    fetched = Counter(one.path for one in registry.seen if one.path.startswith("/store/"))
    assert sorted(fetched.values())[:-1] == [1] * contents.CLARA_LAYERS, "the last is the config"
    assert nothing_is_left(box)


@pytest.mark.long
def test_ctrl_c_ends_a_pull_that_is_roots(laptop: Laptop, box: Box, registry: Registry) -> None:
    """By sudo: what asks the engine is a process that its user may not kill."""
    rule = "carol ALL=(root) NOPASSWD: /usr/bin/docker, /usr/local/bin/docker\n"
    box.write("/etc/sudoers.d/pull", rule, mode=0o440)
    registry.faults.rate = SLOW
    with half_way(laptop, CLARA, "gpu-box-carol") as pull:
        assert pull.stop(signal.SIGINT) == 130
    until(lambda: nothing_is_left(box), "the end of it")
    assert not has(box, CLARA)
    registry.faults.rate = 0
    assert did(laptop, "pull", "gpu-box-carol", CLARA)["bytes"] > WHOLE
    box.run(["rm", "/etc/sudoers.d/pull"])


@pytest.mark.long
def test_a_docker_that_dies_is_no_pulled_image(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    registry.faults.rate = SLOW
    with half_way(laptop, CLARA) as pull:
        box.dockerd_kill()
        assert pull.wait_for("error", 30)["error"] == "EngineDown"
    box.dockerd_start()
    assert not has(box, CLARA)


@pytest.mark.long
def test_a_pull_goes_on_without_the_laptop(laptop: Laptop, box: Box, registry: Registry) -> None:
    registry.faults.rate = SLOW
    with half_way(laptop, CLARA) as pull:
        pull.process.kill()
    until(lambda: has(box, CLARA), "the pull without us", seconds=30)
    until(lambda: nothing_is_left(box), "the end of it")


def test_connect_offers_to_fetch_an_image_that_is_not_there(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    argv = laptop.argv("connect", "gpu-box", "--no-browser", "--image", CLARA)
    assert "is not on gpu-box. Fetch it now" in answered(laptop, argv, b"no\n")
    assert not has(box, CLARA)
    assert "to fetch" in answered(laptop, argv, b"yes\n")
    assert has(box, CLARA)
    assert (
        laptop.refused("gpu-box", "--image", "nvcr.io/private/secret:1")["error"] == "ImageMissing"
    )


def test_what_cannot_be_pulled_is_said_in_one_line_with_what_to_do(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    def complaint(image: str) -> tuple[str, str]:
        error = refused(laptop, "pull", "gpu-box", image)
        assert "\n" not in error["message"]
        return error["error"], error["hint"]

    assert complaint("nvcr.io/nvidia/clara:none") == ("ImageUnknown", "check its name and tag")
    assert complaint(contents.FOREIGN) == ("ImageUnknown", "choose another tag")
    assert complaint("Pytorch")[0] == complaint("a b")[0] == complaint("pytorch")[0] == "UsageError"
    name, hint = complaint("no.such.host/a:1")
    assert (name, "remotenb push gpu-box no.such.host/a:1" in hint) == ("RegistryUnreachable", True)
    registry.shut_from(box)
    name, hint = complaint(CLARA)
    assert (name, f"remotenb push gpu-box {CLARA}" in hint) == ("RegistryUnreachable", True)
    assert refused(laptop, "login", "gpu-box")["error"] == "UsageError"


def test_a_key_for_a_registry_that_the_laptop_does_not_reach_is_kept_and_said_to_be_unproved(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    words = ("login", "gpu-box", "no.such.host", "-u", "me", "--password-stdin")
    for argv in (on(laptop, *words), [*words, "-F", str(laptop.ssh_config)]):
        command, key = laptop.argv(*argv), b"k3y\n"
        done = subprocess.run(
            command, check=True, capture_output=True, env=laptop.environment, input=key
        )
        assert "k3y" not in done.stdout.decode() + done.stderr.decode()
        if "--json" in argv:
            warning, said = map(json.loads, done.stdout.splitlines())
            assert (warning["code"], said["proved"]) == ("login_unchecked", False)
            assert "nothing has proved the key" in warning["hint"]
        else:
            assert b"kept, but not proved: the key of me for no.such.host" in done.stderr
            assert b"logged in" not in done.stderr
    assert "k3y" in (laptop.home / "keyring.json").read_text()
