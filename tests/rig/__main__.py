"""Bring the machines up by hand: `python -m tests.rig up`, then `... shell gpubox`."""

import argparse
import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final, NoReturn

from . import images, newer, packages, registry, stale
from .failures import RigError
from .lab import Lab

_NOTE: Final = "pids.json"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="bring a laptop and a GPU box up, and hold them until Ctrl-C")
    shell = verbs.add_parser("shell", help="be on a machine of the `up` that runs")
    shell.add_argument("machine", choices=["laptop", "gpubox"])
    shell.add_argument("argv", nargs=argparse.REMAINDER, help="a command instead of a shell")
    verbs.add_parser("images", help="build the images that the cache lacks")
    verbs.add_parser("prepare", help="install the packages and build the images that are missing")
    wish = parser.parse_args()
    if wish.verb == "up":
        _up()
    elif wish.verb == "shell":
        _shell(wish.machine, wish.argv)
    elif wish.verb == "images":
        print("\n".join(images.build()))
    else:
        _prepare()


def _prepare() -> None:
    packages.install()
    if not packages.missing():
        print("rig: images (a first time takes minutes) …", flush=True)
        with TemporaryDirectory() as place:
            registry.prepare(Path(place), images.build())
        try:
            newer.prepare()
        except RigError as error:
            print(f"rig: {error}; the tests of containerd's image store are skipped", flush=True)


def _up() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Lab() as lab:
        enter = {"laptop": lab.in_laptop([]), "gpubox": lab.box.enter([])}
        note = lab.ssh_config.with_name(_NOTE)
        note.write_text(json.dumps(enter))
        print(f"ssh_config: {lab.ssh_config}")
        print("as the laptop: " + " ".join(lab.in_laptop(["ssh", "-F", str(lab.ssh_config)])))
        lab.registry.open_to(lab.box)
        within = f"SSL_CERT_FILE={lab.registry.certificate} {shlex.join(lab.registry.within())}"
        print(f"a registry, nvcr.io: at gpubox; as the laptop with: {within}")
        print("Ctrl-C takes it down", flush=True)
        Event().wait()


def _shell(machine: str, argv: list[str]) -> NoReturn:
    stale.reap()
    notes = sorted(stale.RUNS.glob(f"*/{_NOTE}"))
    if not notes:
        sys.exit("nothing is up: python -m tests.rig up")
    enter = json.loads(notes[-1].read_text())[machine]
    command = [*enter, *(argv or ["bash"])]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
