"""What is said to a machine to learn what is on it, and what its answer means.

One script, one exec, one JSON object; the object's members are the outputs of commands.
Nothing that comes back is believed to be well-formed.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from remotenb import far, sudo
from remotenb.engines.docker import LABEL_GPUS
from remotenb.errors import ScriptFailed
from remotenb.model import (
    Container,
    EngineState,
    Gpu,
    Image,
    Ownership,
    Probe,
    Published,
    Scan,
)
from remotenb.scan import parse_scan
from remotenb.ssh.link import SUDO
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.ssh.link import Link

logger = logging.getLogger(__name__)

GPU_COLUMNS = 6
"""What probe.sh asks nvidia-smi for."""

TIMEOUT_S = 45.0
"""For the whole probe; each command in it has a shorter end of its own."""


def probe(
    link: Link,
    *,
    engine: Literal["auto", "docker", "host"],
    wanted: str = "",
    enter: bool = True,
    relay_next: bool = False,
) -> Probe:
    """Ask the machine what is on it; ``wanted`` is a container to enter in any case.

    Without ``enter`` no container is entered, and no server is looked for. With ``relay_next``
    the session that a relay will be attached by is opened meanwhile.

    Raises :class:`ScriptFailed` when the answer makes no sense.
    """
    seen = _ask(link, engine=engine, wanted=wanted, enter=enter, relay_next=relay_next)
    serves = any(file.alive for file in seen.host.files)
    if serves or not sudo.may_help(seen.engine) or not sudo.open_door(link):
        return seen
    return _ask(link, engine=engine, wanted=wanted, enter=enter, relay_next=False)


def _ask(
    link: Link,
    *,
    engine: Literal["auto", "docker", "host"],
    wanted: str,
    enter: bool,
    relay_next: bool,
) -> Probe:
    done = link.script(
        far.source("probe.sh"),
        timeout=TIMEOUT_S,
        pipe_next=relay_next,
        ENGINE=engine,
        WANTED=wanted,
        SUDO=" ".join(link.sudo),
        SCAN=far.source("scan.sh") if enter else "",
    )
    logger.debug("probe stderr: %s", one_line(done.err))
    return parse(done.out, sudo=link.sudo)


def parse(answer: bytes, *, sudo: tuple[str, ...] = SUDO) -> Probe:
    """The probe's JSON as a :class:`Probe`; ``sudo`` is how sudo was called."""
    try:
        members = json.loads(answer)
        about = _Output.of(members["about"]).text.splitlines()
        user, uid, home, gid = about[0], int(about[1]), about[2], int(about[3])
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ScriptFailed(
            f"the machine's answer makes no sense ({one_line(str(error), 80)}): "
            f"{one_line(answer[-200:])}",
            hint="-vv shows all of it",
        ) from None
    outputs = {name: _Output.of(member) for name, member in members.items()}
    gpus, gpu_refusal = _gpus(outputs)
    engine = _engine(members.get("engine"), outputs, sudo)
    return Probe(
        user=plain(user),
        uid=uid,
        home=home,
        engine=engine,
        gid=gid,
        groups=tuple(one for one in _groups(about[4:]) if one[0] not in {gid, 0}),
        containers=tuple(_containers(engine, outputs, _scans(members))),
        images=tuple(_images(engine, outputs.get("images"))),
        gpus=gpus,
        gpu_refusal=gpu_refusal,
        gpu_toolkit=_toolkit(outputs),
        host=parse_scan(outputs["host_scan"].raw) if "host_scan" in outputs else Scan(),
    )


@dataclass(frozen=True, slots=True)
class _Output:
    """One command's end: code, stdout, stderr."""

    code: int
    raw: bytes
    err: str

    @classmethod
    def of(cls, member: object) -> _Output:
        """From a member of the probe's JSON; empty when it is nothing of the kind."""
        if not isinstance(member, dict):
            return cls(127, b"", "")
        code = member.get("rc")
        return cls(
            code if isinstance(code, int) else 127,
            _decode(member.get("out")),
            plain(_decode(member.get("err"))).strip(),
        )

    @property
    def text(self) -> str:
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


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(text) if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        return b""


def _groups(lines: list[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        number, _, name = line.partition(" ")
        if (gid := _number(number)) is not None:
            yield gid, plain(name)


_ENGINES = (("docker", "docker"), ("sudo_docker", "sudo -n docker"), ("podman", "podman"))


def _engine(answered: object, outputs: dict[str, _Output], sudo: tuple[str, ...]) -> EngineState:
    tried = [(member, command) for member, command in _ENGINES if member in outputs]
    refusals = tuple(
        (command, _refusal(outputs[m])) for m, command in tried if outputs[m].code != 0
    )
    member = next((m for m, _ in tried if m == answered and outputs[m].code == 0), None)
    if member is None:
        return EngineState(None, refusals=refusals)
    version = next(outputs[member].rows(), {})
    server = version.get("Server")
    number = server.get("Version") if isinstance(server, dict) else None
    info = next(outputs["info"].rows(), {}) if "info" in outputs else {}
    security = [str(option) for option in info.get("SecurityOptions") or ()]
    return EngineState(
        "docker",
        ("docker",) if member == "docker" else (*sudo, "docker"),
        str(number) if number else None,
        refusals,
        rootless=any("name=rootless" in option for option in security),
        remaps=any("name=userns" in option for option in security),
        selinux=any("name=selinux" in option for option in security),
    )


def _refusal(output: _Output) -> str:
    absent = 127  # what a shell says of a command that is not there
    if output.code == absent:
        return "not found"
    return one_line(output.err) or f"exit code {output.code}"


def _scans(members: dict[str, object]) -> dict[str, Scan]:
    scans = members.get("scans")
    if not isinstance(scans, dict):
        return {}
    return {
        id_: parse_scan(output.raw)
        for id_, member in scans.items()
        if id_ and (output := _Output.of(member)).code == 0
    }


def _containers(
    engine: EngineState, outputs: dict[str, _Output], scans: dict[str, Scan]
) -> Iterator[Container]:
    owners = _owners(outputs.get("owners"))
    for row in outputs["containers"].rows() if "containers" in outputs else ():
        try:
            container = _container(row)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            logger.debug("a container that docker describes in a way we do not know: %s", row)
            continue
        ownership, owner, evidence = owners.get(container.id, ("none", None, ""))
        yield replace(
            container,
            ownership=ownership,
            owner=owner,
            evidence=evidence,
            engine=engine,
            scan=scans.get(container.id),
        )


def _owners(output: _Output | None) -> dict[str, tuple[Ownership, str | None, str]]:
    verdicts: dict[str, Ownership] = {"mine": "mine", "other": "other"}
    found: dict[str, tuple[Ownership, str | None, str]] = {}
    for line in output.text.splitlines() if output else ():
        id_, verdict, user, why = (*plain(line).split("\t"), "", "", "", "")[:4]
        found[id_] = (verdicts.get(verdict, "none"), user or None, why)
    return found


def _container(row: dict[str, Any]) -> Container:
    networks = row.get("Networks") or {}
    return Container(
        id=str(row["Id"]),
        name=plain(row["Name"]).removeprefix("/"),
        image=plain(row["Ref"]),
        image_id=str(row["Image"]),
        status=str(row["Status"]),
        network=str(row["NetworkMode"]),
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


def _images(engine: EngineState, output: _Output | None) -> Iterator[Image]:
    for row in output.rows() if output else ():
        repository, tag = str(row.get("Repository", "")), str(row.get("Tag", ""))
        if repository and repository != "<none>":
            ref = plain(f"{repository}:{tag}" if tag != "<none>" else repository)
            yield Image(ref, str(row.get("ID", "")), plain(str(row.get("Size", ""))), engine)


def _gpus(outputs: dict[str, _Output]) -> tuple[tuple[Gpu, ...], str]:
    table = outputs.get("gpus")
    if table is None:
        return (), ""
    if table.code != 0:
        return (), one_line(table.err or table.text) or "nvidia-smi does not answer"
    processes = outputs["gpu_processes"].text if "gpu_processes" in outputs else ""
    busy = [row.split(",")[0].strip() for row in processes.splitlines()]
    rows = [[cell.strip() for cell in line.split(",")] for line in table.text.splitlines()]
    whole = [row for row in rows if len(row) == GPU_COLUMNS and _number(row[0]) is not None]
    return tuple(_gpu(row, busy) for row in whole), ""


def _gpu(row: list[str], busy: list[str]) -> Gpu:
    total, used, load = (_number(cell) or 0 for cell in row[3:])  # "[N/A]" on some cards
    return Gpu(int(row[0]), row[1], plain(row[2]), total, used, load, busy.count(row[1]))


def _number(cell: str) -> int | None:
    """A cell of digits and nothing else."""
    return int(cell) if re.fullmatch(r"[0-9]{1,9}", cell) else None


def _toolkit(outputs: dict[str, _Output]) -> bool:
    info = next(outputs["info"].rows(), {}) if "info" in outputs else {}
    runtimes = info.get("Runtimes")
    has_runtime = isinstance(runtimes, dict) and "nvidia" in runtimes
    return has_runtime or bool(outputs["toolkit"].text.strip()) if "toolkit" in outputs else False
