"""Commands and terminals in a container, as if they ran on the laptop."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import TINY
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box


assert sys.platform != "win32", "the machines are Linux's"


@pytest.fixture
def mine(box: Box) -> str:
    """A container of alice's that does nothing."""
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "mine", label, TINY, "sleep", "1000", user="alice")
    return "mine"


def execute(
    laptop: Laptop, *command: str, given: bytes = b"", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """``remotenb exec gpu-box -- COMMAND``."""
    config = ("-F", str(laptop.ssh_config))
    argv = laptop.argv("exec", *config, *options, "gpu-box", "--", *command)
    return subprocess.run(
        argv, check=False, capture_output=True, timeout=60, env=laptop.environment, input=given
    )


def sleepers(box: Box) -> list[str]:
    """The commands of the tests that still run in the container."""
    told = box.docker("top", "mine", "-o", "pid,args").stdout
    return [line for line in told.splitlines() if "sleep 777" in line]


def test_pipes_and_exit_codes_pass_through_and_no_word_is_touched(
    laptop: Laptop, mine: str
) -> None:
    raw = bytes(range(256)) * 4096
    copied = execute(laptop, "cat", given=raw)
    assert (copied.returncode, copied.stdout, copied.stderr) == (0, raw, b"")
    words = ["a b", "$(reboot)", "'", '"', "x\ny", "ü!", "-n", ""]
    said = execute(laptop, "printf", "%s|", *words)
    assert said.stdout.decode() == "".join(f"{word}|" for word in words)
    failed = execute(laptop, "sh", "-c", "echo no >&2; exit 7")
    assert (failed.returncode, failed.stdout, failed.stderr) == (7, b"", b"no\n")


def test_another_user_of_the_container_has_a_home_of_its_own(laptop: Laptop, box: Box) -> None:
    who = ("--user=1001", "--env=HOME=/tmp/alice", "--label=remotenb.user=alice")
    box.docker("run", "-d", "--init", "--name", "mine", *who, TINY, "sleep", "1000", user="alice")
    asked = ("sh", "-c", "echo $(id -u) $HOME")
    assert execute(laptop, *asked).stdout == b"1001 /tmp/alice\n"
    for root in ("0", "0:0"):
        assert execute(laptop, *asked, options=("--user", root)).stdout == b"0 /root\n"


def test_an_own_failure_is_125_with_a_hint(laptop: Laptop, box: Box) -> None:
    nothing = execute(laptop, "true")
    assert nothing.returncode == 125
    assert b"hint: remotenb ps gpu-box --all" in nothing.stderr
    box.docker("create", "--name", "mine", "--label=remotenb.user=alice", TINY, "true")
    stopped = execute(laptop, "true")
    assert stopped.returncode == 125
    assert b"hint: remotenb start gpu-box mine" in stopped.stderr
    assert laptop.run("exec", "gpu-box").code == 125


def test_a_reader_that_has_enough_ends_it(laptop: Laptop, box: Box, mine: str) -> None:
    endless = ("sh", "-c", "yes; sleep 777")
    argv = laptop.argv("exec", "-F", str(laptop.ssh_config), "gpu-box", "--", *endless)
    with subprocess.Popen(argv, env=laptop.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert process.wait(10) == 141
    until(lambda: "yes" not in box.docker("top", "mine", "-o", "pid,args").stdout, "its end")


@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_nothing_is_left_behind_by_a_laptop_that_went_away(
    laptop: Laptop, box: Box, mine: str, number: str
) -> None:
    argv = laptop.argv("exec", "-F", str(laptop.ssh_config), "gpu-box", "--", "sleep", "777")
    with subprocess.Popen(argv, env=laptop.environment, stdin=subprocess.PIPE) as process:
        until(lambda: sleepers(box), "the command in the container")
        process.send_signal(signal.Signals[number])
        process.wait(10)
    until(lambda: not sleepers(box), "the end of the command")


def test_a_shell_is_a_terminal_that_follows_its_size_and_gives_the_old_one_back(
    laptop: Laptop, box: Box, mine: str
) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        laptop.argv("shell", "gpu-box", "-F", str(laptop.ssh_config)),
        env={**laptop.environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    shown = b""

    def see(*wanted: bytes) -> None:
        nonlocal shown
        while not all(one in shown for one in wanted):
            shown += os.read(ours, 4096)

    see(b"# ")
    os.write(ours, b"stty size; echo $TERM; tty\n")
    see(b"30 100", b"xterm-256color", b"/dev/pts/")
    termios.tcsetwinsize(theirs, (22, 77))
    os.write(ours, b"until [ \"$(stty size)\" = '22 77' ]; do sleep 0.1; done; echo now-$((1+1))\n")
    see(b"now-2")
    os.write(ours, b"sleep 777\n")
    until(lambda: sleepers(box), "the command of the shell")
    os.write(ours, b"\x03exit 5\n")
    assert process.wait(20) == 5
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
