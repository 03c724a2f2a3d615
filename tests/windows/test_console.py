"""A person at a console of Windows: Ctrl-C at every wait, and a shell on the box."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from tests.machines.conftest import LAB4, TINY
from tests.rig.failures import until
from tests.windows.console import CTRL_C, Console

if TYPE_CHECKING:
    from tests.rig.box import Box
    from tests.rig.lab import Lab
    from tests.windows.laptop import WindowsLaptop

HEARD_S = 1.0
"""The mark is half a second; the rest is for Wine, which ends a program, and for a busy machine.
A wait that is deaf takes 4 s or more."""

INTERRUPTED = 130

WATCHED = """
import ctypes, subprocess, sys
from ctypes import wintypes
kernel = ctypes.windll.kernel32
def show():
    modes = [wintypes.DWORD(), wintypes.DWORD()]
    for number, mode in zip((-10, -11), modes):
        kernel.GetConsoleMode(wintypes.HANDLE(kernel.GetStdHandle(number)), ctypes.byref(mode))
    print("modes", *(mode.value for mode in modes), kernel.GetConsoleOutputCP(), flush=True)
show()
code = subprocess.run([sys.executable, "-m", "remotenb", *sys.argv[1:]]).returncode
show()
sys.exit(code)
"""
"""Runs remotenb and shows the console's modes before and after."""


def console(laptop: WindowsLaptop, *args: str) -> Console:
    return Console(laptop.argv(*args), laptop.environment)


def interrupted(one: Console, code: int) -> None:
    one.press(CTRL_C)
    ended, seconds = one.end()
    print(f"Ctrl-C: ended after {seconds:.2f} s")
    assert ended == code, one.shown
    assert seconds < HEARD_S


def test_ctrl_c_is_heard_while_the_box_does_not_answer(laptop: WindowsLaptop, lab: Lab) -> None:
    lab.block("drop")
    with console(laptop, "connect", "gpu-box") as one:
        one.wait_for("connecting to")
        interrupted(one, INTERRUPTED)


def test_ctrl_c_is_heard_while_a_server_says_nothing(laptop: WindowsLaptop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        with console(laptop, "connect", f"alice@127.0.0.1:{silent.getsockname()[1]}") as one:
            came, _ = silent.accept()
            with came:
                one.wait_for("connecting to")
                interrupted(one, INTERRUPTED)


def test_ctrl_c_is_heard_while_the_box_thinks(laptop: WindowsLaptop, box: Box) -> None:
    box.write("/home/alice/thinks", "#!/bin/sh\nexec sleep 60\n", "alice", 0o755)
    box.set_shell("alice", "/home/alice/thinks")
    with console(laptop, "ps", "gpu-box") as one:
        until(lambda: any("sleep 60" in line for line in box.processes()), "the box thinks")
        one.rest()
        interrupted(one, INTERRUPTED)


def test_ctrl_c_ends_a_session_that_is_up_or_tries_again_and_the_showing_of_one(
    laptop: WindowsLaptop, lab: Lab
) -> None:
    for trouble in (False, True):
        with console(laptop, "connect", "gpu-box", "--image", LAB4, "--gpus", "none") as one:
            one.wait_for("Ctrl-C closes the tunnel")
            if trouble:
                lab.block("drop")
                one.wait_for("reconnecting")
            interrupted(one, 0)
        lab.unblock()
    assert laptop.run("connect", "gpu-box", "-d", "--json", "--no-browser").code == 0
    with console(laptop, "connect", "gpu-box", "--no-browser") as one:
        one.wait_for("Ctrl-C ends the showing")
        interrupted(one, 0)
    assert len(laptop.run("status", "--json").table) == 1


def test_a_shell_takes_every_key_and_the_console_is_as_it_was(
    laptop: WindowsLaptop, box: Box
) -> None:
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "mine", label, TINY, "sleep", "1000", user="alice")
    argv = laptop.wine.argv("-c", WATCHED, "shell", "gpu-box")
    with Console(argv, laptop.environment, signals=False) as one:
        one.wait_for("/ #")
        one.press("echo gr-ün | tr -d -\r".encode())
        one.wait_for("grün")
        one.press(b"read -t 9; echo \x08\x7f4$((3 - 1))\r\r")  # keys that a line of ours would eat
        one.wait_for("42")
        one.press(b"exit 7\r")
        assert one.end()[0] == 7, one.shown
    before, after = re.findall(rb"modes (\d+ \d+ \d+)", one.shown)
    assert before == after
