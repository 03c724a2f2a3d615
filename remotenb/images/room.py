"""What a machine has, as far as an image is concerned: its processor, free disk, and layers."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.errors import DiskFull
from remotenb.registry.manifests import Platform, parse_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.decision import ContainerSpec
    from remotenb.machine import Machine
    from remotenb.registry.manifests import Descriptor, Manifest
    from remotenb.ssh.link import Link

ROOM_TIMEOUT_S = 30.0
UNPACKED = 2.5
"""How much more an image's layers need once they are unpacked; an estimate."""


@dataclass(frozen=True, slots=True)
class Room:
    """The machine, as far as an image is concerned."""

    platform: Platform
    free: int | None
    """Bytes; None if unknown."""
    images: tuple[tuple[str, ...], ...]
    """The unpacked layers of each image that is there, by their digests."""
    engine: str = "docker"

    def missing(self, manifest: Manifest, config: bytes) -> tuple[Descriptor, ...]:
        """The layers that are to be fetched: those behind the longest beginning that is there."""
        _, diff_ids = parse_config(config)
        there = max((_common(image, diff_ids) for image in self.images), default=0)
        return manifest.layers[there:]

    def fits(self, need: int) -> bool:
        """Whether so many packed bytes surely fit; raises :class:`DiskFull` if they cannot."""
        if self.free is None:
            return True
        if need > self.free:
            raise DiskFull(
                f"the image has {need / 1e9:.1f} GB packed, and {self.free / 1e9:.1f} GB are free",
                hint=f"make room: {self.engine} system df shows what fills it; "
                "remotenb rmi removes images",
            )
        return need * (1 + UNPACKED) <= self.free


def room(machine: Machine) -> Room:
    """Ask the machine what it has."""
    script = far.source("room.sh")
    done = machine.link.script(script, timeout=ROOM_TIMEOUT_S, ENGINE=shlex.join(machine.engine))
    name, free, *images = [*done.out.decode("utf-8", "replace").splitlines(), "", ""]
    return Room(
        Platform.of_machine(name.strip()),
        int(free) << 10 if free.isascii() and free.isdigit() else None,
        tuple(tuple(line.split()) for line in images if line),
        machine.probe.engine.name or "docker",
    )


def check_copy(link: Link, spec: ContainerSpec, warn: Callable[[str, str, str], None]) -> None:
    """Say that the engine is about to copy the image, if it is.

    podman without root cannot map owners where it mounts an image: it copies it for each mapping.
    Raises :class:`DiskFull` where that does not fit.
    """
    if not spec.copies_image:
        return
    done = link.script(
        far.source("copy_ahead.sh"),
        timeout=ROOM_TIMEOUT_S,
        ENGINE=shlex.join(spec.engine.argv),
        IMAGE=spec.image,
    )
    need, free = (*done.out.decode("ascii", "replace").split(), "", "")[:2]
    if not need.isdecimal():
        return
    without = 'container_user = "image" in the config does without: root inside, who is you outside'
    if free.isdecimal() and int(free) << 10 < int(need):
        raise DiskFull(
            f"{spec.engine.name} copies the image before it first runs as you: that takes "
            f"{int(need) / 1e9:.1f} GB, and {int(free) * 1024 / 1e9:.1f} GB are free",
            hint=f"make room: {spec.engine.name} system df shows what fills it; or {without}",
        )
    warn(
        "copies_image",
        f"{spec.engine.name} copies the image before it first runs as you: "
        f"{int(need) / 1e9:.1f} GB more in your home there, and a while",
        without,
    )


def _common(image: tuple[str, ...], wanted: tuple[str, ...]) -> int:
    """How many layers both begin with."""
    pairs = zip(image, wanted, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(image), len(wanted)))
