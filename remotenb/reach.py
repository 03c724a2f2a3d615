"""From a runtime file, or from what a start printed, to the ways that lead to a server. Pure.

Best first: a relay where the server runs reaches whatever listens there, and keeps its
connections when the link is cut; a forward of sshd's reaches what the box itself reaches.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from remotenb.engines.docker import JUPYTER_PORT, LABEL_NAME
from remotenb.model import Container, RuntimeFile
from remotenb.secret import Secret
from remotenb.server import ON_HOST, Endpoint, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.decision import StartContainer
    from remotenb.model import EngineChoice, Listening, Probe, Scan

ANY = "0.0.0.0"  # noqa: S104  compared with, never bound
LOOPBACK = "127.0.0.1"

ONLY_RELAY = "it listens on {what}, which no forward of sshd's reaches"


def candidates(
    probe: Probe,
    *,
    engine: EngineChoice,
    container: str | None = None,
    relay: bool = True,
) -> tuple[Found, ...]:
    """The servers that the runtime files speak of, each once; ``container`` narrows to one.

    Without ``relay`` only sshd's forwards are ways.
    """
    found: list[Found] = []
    if engine != "host":
        for one in probe.containers:
            if one.scan and (container is None or named(one, container)):
                found += [in_container(one, one.scan, f, relay=relay) for f in one.scan.files]
    if engine in {"auto", "host"} and container is None:
        found += [on_host(probe.host, f, relay=relay) for f in probe.host.files]
    return tuple(_each_once(found))


def named(container: Container, name: str) -> bool:
    """Whether ``name`` is the container's name or the start of its id (12 characters or more)."""
    return container.name == name or (len(name) >= 12 and container.id.startswith(name))  # noqa: PLR2004  docker's short id


def _each_once(found: list[Found]) -> Iterator[Found]:
    """One runtime file may be seen in several places: a mounted home, the host's network.

    Of those with the same address the one is kept whose process lives where it was seen;
    next a container's before the host's; next the newer one. The very same file, seen from
    where its process does not live, would only be asked for in vain.
    """

    def rank(one: Found) -> tuple[bool, bool, int]:
        return (one.file.alive, one.container is not None, one.file.modified)

    seen: set[object] = set()
    lives = {_wherever_seen(one.file) for one in found if one.file.alive}
    for one in sorted(found, key=rank, reverse=True):
        if not one.file.alive and _wherever_seen(one.file) in lives:
            continue
        home = one.container.id if one.container and not one.endpoints else None
        keys: set[object] = {
            (e.host, e.port, e.place, one.file.token, one.file.base_url) for e in one.endpoints
        } or {(home, one.file.port, one.file.sock, one.file.base_url)}
        if not keys & seen:
            yield one
        seen |= keys


def _wherever_seen(file: RuntimeFile) -> RuntimeFile:
    """The same for each place where one file is seen: its time, name and content."""
    return replace(file, path=PurePosixPath(file.path.name), alive=False)


def on_host(scan: Scan, file: RuntimeFile, *, place: str = ON_HOST, relay: bool = True) -> Found:
    """A server on the host itself, or in a container that shares the host's network."""
    listening = _at(scan, file)
    inside = _inside(place, scan, file) if relay else ()
    if file.sock:
        obstacle = "" if inside else ONLY_RELAY.format(what=f"the unix socket {file.sock}")
        return Found(file, None, inside, obstacle)
    exposed = _exposed_by(listening, file)
    return Found(file, None, (*inside, *_direct(listening, file)), exposed=exposed)


def in_container(
    container: Container, scan: Scan, file: RuntimeFile, *, relay: bool = True
) -> Found:
    """A server in a container: by a published port, else by the container's address."""
    if container.network == "host":
        return replace(on_host(scan, file, place=container.id, relay=relay), container=container)
    inside = _inside(container.id, scan, file) if relay else ()
    if file.sock:
        what = f"a unix socket of container {container.name}"
        return Found(file, container, inside, "" if inside else ONLY_RELAY.format(what=what))
    listening = _at(scan, file)
    if listening and all(one.loopback for one in listening):
        what = f"the own loopback of container {container.name}"
        return Found(file, container, inside, "" if inside else ONLY_RELAY.format(what=what))
    published = [p for p in container.published if p.container_port == file.port]
    ways = [Endpoint(_dialled(p.host_ip), p.host_port, file.secure) for p in published]
    ways += [Endpoint(address, file.port, file.secure) for address in container.addresses]
    ways = [*inside, *ways]
    obstacle = "" if ways else f"container {container.name} has no network that reaches the host"
    world = next((p for p in published if p.to_the_world), None)
    exposed = f"{world.host_ip or ANY}:{world.host_port}" if world else ""
    return Found(file, container, tuple(dict.fromkeys(ways)), obstacle, exposed)


def _inside(place: str, scan: Scan, file: RuntimeFile) -> tuple[Endpoint, ...]:
    """As a relay in the same place would dial it; it needs Python there."""
    if scan.python is None:
        return ()
    if file.sock:
        return (Endpoint(file.sock, 0, file.secure, place),)
    return tuple(replace(one, place=place) for one in _direct(_at(scan, file), file))


def _at(scan: Scan, file: RuntimeFile) -> list[Listening]:
    return [one for one in scan.listening if one.port == file.port]


def _direct(listening: list[Listening], file: RuntimeFile) -> tuple[Endpoint, ...]:
    """Where sshd can dial it on the host itself; loopback first, and when nothing is known."""
    hosts = [_dialled(one.address) for one in listening] or [LOOPBACK]
    hosts.sort(key=lambda host: host != LOOPBACK)
    return tuple(Endpoint(host, file.port, file.secure) for host in dict.fromkeys(hosts))


def _dialled(address: str) -> str:
    """The address to dial for one that is listened on."""
    return {"": LOOPBACK, ANY: LOOPBACK, "::": LOOPBACK}.get(address, address)


def _exposed_by(listening: list[Listening], file: RuntimeFile) -> str:
    wide = next((one for one in listening if not one.loopback), None)
    return f"{wide.address}:{file.port}" if wide else ""


def of_new(plan: StartContainer, facts: list[tuple[str, str]], *, relay: bool) -> Found:
    """The ways to a container just started: a relay in it, or a published port, its address."""
    told = {kind: rest for kind, _, rest in (record.partition(" ") for record, _ in facts)}
    ways: list[Endpoint] = []
    for record, _ in facts:
        match record.split(" "):
            case ["@port", port, host, number] if port == f"{JUPYTER_PORT}/tcp":
                ways.append(Endpoint(host, int(number)))
    if not ways and told.get("@address"):
        ways = [Endpoint(told["@address"], JUPYTER_PORT)]
    if relay:
        ways = [Endpoint(LOOPBACK, JUPYTER_PORT, place=told.get("@id", ""))]
    spec = plan.spec
    container = plan.existing or Container(
        id=told.get("@id", ""),
        name=spec.name,
        image=spec.image,
        image_id="",
        status="running",
        gpus=spec.gpu_names,
        labels={LABEL_NAME: spec.name},
        ownership="mine",
        owner=spec.owner,
        engine=spec.engine,
    )
    container = replace(container, id=told.get("@id", container.id))
    file = RuntimeFile(
        path=PurePosixPath(spec.state_dir, "rt"),
        pid=0,
        port=JUPYTER_PORT,
        token=Secret(told.get("@token", "")),
        base_url="/",
        root_dir=told.get("@workdir") or "/",
    )
    return Found(file, replace(container, status="running"), tuple(ways), "it has no network")


def of_started(container: Container | None, file: RuntimeFile, host: Scan, *, relay: bool) -> Found:
    """The ways to a server just started in a running container, or on the host."""
    if container is None or container.scan is None:
        return on_host(replace(host, listening=()), file, relay=relay)
    return in_container(container, replace(container.scan, listening=()), file, relay=relay)
