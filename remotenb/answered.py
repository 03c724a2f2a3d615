"""What engines said when they were asked what is in them. Pure.

Nothing that comes back is believed to be well-formed.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from remotenb.engines.docker import LABEL_GPUS
from remotenb.images.reference import is_partial
from remotenb.model import Container, EngineState, Image, Ownership, Published, Scan
from remotenb.scan import parse_scan
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

logger = logging.getLogger(__name__)

EngineNamed = Literal["docker", "podman"]

_COMMANDS: tuple[tuple[str, EngineNamed, str], ...] = (
    ("docker", "docker", "docker"),
    ("sudo_docker", "docker", "sudo -n docker"),
    ("podman", "podman", "podman"),
    ("sudo_podman", "podman", "sudo -n podman"),
)
"""The probe's members, best first, and whose answer each is."""


@dataclass(frozen=True, slots=True)
class Output:
    """One command's end: code, stdout, stderr."""

    code: int = 127
    raw: bytes = b""
    err: str = ""

    @classmethod
    def of(cls, member: object) -> Output:
        """From a member of the probe's JSON; empty when it is nothing of the kind."""
        if not isinstance(member, dict):
            return cls()
        code = member.get("rc")
        return cls(
            code if isinstance(code, int) else 127,
            _decode(member.get("out")),
            plain(_decode(member.get("err"))).strip(),
        )

    @property
    def text(self) -> str:
        """What it printed."""
        return self.raw.decode("utf-8", "replace")

    def rows(self) -> Iterator[dict[str, Any]]:
        """One JSON object a line; lines that are not are left out."""
        for line in self.text.split("\n"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                yield row


@dataclass(frozen=True, slots=True)
class Answered:
    """One engine, and what is in it."""

    engine: EngineState
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()


def answered(members: Mapping[str, object], sudo: tuple[str, ...]) -> Iterator[Answered]:
    """The engines that answered, best first; ``sudo`` is how sudo was called."""
    refusals = _refusals(members)
    for member, name, _command in _COMMANDS:
        first = Output.of(members.get(member))
        if first.code != 0:
            continue
        within = members.get(f"in_{member}")
        inside = within if isinstance(within, dict) else {}
        outputs = {key: Output.of(one) for key, one in inside.items()}
        read = _docker if name == "docker" else _podman
        argv = (*sudo, name) if member.startswith("sudo_") else (name,)
        engine = read(EngineState(name, argv, refusals=refusals), first, outputs)
        yield Answered(
            engine,
            tuple(_containers(engine, outputs, _scans(inside))),
            tuple(_images(engine, outputs.get("images", Output()))),
        )


def in_use_first(engines: Iterable[Answered]) -> tuple[Answered, ...]:
    """As they came; but a user's own podman that has nothing stands behind root's that has."""

    def unused(one: Answered) -> bool:
        return one.engine.name == "podman" and not (one.images or one.containers)

    return tuple(sorted(engines, key=unused))


def nothing_answered(members: Mapping[str, object]) -> EngineState:
    """Why there is no engine."""
    return EngineState(None, refusals=_refusals(members))


def _refusals(members: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    said = [(c, Output.of(members[m])) for m, _, c in _COMMANDS if m in members]
    return tuple((command, _refusal(output)) for command, output in said if output.code != 0)


def _refusal(output: Output) -> str:
    absent = 127  # what a shell says of a command that is not there
    if output.code == absent:
        return "not found"
    return one_line(output.err) or f"exit code {output.code}"


def _docker(state: EngineState, version: Output, outputs: dict[str, Output]) -> EngineState:
    server = next(version.rows(), {}).get("Server")
    number = server.get("Version") if isinstance(server, dict) else None
    info = next(outputs.get("info", Output()).rows(), {})
    security = [str(option) for option in info.get("SecurityOptions") or ()]
    return replace(
        state,
        version=plain(str(number)) if number else None,
        rootless=any("name=rootless" in option for option in security),
        remaps=any("name=userns" in option for option in security),
        manifest_ids="io.containerd.snapshotter" in str(info.get("DriverStatus")),
        selinux=any("name=selinux" in option for option in security),
    )


def _podman(state: EngineState, about: Output, outputs: dict[str, Output]) -> EngineState:
    info = next(about.rows(), {})
    ids = info.get("Ids")
    uids = ids.get("uidmap") if isinstance(ids, dict) else None
    around = outputs.get("surroundings", Output()).text.splitlines()
    rootless = info.get("Rootless") is True
    lingers = not rootless or "systemd" not in around or "linger" in around
    inits = [line.removeprefix("init ") for line in around if line.startswith("init /")]
    return replace(
        state,
        version=plain(str(info.get("Version") or "")) or None,
        rootless=rootless,
        keeps_ids=rootless and isinstance(uids, list) and len(uids) > 1,
        keeps_groups=rootless and info.get("Runtime") == "crun",
        selinux=info.get("SELinux") is True,
        init=inits[0] if inits else None,
        freezes=not (rootless and info.get("Cgroups") == "v1"),
        after_logout=lingers,
        after_reboot=lingers and "restart" in around,
    )


def _scans(inside: Mapping[str, object]) -> dict[str, Scan]:
    scans = inside.get("scans")
    if not isinstance(scans, dict):
        return {}
    return {
        id_: parse_scan(output.raw)
        for id_, member in scans.items()
        if id_ and (output := Output.of(member)).code == 0
    }


def _containers(
    engine: EngineState, outputs: dict[str, Output], scans: dict[str, Scan]
) -> Iterator[Container]:
    owners = _owners(outputs.get("owners", Output()))
    devices = _devices(outputs.get("devices", Output()))
    for row in outputs.get("containers", Output()).rows():
        try:
            container = _container(row)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            logger.debug("a container described in a way that we do not know: %s", row)
            continue
        ownership, owner, evidence = owners.get(container.id, ("none", None, ""))
        yield replace(
            container,
            ownership=ownership,
            owner=owner,
            evidence=evidence,
            engine=engine,
            restarts=container.restarts and engine.after_reboot,
            gpus=container.gpus or devices.get(container.id),
            scan=scans.get(container.id),
        )


def _owners(output: Output) -> dict[str, tuple[Ownership, str | None, str]]:
    verdicts: dict[str, Ownership] = {"mine": "mine", "other": "other"}
    found: dict[str, tuple[Ownership, str | None, str]] = {}
    for line in output.text.splitlines():
        id_, verdict, user, why = (*plain(line).split("\t"), "", "", "", "")[:4]
        found[id_] = (verdicts.get(verdict, "none"), user or None, why)
    return found


def _devices(output: Output) -> dict[str, str]:
    """The GPUs that podman's containers were given: ``ID GPU``, a line each."""
    found: dict[str, str] = {}
    for line in output.text.splitlines():
        id_, _, gpu = plain(line).partition(" ")
        found[id_] = f"{found[id_]},{gpu}" if id_ in found else gpu
    return found


def _container(row: dict[str, Any]) -> Container:
    networks = row.get("Networks") or {}
    return Container(
        id=str(row["Id"]),
        name=plain(row["Name"]).removeprefix("/"),
        image=plain(row["Ref"]),
        image_id=_with_algorithm(str(row["Image"])),
        status=str(row["Status"]),
        network=str(row["NetworkMode"]),
        user=str(row["User"]) if "User" in row else None,
        restarts=row.get("Restart") not in {None, "", "no"},
        addresses=tuple(
            address
            for network in networks.values()
            for key in ("IPAddress", "GlobalIPv6Address")
            if (address := network.get(key))
        ),
        published=tuple(_published(row.get("Ports") or {})),
        labels=dict(row.get("Labels") or {}),
        gpus=_given_gpus(row),
    )


def _with_algorithm(id_: str) -> str:
    """Podman leaves the word before an image's id away, in some places."""
    return id_ if ":" in id_ or not id_ else f"sha256:{id_}"


def _published(ports: dict[str, Any]) -> Iterator[Published]:
    for port, bindings in ports.items():
        number, _, protocol = port.partition("/")
        for binding in bindings or () if protocol in {"tcp", ""} else ():
            yield Published(int(number), binding.get("HostIp", ""), int(binding["HostPort"]))


def _given_gpus(row: dict[str, Any]) -> str | None:
    for request in row.get("DeviceRequests") or ():
        ids = request.get("DeviceIDs")
        count = request.get("Count", 0)
        return ",".join(ids) if ids else "all" if count == -1 else str(count)
    named = (row.get("Labels") or {}).get(LABEL_GPUS)
    return str(named or "all") if row.get("Runtime") == "nvidia" else None


def _images(engine: EngineState, output: Output) -> Iterator[Image]:
    for row in output.rows():
        repository, tag = str(row.get("Repository", "")), str(row.get("Tag", ""))
        if repository and repository != "<none>":
            ref = plain(f"{repository}:{tag}" if tag != "<none>" else repository)
            id_ = _with_algorithm(str(row.get("ID", "")))
            if not is_partial(repository):
                yield Image(ref, id_, plain(str(row.get("Size", ""))), engine)


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(text) if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        return b""
