"""Files that containers left behind as root's, in folders that are the user's."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.engines.docker import bind_source
from remotenb.errors import MountMissing, NoImage, UsageError
from remotenb.spec import absolute
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.machine import Machine

FIND_TIMEOUT_S = 600.0
"""For millions of files on a disk that turns."""
IMAGES_TRIED = 5
"""Until one has a shell."""
NO_SHELL = 127
"""An engine's exit code for it."""


@dataclass(frozen=True, slots=True)
class RootsFiles:
    """What is root's in a folder of the user's."""

    folder: str
    count: int
    examples: tuple[str, ...]


def folders(machine: Machine) -> tuple[str, ...]:
    """The folders of the user's that their containers mount."""
    mine = [one for one in machine.containers if one.ownership == "mine"]
    mounts = '{{range .Mounts}}{{if eq .Type "bind"}}{{json .Source}}\n{{end}}{{end}}'
    sources: list[str] = []
    for engine in dict.fromkeys(one.engine for one in mine):
        held = [one for one in mine if one.engine == engine]
        ids = (one.id for one in held)
        sources += machine.run("inspect", "-f", mounts, *ids, of=held[0]).splitlines()
    found = {str(json.loads(source)) for source in sources if source}
    return tuple(sorted(one for one in found if _under(one, (machine.probe.home,))))


def folder(machine: Machine, path: str) -> str:
    """``path`` of the machine, links resolved; raises :class:`UsageError` if it is not theirs."""
    wanted = absolute(path, machine.probe.home)
    done = machine.link.script(
        'readlink -f -- "$1" && [ -d "$1" ] && readlink -f -- "$2"',
        wanted,
        machine.probe.home,
        timeout=20,
    )
    lines = done.out.decode("utf-8", "surrogateescape").splitlines()
    if done.code != 0 or len(lines) != 2:  # noqa: PLR2004  a name may have newlines in it
        raise MountMissing(f"there is no folder {one_line(wanted)}", hint="check the path")
    resolved, home = lines
    if not _under(resolved, (home, *folders(machine))):
        raise UsageError(
            f"{one_line(resolved)} is not in your home, nor a folder that your containers mount",
            hint="its owner or an administrator can do that",
        )
    return resolved


def count(machine: Machine, path: str) -> RootsFiles:
    """What of ``path`` (a result of :func:`folder`) is root's."""
    told = [said for one in _eyes(machine) if (said := _run(one, path, owner="")) is not None]
    if not told:
        raise _no_image(machine)
    counted, shown = 0, []
    for number, *examples in (said.splitlines() or ["0"] for said in told):
        counted += int(number) if number.isdigit() else 0
        shown += [plain(text).removeprefix("/folder").lstrip("/") or "." for text in examples]
    return RootsFiles(path, counted, tuple(shown))


def take_over(machine: Machine, path: str) -> None:
    """Give what is root's in ``path`` to the user, who is root where the engine is rootless."""
    for one in _eyes(machine):
        rootless = one.probe.engine.rootless
        _run(one, path, owner="0:0" if rootless else f"{one.probe.uid}:{one.probe.gid}")


def _eyes(machine: Machine) -> list[Machine]:
    """The machine by each kind of engine that has an image to look with.

    Root's see what is the real root's, and those without root what further users of their
    containers left: what is anybody's in the one is nobody's in the other.
    """
    kinds = {image.engine.rootless: image for image in reversed(machine.images)}
    return [machine.asking(image) for image in kinds.values()]


def _no_image(machine: Machine) -> NoImage:
    return NoImage(
        "there is no image with a shell on that machine to do it with",
        hint=f"remotenb pull {machine.host.name} busybox:1 fetches a small one",
    )


def _run(machine: Machine, path: str, *, owner: str) -> str | None:
    """What ``roots_files.sh`` says; None where no image of the engine's has a shell."""
    done = machine.link.script(
        far.source("roots_files.sh"),
        *_images(machine)[:IMAGES_TRIED],
        timeout=FIND_TIMEOUT_S,
        ENGINE=shlex.join(machine.engine),
        SOURCE=bind_source(path),
        REMAP="--userns=host" if machine.probe.engine.remaps else "",
        OWNER=owner,
        # rootless, it is further users of the container that leave files behind
        WHOSE="! -user 0 ! -user 65534" if machine.probe.engine.rootless else "-user 0",
    )
    if done.code == NO_SHELL:
        return None
    if done.code != 0:
        raise machine.complaint(done.err.decode("utf-8", "replace"))
    return done.out.decode("utf-8", "replace")


def _images(machine: Machine) -> list[str]:
    """Those of its engine, any with a shell will do; the ones that were run already first."""
    there = [one.ref for one in machine.images if one.engine == machine.probe.engine]
    used = [one.image for one in machine.containers if one.ownership == "mine"]
    wanted = dict.fromkeys([*used, machine.settings.image, *there])
    return [one for one in wanted if one in there]


def _under(path: str, folders: Sequence[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
