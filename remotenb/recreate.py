"""A container of ours made again in its own place: its name, folders, options and notebook stay.

What it wrote outside its volumes does not, nor do its kernels: that is shown and agreed to first.
The old one is set aside until the new one is ready; whatever fails gives it its place back.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from remotenb.decision import StartContainer
from remotenb.engines.docker import notebook_of_ours, state_dir
from remotenb.errors import ContainerMissing, FarSideError, RemotenbError, UsageError
from remotenb.images import commit
from remotenb.machine import ENGINE_TIMEOUT_S
from remotenb.required import image_id, named_in_full, require_image
from remotenb.settings import parse_volume, recorded
from remotenb.spec import container_spec, of_image
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.images.commit import Changes, Folder
    from remotenb.laptop.credentials import Asker
    from remotenb.machine import Machine
    from remotenb.model import Container, Gpu, Probe
    from remotenb.spec import Wish

SHOWN = 3
SUFFIX = "-before"
"""Of the old one's name, while the new one is made."""

_SET_ASIDE = '$ENGINE rename "$1" "$2" && $ENGINE stop -t 10 "$1" >/dev/null'
_PUT_BACK = """
set -- "$@" --filter "name=^/?$2\\$" --filter "label=remotenb.name=$2"
for one in $(shift 2 && $ENGINE ps -aq --no-trunc "$@"); do
    [ "$one" = "$1" ] || $ENGINE rm -f "$one" >/dev/null
done
$ENGINE inspect "$2" >/dev/null 2>&1 || $ENGINE rename "$1" "$2" || exit
[ -z "$RAN" ] || $ENGINE start "$1" >/dev/null
"""
_REMOVE = '$ENGINE rm -f "$1" >/dev/null'


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be made again."""

    old: Container
    wish: Wish
    """What it was made by, and what was said otherwise."""

    def plan(self, probe: Probe) -> StartContainer:
        """How, on a machine that is like this; raises a :class:`RemotenbError`."""
        probe = replace(probe, engine=self.old.engine)
        require_image(probe, self.wish.settings.image)
        return StartContainer(container_spec(probe, self.wish), again=True)


@contextmanager
def in_its_place(machine: Machine, wish: Wish, person: Asker | None) -> Iterator[Again]:
    """Set the container of ``wish`` aside, for another in its place.

    With the end of the context it goes for good, or comes back if that was an error. Raises a
    :class:`RemotenbError` before anything is changed: for what cannot be made again, and where
    nobody agreed to what would be lost.
    """
    old = _meant(machine, wish)
    again = Again(old, _as_it_was(machine, wish, old))
    again.plan(_without(machine.probe, old))
    if not wish.agreed:
        _agree(machine, old, person)
    with _aside(machine, old):
        yield again


def _meant(machine: Machine, wish: Wish) -> Container:
    """The one that was named, or the only notebook of ours; that runs, if there are several."""
    wish, host = named_in_full(machine.probe, wish), machine.host.name
    name, image = wish.settings.container, wish.settings.image
    if name:
        one = machine.container(name)
        if not notebook_of_ours(one) or one.ownership != "mine":
            raise UsageError(
                f"container {one.name} was not made by remotenb connect",
                hint="nothing tells how to make it again; --new starts one more",
            )
        return one
    wanted = image_id(machine.probe, image) if wish.image_demanded else None
    ours = [
        one
        for one in machine.containers
        if notebook_of_ours(one)
        and one.ownership == "mine"
        and (not wish.image_demanded or of_image(one, image, wanted))
    ]
    ours = [one for one in ours if one.running] or ours
    if not ours:
        raise ContainerMissing(
            f"remotenb has made no container for you on {host} that could be made again",
            hint=f"remotenb connect {host}, without --recreate, makes one",
        )
    if len(ours) > 1:
        names = ", ".join(one.name for one in ours)
        raise UsageError(f"which container? You have {names}", hint="name one with --container")
    return ours[0]


def _as_it_was(machine: Machine, wish: Wish, old: Container) -> Wish:
    """What ``old`` was made by, but for what ``wish`` says of a new container."""
    file = f"{state_dir(machine.probe.home, old.name)}.json"
    done = machine.link.script('head -c 262144 "$1"', file, timeout=20)
    before = recorded(done.out, wish.settings)
    if before is None:
        raise FarSideError(
            f"nothing tells how container {old.name} was made: there is no {file} that can be read",
            hint=f"remotenb rm -f {machine.host.name} {old.name}, then connect, makes a new one",
        )
    volumes = before.volumes
    if "--volume" in wish.for_new:
        there = {mount.target for mount in wish.settings.mounts()}
        kept = (one for one in volumes if parse_volume(one).target not in there)
        volumes = (*kept, *wish.settings.volumes)
    gpus = wish.settings.gpus if "--gpus" in wish.for_new else old.gpus or "none"
    settings = msgspec.structs.replace(
        before, container_name=old.name, image=old.image, gpus=gpus, volumes=volumes
    )
    return replace(wish, settings=settings)


def _without(probe: Probe, old: Container) -> Probe:
    """As it will be once ``old`` has stopped: what it had of the GPUs is free."""
    had = set((old.gpus or "").split(","))

    def freed(gpu: Gpu) -> Gpu:
        its = had & {"all", str(gpu.index), gpu.uuid}
        return replace(gpu, memory_used=0, utilization=0, processes=0) if its else gpu

    rest = tuple(one for one in probe.containers if one.id != old.id)
    return replace(probe, containers=rest, gpus=tuple(map(freed, probe.gpus)))


def _agree(machine: Machine, old: Container, person: Asker | None) -> None:
    """Raise :class:`UsageError` where something would be lost, and nobody says that it may."""
    with machine.report.step(f"looking at what is in {old.name} alone"):
        changes = commit.look(machine, old)
        busy = commit.busy_kernels(machine, old) if old.running else 0
    losses = [*_kernels(busy), *_files(changes, old)]
    if not losses:
        return
    said = f"container {old.name} would lose {' and '.join(losses)}"
    if person and person.agree(f"{said}. Make it again all the same (yes/no)? "):
        return
    keep = f"remotenb commit {machine.host.name} NAME:TAG keeps the files in an image; "
    raise UsageError(
        f"{said}; nothing was changed", hint=(keep if changes.size else "") + "--yes does it anyway"
    )


def _kernels(busy: int | None) -> Iterator[str]:
    if busy is None:
        yield "kernels that do not tell whether they are busy"
    elif busy:
        yield f"{busy} busy kernel{'s' if busy > 1 else ''}"


def _files(changes: Changes, old: Container) -> Iterator[str]:
    """What was written outside the volumes, but no histories and caches."""
    folders = [one for one in changes.folders if not (old.user and _names_alone(one))]
    if folders:
        shown = ", ".join(f"{plain(one.path)} ({_shown(one.size)})" for one in folders[:SHOWN])
        more = len(folders) - SHOWN
        yield f"what was written in {shown}" + (f" and {more} more folders" if more > 0 else "")
    elif changes.size and not old.running:  # then nobody can tell where
        yield f"{_shown(changes.size)} that it wrote outside its volumes"


def _names_alone(folder: Folder) -> bool:
    """Whether it has passwd and group, which tell the user's name there, and nothing else."""
    return folder.path == "/etc" and folder.files <= 2  # noqa: PLR2004  those two


def _shown(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{max(size >> 10, 1)} KiB"


@contextmanager
def _aside(machine: Machine, old: Container) -> Iterator[None]:
    """Its name is free meanwhile; at the end it is removed, or back in its place on any failure."""
    aside = f"{old.name}{SUFFIX}"
    try:
        with machine.report.step(f"setting {old.name} aside"):
            _said_to(machine, old, _SET_ASIDE, aside)
        yield
    except BaseException:
        try:
            _said_to(machine, old, _PUT_BACK, old.name)
        except RemotenbError as error:
            machine.report.warning(
                "set_aside",
                f"container {old.name} could not be put back: {error.message}",
                f"it is {aside} or {old.name}, and nothing of it is lost: "
                f"remotenb ps {machine.host.name} --all",
            )
        raise
    _said_to(machine, old, _REMOVE, aside)


def _said_to(machine: Machine, old: Container, script: str, name: str) -> None:
    done = machine.link.script(
        script,
        old.id,
        name,
        timeout=ENGINE_TIMEOUT_S,
        ENGINE=shlex.join(old.engine.argv),
        RAN="yes" if old.running else "",
    )
    if done.code != 0:
        raise machine.complaint(done.err.decode("utf-8", "replace"), old)
