"""A terminal in a container, as a person sees it: in a tmux whose window changes its size."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import BARE, TINY
from tests.rig import cache
from tests.rig.failures import until
from tests.tmux import PROMPT, Tmux

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

ROWS = "\n".join(f"row {number:03} {'-' * 150}|" for number in range(1, 201))
LONG = "x" * 200


@pytest.fixture
def vim(lab: Lab) -> Path:
    """Debian's vim.tiny, which runs in the images as they are; fetched once."""
    folder = cache.directory("vim")
    program = folder / "usr/bin/vim.tiny"
    if not program.exists():
        lab.leave_laptop()  # there is no way out of the machines' networks
        fetch = "apt-get -qq download vim-tiny && dpkg -x vim-tiny_*.deb ."
        done = subprocess.run(["sh", "-ec", fetch], cwd=folder, check=False, capture_output=True)
        lab.enter_laptop()
        if done.returncode:
            pytest.skip(f"no vim-tiny: {done.stderr.decode()}")
    return program


@pytest.fixture
def tmux(laptop: Laptop, tmp_path: Path) -> Iterator[Tmux]:
    """A person's terminal on the laptop."""
    with Tmux(tmp_path, laptop.environment) as one:
        yield one


def command(laptop: Laptop, *args: str) -> str:
    """What is typed for it, with the ssh_config of the machines."""
    verb, *rest = laptop.argv(*args)[3:]
    return shlex.join([*laptop.argv()[:3], verb, "-F", str(laptop.ssh_config), *rest])


def begin(box: Box, image: str, *options: str) -> None:
    """A container of alice's with a file of many rows, and a process of a long name."""
    box.write("/home/alice/rows", ROWS)
    mine = ("--init", "--name", "mine", "--label=remotenb.user=alice", "--hostname=box")
    volume = "--volume=/home/alice/rows:/rows:ro"
    sleep = ("sh", "-c", "sleep 1000; :", LONG)
    box.docker("run", "-d", *mine, volume, *options, image, *sleep, user="alice")


def test_full_screen_programs_follow_the_window_and_leave_the_screen_as_it_was(
    laptop: Laptop, box: Box, tmux: Tmux, vim: Path
) -> None:
    begin(box, BARE, f"--volume={vim}:/usr/bin/vim:ro")
    tmux.enters(command(laptop, "shell", "gpu-box"))
    tmux.until_seen("root@box")
    tmux.enters("stty size; echo $TERM; printf '\\033[38;5;196mred\\033[0m-%s\\n' word")
    tmux.until_seen("red-word")
    assert {"30 100", "tmux-256color"} <= set(tmux.screen)
    assert "38;5;196mred" in tmux.coloured

    tmux.enters("vim -u NONE -c 'set nowrap ruler' /rows")
    tmux.until(lambda: "Top" in tmux.screen[29])
    assert tmux.about("alternate_on") == "1"
    assert tmux.screen[28].startswith("row 029")
    tmux.resize(77, 20)
    tmux.until(lambda: "Top" in tmux.screen[19])  # the editor's last line
    tmux.enters(":set columns?")
    tmux.until_seen("columns=77")
    tmux.resize(120, 40)
    tmux.until(lambda: "Top" in tmux.screen[39])
    assert tmux.screen[38].startswith("row 039")
    assert len(tmux.screen[0]) == 120
    tmux.enters(":q!")
    tmux.until(lambda: tmux.about("alternate_on") == "0")
    tmux.until_seen("red-word")

    tmux.enters("top -c -d 1")
    tmux.until_seen("%CPU")
    tmux.until(lambda: cut_at(tmux) == 119)  # the last column stays free
    tmux.resize(90, 25)
    tmux.until(lambda: cut_at(tmux) == 89)
    tmux.types("q")
    tmux.until_prompt("#")  # what is typed before is thrown away
    tmux.enters("clear; stty size")
    tmux.until(lambda: "25 90" in tmux.screen)

    tmux.enters("sleep 777; echo rc=$?")
    until(lambda: "sleep 777" in box.docker("top", "mine", "-o", "pid,args").stdout, "sleep")
    tmux.types("", "C-c")
    tmux.enters("echo after-$((1 + 1)); exit 5")
    tmux.until_seen("after-2")
    tmux.until_prompt("laptop$")
    tmux.enters("echo code=$?")
    tmux.until_seen("code=5")
    assert tmux.about("cursor_flag") == "1"


def cut_at(tmux: Tmux) -> int:
    """Where top cuts the line of the process with the long name, which it marks with a plus."""
    return max((len(line) for line in tmux.screen if line.endswith("+")), default=0)


@pytest.mark.parametrize("fault", ["sshd is killed", "the link is cut"])
def test_an_editor_whose_link_ends_leaves_the_laptops_terminal_as_it_was(
    laptop: Laptop, lab: Lab, tmux: Tmux, fault: str
) -> None:
    begin(lab.box, TINY)
    tmux.enters("was=$(stty -g); echo before-$((1 + 1))")
    tmux.until_seen("before-2")
    tmux.enters(command(laptop, "shell", "gpu-box"))
    tmux.until_seen("/ #")
    # busybox' vi, and what other editors ask of a terminal besides
    modes = "\\033[?1049h\\033[?1000h\\033[?2004h\\033[?25l"
    tmux.enters(f"printf '{modes}'; vi /rows")
    tmux.until(lambda: tmux.screen[28].startswith("row 029"))
    assert (tmux.about("alternate_on"), tmux.about("cursor_flag")) == ("1", "0")
    tmux.resize(77, 20)
    tmux.until(lambda: "/rows" in tmux.screen[19])
    if fault == "sshd is killed":
        lab.box.signal_sshd("KILL", user="alice")
    else:
        lab.block("reset")
    tmux.until_seen("the connection to gpu-box broke")
    tmux.enters('[ "$(stty -g)" = "$was" ] && echo same-$((1 + 1))')
    tmux.until_seen("same-2")
    assert tmux.about("alternate_on") == "0"
    assert tmux.about("cursor_flag") == "1"
    assert tmux.about("mouse_any_flag") == "0"
    assert any(line.startswith(PROMPT) for line in tmux.screen)


def test_a_new_container_has_the_terminal_as_a_running_one_has(
    laptop: Laptop, box: Box, tmux: Tmux, vim: Path
) -> None:
    editor = (f"--volume={vim}:/usr/bin/vim:ro", BARE, "--", "vim", "-u", "NONE", "-c", "set ruler")
    tmux.enters(command(laptop, "run", "gpu-box", "--rm", *editor, "/etc/passwd"))
    tmux.until(lambda: "Top" in tmux.screen[29] or "All" in tmux.screen[29])
    tmux.resize(77, 15)
    tmux.until(lambda: "Top" in tmux.screen[14])
    tmux.enters(":q!")
    tmux.until_prompt(PROMPT.strip())
    tmux.enters("echo code=$?")
    tmux.until_seen("code=0")
    sized = "until [ \"$(stty size 2>&1)\" = '15 77' ]; do sleep 0.1; done; echo $TERM-$((1 + 1))"
    asks = f"trap 'echo caught; exit 3' INT; {sized}; while :; do sleep 1; done"
    tmux.enters(command(laptop, "run", "gpu-box", "--rm", TINY, "--", "sh", "-c", asks))
    tmux.until_seen("tmux-256color-2")
    tmux.types("", "C-c")
    tmux.until_seen("caught")
    tmux.until_prompt(PROMPT.strip())
    tmux.enters("echo code=$?")
    tmux.until_seen("code=3")
    until(lambda: not box.docker("ps", "-aq").stdout, "the end of the container")
