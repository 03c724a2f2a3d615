"""What to do: a probe and the verified servers in, a plan out. Pure.

The order in which good servers are preferred, which is also what the docs say:
the container that remotenb would start for this host; one of the wanted image; the user's
own containers; containers nobody's name is on; the host. Among equals the newest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remotenb.decision import Plan, Refuse, Reuse, StartContainer, StartServer
from remotenb.engines.docker import LABEL_NAME, notebook_of_ours
from remotenb.errors import (
    ContainerMissing,
    ContainerNotRunning,
    FarSideError,
    JupyterMissing,
    NameTaken,
    ServerOpen,
    ServerUnreachable,
    UsageError,
)
from remotenb.reach import named
from remotenb.required import absent, image_id, named_in_full, require_engine, require_image
from remotenb.spec import container_name, container_spec, of_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remotenb.model import Container, Probe
    from remotenb.server import Found, Server
    from remotenb.settings import Settings
    from remotenb.spec import Wish


def decide(probe: Probe, servers: Iterable[Server], found: Iterable[Found], wish: Wish) -> Plan:
    """The next step; ``servers`` were verified, ``found`` is all that the files spoke of."""
    wish = named_in_full(probe, wish)
    settings = wish.settings
    try:
        if settings.container:
            return _in_named_container(probe, tuple(servers), tuple(found), wish)
        wanted_id = image_id(probe, settings.image)
        good = [s for s in servers if not wish.new and _wanted(s, wish, wanted_id)]
        good = _closed_ones(good, wish)
        if good:
            best = min(good, key=lambda s: _preference(s, probe, wish, wanted_id))
            return Reuse(best, others=len(good) - 1)
        if settings.engine == "host" or _only_host(probe, settings):
            _reject_unreachable(found, wish, wanted_id)
            return _on_host(probe, settings.environment)
        require_engine(probe)
        _reject_unreachable(found, wish, wanted_id)
        return _start(probe, wish, wanted_id)
    except (FarSideError, UsageError) as error:
        return Refuse(error)


def _in_named_container(
    probe: Probe, servers: tuple[Server, ...], found: tuple[Found, ...], wish: Wish
) -> Plan:
    name = wish.settings.container or ""
    if wish.settings.engine == "host":
        raise UsageError(f"container {name} is not on the host itself", hint="leave out --engine")
    require_engine(probe)
    container = next((c for c in probe.containers if named(c, name)), None)
    if container is None:
        running = ", ".join(c.name for c in probe.containers if c.running) or "none"
        raise ContainerMissing(f"there is no container {name}", hint=f"running are: {running}")
    if not container.running:
        start = " ".join((*container.engine.argv, "start", container.name))
        raise ContainerNotRunning(
            f"container {container.name} is {container.status}",
            hint=f"start it on the server: {start}",
        )
    if wish.new:
        return _server_in(container, wish)
    its_own = [s for s in servers if s.container and s.container.id == container.id]
    its_own = _closed_ones(its_own, wish)
    if its_own:
        best = max(its_own, key=lambda s: (s.started or "", s.kernels))
        return Reuse(best, others=len(its_own) - 1)
    for one in found:
        if one.obstacle and one.file.alive:
            raise _unreachable(one)
    return _server_in(container, wish)


def _server_in(container: Container, wish: Wish) -> StartServer:
    if container.network == "none":
        raise ServerUnreachable(
            f"container {container.name} has no network, so nothing reaches a server in it",
            hint="start it again with a network",
        )
    bare = container.scan and container.scan.jupyter is None
    if bare and not wish.settings.install_jupyter:
        raise JupyterMissing(
            f"there is no Jupyter in container {container.name}",
            hint="--install-jupyter puts it there",
        )
    return StartServer(container)


def _closed_ones(servers: list[Server], wish: Wish) -> list[Server]:
    """Those that do not let everybody in; open ones only where that was allowed."""
    if wish.settings.allow_open:
        return servers
    closed = [server for server in servers if server.access != "open"]
    if servers and not closed:
        where = f"in container {servers[0].container.name}" if servers[0].container else "there"
        raise ServerOpen(
            f"the Jupyter {where} has no token: whoever reaches its port runs code as its user",
            hint="start it again without token='', or start another with --new; "
            "--allow-open takes it as it is",
        )
    return closed


def _wanted(server: Server, wish: Wish, wanted_id: str | None) -> bool:
    if wish.settings.engine in {"docker", "podman"} and server.container is None:
        return False
    return not wish.image_demanded or of_image(server.container, wish.settings.image, wanted_id)


def _preference(
    server: Server, probe: Probe, wish: Wish, wanted_id: str | None
) -> tuple[int, float, int]:
    container = server.container
    if container is None:
        place = 4
    elif container.labels.get(LABEL_NAME) == container_name(probe, wish):
        place = 0
    elif of_image(container, wish.settings.image, wanted_id):
        place = 1
    else:
        place = 2 if container.ownership == "mine" else 3
    return place, -_moment(server.started), -server.kernels


def _moment(started: str | None) -> float:
    """Sorts RFC 3339 UTC times; 0.0 for none."""
    return float(re.sub(r"\D", "", started or "")[:14] or 0)


def _only_host(probe: Probe, settings: Settings) -> bool:
    """No image is wanted, no docker installed, and there is a Jupyter to start without one."""
    no_docker = absent(dict(probe.engine.refusals).get("docker"))
    free = settings.engine == "auto" and settings.image is None
    return free and no_docker and probe.engine.name is None and probe.host.jupyter is not None


def _reject_unreachable(found: Iterable[Found], wish: Wish, wanted_id: str | None) -> None:
    """A server that runs but cannot be reached must be said before a second one is started."""
    for one in found:
        mine = one.container is None or one.container.ownership != "other"
        wanted = not wish.image_demanded or of_image(one.container, wish.settings.image, wanted_id)
        if one.obstacle and one.file.alive and mine and wanted and not wish.new:
            raise _unreachable(one)


def _unreachable(found: Found) -> ServerUnreachable:
    where = f"in container {found.container.name}" if found.container else "there"
    cure = "start it with --ip 0.0.0.0 in a container of its own network"
    if found.endpoints:
        cure = "the machine may be overloaded, or the process stopped: try again"
    return ServerUnreachable(
        f"a Jupyter runs {where}, but {found.obstacle}",
        hint=f"{cure}, or let remotenb start another: --new",
    )


def _on_host(probe: Probe, environment: str | None) -> Plan:
    entered = probe.host.environment
    if environment and entered is None:
        raise JupyterMissing(
            f"there is no Python environment {environment} on that machine",
            hint="say in the config where its folder is: the one that has bin/python in it",
        )
    if environment and probe.host.jupyter is None:
        raise JupyterMissing(
            f"there is no Jupyter in the environment {entered}",
            hint=f"on that machine: {entered}/bin/python -m pip install jupyterlab",
        )
    if probe.host.jupyter is None:
        raise JupyterMissing(
            "there is no jupyter command on that machine",
            hint="pip install --user jupyterlab, or put it on the PATH of non-interactive logins",
        )
    return StartServer(None)


def _start(probe: Probe, wish: Wish, wanted_id: str | None) -> Plan:
    settings = wish.settings
    ours = _ours(probe, wish, wanted_id)
    if ours is not None:
        return StartContainer(container_spec(probe, wish, ours), ours)
    if settings.image is None:
        require_image(probe, None)
    own = [
        c
        for c in probe.containers
        if c.running
        and c.ownership == "mine"
        and of_image(c, settings.image, wanted_id)
        and LABEL_NAME not in c.labels
        and c.scan
        and c.scan.jupyter
        and c.network != "none"
    ]
    if len(own) == 1 and not wish.new:
        return StartServer(own[0])
    require_image(probe, settings.image)
    return _start_container(probe, wish)


def _ours(probe: Probe, wish: Wish, wanted_id: str | None) -> Container | None:
    """A container that we started before: about to be ready, or stopped meanwhile."""
    if wish.new:
        return None
    ours = [
        c
        for c in probe.containers
        if notebook_of_ours(c)
        and c.ownership == "mine"
        and (wish.settings.image is None or of_image(c, wish.settings.image, wanted_id))
    ]
    running = [c for c in ours if c.running]
    if running:
        return running[0]
    usual = [c for c in ours if c.name == container_name(probe, wish)]
    return next(iter(usual or (ours if len(ours) == 1 else ())), None)


def _start_container(probe: Probe, wish: Wish) -> StartContainer:
    spec = container_spec(probe, wish)
    same_engine = [c for c in probe.containers if c.engine.argv == spec.engine.argv]
    existing = next((c for c in same_engine if c.name == spec.name), None)
    if existing is not None:
        whose = f"of {existing.owner}" if existing.ownership == "other" else "not remotenb's"
        raise NameTaken(
            f"the name {spec.name} is taken by a container that is {whose}",
            hint="choose another with container_name in the config, or start one more with --new",
        )
    return StartContainer(spec)
