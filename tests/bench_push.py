"""``push`` beside ``docker save | ssh docker load``: seconds, and what goes over the link.

Run it with `make bench-push` as root on Debian or Ubuntu. The image is the rig's pytorch, whose
layers are no random bytes: 340 MB, some 40 % of it when packed. Each time is one of a few runs,
the median.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.laptop import Laptop
from tests.machines.conftest import SECOND_DOCKER, second_docker
from tests.rig import archive, images
from tests.rig.lab import Lab

NAME = "nvcr.io/nvidia/pytorch:25.10-py3"
LINKS = {"the cable": ("gpu-box", "lap0", 0.0), "100 Mbit/s": ("gpu-box-far", "wire0", 12.5e6)}

Way = Callable[[str], object]


def wire_bytes(interface: str) -> int:
    """What this laptop has sent on it so far."""
    show = ["ip", "-j", "-s", "link", "show", interface]
    told = subprocess.run(show, check=True, capture_output=True).stdout
    sent: int = json.loads(told)[0]["stats64"]["tx"]["bytes"]
    return sent


def forget(lab: Lab) -> None:
    """No image is on the box."""
    found = lab.box.docker("images", "-aq").stdout.split()
    if found:
        lab.box.docker("rmi", "-f", *sorted(set(found)), timeout=300)


def ways(lab: Lab, laptop: Laptop, file: Path) -> dict[str, Way]:
    """Each brings the image to a host."""
    ssh = ("ssh", "-F", str(lab.ssh_config))
    there = f"unix://{lab.box.path(SECOND_DOCKER)}"

    def shell(script: str, host: str) -> None:
        argv = ["sh", "-ec", script, "sh", str(file), there, *ssh, host, "docker", "load", "-q"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    def push(*options: str, host: str) -> None:
        argv = laptop.argv("push", host, NAME, "-F", str(lab.ssh_config), "--json", *options)
        subprocess.run(argv, check=True, env=laptop.environment, stdout=subprocess.DEVNULL)

    return {
        "`ssh HOST docker load < FILE`": partial(shell, 'f=$1; shift 2; "$@" <"$f"'),
        "`gzip -1 < FILE \\| ssh HOST docker load`": partial(
            shell, 'f=$1; shift 2; gzip -1 <"$f" | "$@"'
        ),
        "`remotenb push --file FILE`": lambda host: push("--file", str(file), host=host),
        "`docker save \\| ssh HOST docker load`": partial(
            shell, f'd=$2; shift 2; docker -H "$d" save {NAME} | "$@"'
        ),
        "`remotenb push --from OTHER`": lambda host: push("--from", "gpu-box-bob", host=host),
    }


Took = dict[str, list[tuple[float, int]]]
"""Of each way: the seconds, and the bytes on the link, of each run."""


def measure(lab: Lab, every: dict[str, Way], link: str, runs: int) -> Took:
    """To a box without the image; all take turns, so that other load falls on each alike."""
    host, interface, rate = LINKS[link]
    took: Took = {name: [] for name in every}
    for _ in range(runs):
        for name, way in every.items():
            forget(lab)
            subprocess.run(["sync"], check=True)  # what one has written is no burden of the next
            lab.wire.set(rate=rate)
            before, start = wire_bytes(interface), time.perf_counter()
            way(host)
            seconds = time.perf_counter() - start
            took[name].append((seconds, wire_bytes(interface) - before))
            lab.wire.reset()
    return took


def show(link: str, took: Took, size: int) -> None:
    """The rows of a link."""
    for name, runs in took.items():
        seconds = statistics.median(one for one, _ in runs)
        sent = statistics.median(count for _, count in runs)
        rate = f"{size / 1e6 / seconds:.0f} MB/s"
        row = f"| {name} | {link} | {seconds:.1f} s | {rate} | {sent / 1e6:.0f} MB |"
        print(row, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--link", choices=LINKS, action="append", help="this one only")
    wish = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="remotenb-bench-"))
    file = home / "image.tar"
    layers = images.build()[NAME]
    with file.open("wb") as out:
        archive.write({NAME: layers}, out)
    size = file.stat().st_size
    try:
        with Lab() as lab:
            lab.enter_laptop()
            lab.reset()
            with second_docker(lab.box):
                load = ["docker", "-H", f"unix://{SECOND_DOCKER}", "load", "-q"]
                with file.open("rb") as stream:
                    subprocess.run(lab.box.enter(load), check=True, stdin=stream)
                print(f"{size / 1e6:.0f} MB\n\n| way | link | time | MB/s | sent |")
                print("|---|---|---|---|---|")
                every = ways(lab, Laptop(home, lab.ssh_config), file)
                for link in wish.link or LINKS:
                    show(link, measure(lab, every, link, wish.runs), size)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
