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


def measure(lab: Lab, way: Way, link: str, runs: int) -> tuple[float, int]:
    """Seconds and bytes on the link, to a box without the image."""
    host, interface, rate = LINKS[link]
    seconds, sent = [], 0
    for _ in range(runs):
        forget(lab)
        lab.wire.set(rate=rate)
        before, start = wire_bytes(interface), time.perf_counter()
        way(host)
        seconds.append(time.perf_counter() - start)
        sent = wire_bytes(interface) - before
        lab.wire.reset()
    return statistics.median(seconds), sent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
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
                for link in LINKS:
                    for name, way in ways(lab, Laptop(home, lab.ssh_config), file).items():
                        took, sent = measure(lab, way, link, runs)
                        rate = f"{size / 1e6 / took:.0f} MB/s"
                        row = f"| {name} | {link} | {took:.1f} s | {rate} | {sent / 1e6:.0f} MB |"
                        print(row, flush=True)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
