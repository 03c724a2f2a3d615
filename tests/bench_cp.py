"""``cp`` beside ``scp``: seconds for one big file and for a folder of many small ones, both ways.

Run it with `make bench-cp` as root on Debian or Ubuntu. All take turns, so that what else the
machine does falls on each alike: read the ratios, which are of medians of one run. What is timed
is the whole command, with its login. The bytes are random.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.laptop import Laptop
from tests.machines.conftest import LAB4
from tests.rig.lab import Lab

HOST, CONTAINER, ALONE, WORK = "gpu-box", "mine", "alone", "/home/alice/work"
MOUNTED = "/workspace"
SMALL_FILE, IN_A_FOLDER = 10_000, 100
WAYS = {
    "`scp`": MOUNTED,
    "`remotenb cp`, a mounted folder": MOUNTED,
    "`remotenb cp`, the container's own layer": "/opt",
    "`remotenb cp`, the same where nothing is mounted": "/opt",
    "by hand, the container's own layer": "/opt",
}
"""Each with the folder of the container where it puts things."""


@dataclass(frozen=True)
class Task:
    """What is copied, and which way."""

    name: str
    files: tuple[Path, ...]
    up: bool

    @property
    def megabytes(self) -> float:
        """Of all its files."""
        return sum(one.stat().st_size for one in self.files) / 1e6


def small_files(folder: Path, megabytes: int) -> tuple[Path, ...]:
    """As many as make so many MB."""
    made = []
    for number in range(megabytes * 10**6 // SMALL_FILE):
        file = folder / str(number // IN_A_FOLDER) / str(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(SMALL_FILE))
        made.append(file)
    return tuple(made)


def container_of(way: str) -> str:
    """Into which it copies."""
    return ALONE if "nothing is mounted" in way else CONTAINER


BY_HAND = {
    True: """scp -q -r -F "$1" "$2" "$3:" && ssh -F "$1" "$3" "docker cp '$4' mine:/opt/" """,
    False: """ssh -F "$1" "$3" "docker cp 'mine:/opt/$4' ." && scp -q -r -F "$1" "$3:$4" "$5" """,
}
"""Up and down, as scp knows no containers."""


def argv(laptop: Laptop, way: str, task: Task) -> list[str]:
    """The command."""
    config, near, back = str(laptop.ssh_config), f"{laptop.home}/{task.name}", f"{laptop.home}/back"
    if way.startswith("by hand"):
        return ["sh", "-ec", BY_HAND[task.up], "sh", config, near, HOST, task.name, back]
    if way == "`scp`":
        ends = [near, f"{HOST}:work/"] if task.up else [f"{HOST}:work/{task.name}", back]
        return ["scp", "-q", "-r", "-F", config, *ends]
    ends = [near, f":{WAYS[way]}/"] if task.up else [f":{WAYS[way]}/{task.name}", back]
    container = ("--container", container_of(way))
    return laptop.argv("cp", HOST, *ends, *container, "--json", "-F", config)


def measure(lab: Lab, laptop: Laptop, way: str, task: Task) -> float:
    """Seconds; where it goes nothing is yet."""
    lab.box.run(["rm", "-rf", f"/home/alice/{task.name}"])
    if task.up:
        lab.box.docker("exec", container_of(way), "rm", "-rf", f"{WAYS[way]}/{task.name}")
    else:
        subprocess.run(["rm", "-rf", laptop.home / "back"], check=True)
    subprocess.run(["sync"], check=True)  # what one has written is no burden of the next
    start = time.perf_counter()
    told = argv(laptop, way, task)
    subprocess.run(told, check=True, env=laptop.environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def show(task: Task, took: dict[str, list[float]]) -> None:
    """The rows of a task."""
    direction = "up" if task.up else "down"
    count = f"{len(task.files)} file{'s' * (len(task.files) > 1)}, {task.megabytes:.0f} MB"
    scp = statistics.median(took["`scp`"])
    for way, seconds in took.items():
        middle = statistics.median(seconds)
        rate = f"{task.megabytes / middle:.0f} MB/s | {scp / middle:.2f}"
        print(f"| {count}, {direction} | {way} | {middle:.2f} s | {rate} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--big", type=int, default=400, help="MB of the big file")
    parser.add_argument("--small", type=int, default=20, help="MB of the small files together")
    wish = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="remotenb-bench-"))
    (home / "big").write_bytes(os.urandom(wish.big * 10**6))
    many = small_files(home / "small", wish.small)
    tasks = [
        Task(name, files, up)
        for name, files in (("big", (home / "big",)), ("small", many))
        for up in (True, False)
    ]
    try:
        with Lab() as lab:
            lab.enter_laptop()
            lab.reset()
            lab.box.run(["mkdir", WORK], user="alice")
            mount = ("-v", f"{WORK}:{MOUNTED}")
            for name, options in ((CONTAINER, mount), (ALONE, ("--label=remotenb.user=alice",))):
                run = ("run", "-d", "--init", "--name", name, *options, LAB4, "sleep", "1000000")
                lab.box.docker(*run, user="alice")
            laptop = Laptop(home, lab.ssh_config)
            print("| what | way | time | rate | of scp |\n|---|---|---|---|---|")
            for task in tasks:
                took: dict[str, list[float]] = {way: [] for way in WAYS}
                for _ in range(wish.runs):
                    for way, seconds in took.items():
                        seconds.append(measure(lab, laptop, way, task))
                show(task, took)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
