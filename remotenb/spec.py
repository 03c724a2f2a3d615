"""The container to start: its name, its folders, its GPUs. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from remotenb.decision import ContainerSpec, Identity
from remotenb.engines.complaints import NO_CDI
from remotenb.engines.docker import state_dir
from remotenb.errors import GpuUnavailable, UsageError
from remotenb.settings import GpuRequest, Settings, parse_gpus, record

if TYPE_CHECKING:
    from remotenb.model import Container, EngineState, Gpu, Image, Probe


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    settings: Settings
    new: bool = False
    image_demanded: bool = False
    """The image stands on the command line: no other image's server will do."""
    recreate: bool = False
    """The container that is there is to be made again."""
    agreed: bool = False
    """Whatever that costs."""
    for_new: tuple[str, ...] = ()
    """Options of the command line that say something of a new container alone."""

    def with_image(self, image: str) -> Wish:
        """The same wish, with an image that a person chose."""
        return replace(self, settings=msgspec.structs.replace(self.settings, image=image))


def container_name(probe: Probe, wish: Wish) -> str:
    """The name of the container for this user, host and image: the same each time."""
    if wish.settings.container_name:
        base = wish.settings.container_name
    else:
        who = re.sub(r"[^a-zA-Z0-9_.-]", "-", probe.user) or "user"
        image = wish.settings.image or ""
        base = f"remotenb-{who}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"
    if not wish.new:
        return base
    taken = {c.name for c in probe.containers}
    return next(name for n in range(2, 10_000) if (name := f"{base}-{n}") not in taken)


def maker(probe: Probe, image: str | None) -> EngineState:
    """The engine that a new container is made with; of podmans the one that has the image."""
    podmans = [one for one in probe.engines if one.name == "podman"]
    if probe.engine not in podmans:
        return probe.engine
    having = [one.engine.argv for one in probe.images if same_image(one, image)]
    return next((one for one in podmans if one.argv in having), probe.engine)


def same_image(image: Image, wanted: str | None) -> bool:
    """Whether ``wanted`` means that image: its name, with or without the registry, or its id."""
    if wanted is None:
        return False
    bare = wanted.removeprefix("sha256:")
    return (
        wanted == image.id
        or short_ref(image.ref) in {short_ref(wanted), f"{short_ref(wanted)}:latest"}
        or (len(bare) >= 12 and image.id.removeprefix("sha256:").startswith(bare))  # noqa: PLR2004  docker's short id
    )


def of_image(container: Container | None, image: str | None, wanted_id: str | None) -> bool:
    """Whether it was made of ``image``, whose id is ``wanted_id`` there."""
    if container is None or image is None:
        return False
    return short_ref(container.image) == short_ref(image) or (
        wanted_id is not None and container.image_id == wanted_id
    )


def short_ref(ref: str) -> str:
    """An image's name without what docker leaves away and podman says."""
    return re.sub(r"^(docker\.io/library|docker\.io|localhost)/", "", ref)


def container_spec(probe: Probe, wish: Wish, existing: Container | None = None) -> ContainerSpec:
    """The container to start, with paths and GPUs of this box; ``existing`` has them already."""
    settings = wish.settings
    name = existing.name if existing else container_name(probe, wish)
    engine = existing.engine if existing else maker(probe, settings.image)
    return ContainerSpec(
        name=name,
        image=existing.image if existing else settings.image or "",
        gpus=existing.gpus if existing else choose_gpus(parse_gpus(settings.gpus), probe, engine),
        mounts=tuple(
            replace(one, source=absolute(one.source, probe.home)) for one in settings.mounts()
        ),
        env=tuple(settings.env.items()),
        ipc=settings.ipc,
        shm_size=settings.shm_size,
        ulimits=tuple(settings.ulimits),
        run_args=tuple(settings.run_args),
        owner=probe.user,
        engine=engine,
        state_dir=state_dir(probe.home, name),
        root_dir=None if existing else _inside(settings.root_dir),
        identity=(who := identity(probe, settings, engine)),
        host_uids=who is not None and engine.remaps,
        gpus_chosen=not existing and parse_gpus(settings.gpus).kind == "auto",
        runtime=settings.runtime,
        network=settings.network,
        ports=settings.published(),
        settings="" if existing else record(settings),
        unconfined=engine.selinux and not any(m.relabel for m in settings.mounts()),
    )


def _inside(root_dir: str | None) -> str | None:
    """``root_dir`` in a container, where no home is yet to begin a relative one at."""
    if root_dir and not root_dir.startswith("/"):
        raise UsageError(
            f"root_dir in a container begins with /, this does not: {root_dir}",
            hint="name the folder as the container sees it, like /workspace",
        )
    return root_dir


def identity(probe: Probe, settings: Settings, engine: EngineState) -> Identity | None:
    """Who a new container runs as: the user, so that files in mounted folders are theirs.

    None where the image's own user does that already: root in a rootless engine that cannot
    let the user be the same inside, or root's own login.
    """
    root_is_user = probe.uid == 0 or (engine.rootless and not engine.keeps_ids)
    if settings.container_user != "me" or root_is_user:
        return None
    return Identity(
        _plain_name(probe.user, probe.uid),
        probe.uid,
        probe.gid,
        tuple((gid, _plain_name(name, gid)) for gid, name in probe.groups),
    )


def _plain_name(name: str, number: int) -> str:
    r"""A name for /etc/passwd: a directory service's may be ``AD\alice`` or ``domain users``."""
    return (
        re.sub(r"[^a-z0-9_.-]+", "-", name.rpartition("\\")[2].lower()).strip("-.") or f"u{number}"
    )


def absolute(path: str, home: str) -> str:
    """A path of the server: ``~`` and relative ones start at the home there."""
    if path == "~" or path.startswith("~/"):
        path = path[1:].lstrip("/")
    return str(PurePosixPath(home, path))


def choose_gpus(request: GpuRequest, probe: Probe, engine: EngineState | None = None) -> str | None:
    """Docker's own argument for ``--gpus``; None for no GPU. ``engine`` will give them.

    Raises :class:`GpuUnavailable` when what was asked for is not there.
    """
    chosen = _chosen(request, probe)
    if chosen is None or (engine or probe.engine).name != "podman":
        return chosen
    if not probe.cdi:
        raise GpuUnavailable("podman cannot give a container the GPUs there: no CDI", hint=NO_CDI)
    for gpu in probe.gpus:  # by UUID only newer toolkits describe them
        chosen = chosen.replace(gpu.uuid, str(gpu.index))
    return chosen


def _chosen(request: GpuRequest, probe: Probe) -> str | None:
    match request.kind:
        case "none":
            return None
        case "all":
            return "all"
        case "these":
            return _devices(_checked(request.names, probe))
        case "auto":
            return _idle(request.count, probe)


def _idle(count: int | None, probe: Probe) -> str | None:
    if not probe.gpus and count is None and not probe.gpu_refusal:
        return None
    idle = [gpu for gpu in probe.gpus if gpu.idle]
    free = [gpu for gpu in idle if not _held(gpu, probe)]
    idle = free if free and count is None else sorted(idle, key=lambda gpu: gpu not in free)
    wanted = len(idle) if count is None else count
    if not idle or wanted > len(idle):
        busy = _busy(probe)
        why = f": {busy}" if busy else f", and {wanted} are wanted"
        raise GpuUnavailable(
            probe.gpu_refusal or f"{len(idle)} of {len(probe.gpus)} GPUs are idle{why}",
            hint="wait, share one by its index (--gpus 0), or do without: --gpus none",
        )
    return _devices([str(gpu.index) for gpu in idle[:wanted]])


def _held(gpu: Gpu, probe: Probe) -> bool:
    """Whether a container has it that may begin to compute at any time."""
    given = [(c.gpus or "").split(",") for c in probe.containers if c.running or c.about_to_run]
    return any({"all", str(gpu.index), gpu.uuid} & set(names) for names in given)


def _checked(names: tuple[str, ...], probe: Probe) -> list[str]:
    there = {str(gpu.index) for gpu in probe.gpus} | {gpu.uuid for gpu in probe.gpus}
    for name in names:
        if name not in there and not name.startswith("MIG-"):
            raise GpuUnavailable(
                f"there is no GPU {name} on that machine",
                hint=probe.gpu_refusal or f"there are: {_there(name, probe)}",
            )
    return list(names)


def _there(name: str, probe: Probe) -> str:
    """What might have been said instead of ``name``."""
    by_uuid = not name.isdigit()
    shown = (f"{g.uuid if by_uuid else g.index} ({g.name})" for g in probe.gpus)
    return ", ".join(shown) or "none, or no nvidia-smi that would tell"


def _devices(names: list[str]) -> str:
    """Docker reads this as CSV, so that more than one needs quotes of its own."""
    return f"device={names[0]}" if len(names) == 1 else f'"device={",".join(names)}"'


def _busy(probe: Probe) -> str:
    return ", ".join(
        f"GPU {g.index} has {g.memory_used} MiB in use" for g in probe.gpus if not g.idle
    )
