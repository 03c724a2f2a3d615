"""What is said to a machine to learn what is on it, and what its answer means.

One script, one exec, one JSON object; the object's members are the outputs of commands.
Nothing that comes back is believed to be well-formed.
"""

from __future__ import annotations

import json
import logging
import re
from functools import partial
from typing import TYPE_CHECKING

from remotenb import far, sudo
from remotenb.answered import Output, answered, in_use_first, nothing_answered
from remotenb.engines.host import entering
from remotenb.errors import ScriptFailed
from remotenb.model import Gpu, Probe, Scan
from remotenb.scan import parse_scan
from remotenb.ssh.link import SUDO
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.model import EngineChoice
    from remotenb.ssh.link import Link

logger = logging.getLogger(__name__)

GPU_COLUMNS = 6
"""What probe.sh asks nvidia-smi for."""

TIMEOUT_S = 45.0
"""For the whole probe; each command in it has a shorter end of its own."""


def probe(  # noqa: PLR0913  all but the link by name
    link: Link,
    *,
    engine: EngineChoice,
    wanted: str = "",
    enter: bool = True,
    relay_next: bool = False,
    environment: str | None = None,
    sudo_password: bool = True,
) -> Probe:
    """Ask the machine what is on it; ``wanted`` is a container to enter in any case.

    ``environment`` is the only one of the host whose Jupyter counts.

    Without ``enter`` no container is entered, and no server is looked for. With ``relay_next``
    the session that a relay will be attached by is opened meanwhile. ``sudo_password``: a person
    may be asked for it, where docker is to be had by no other way.

    Raises :class:`ScriptFailed` when the answer makes no sense.
    """
    ask = partial(
        _ask,
        link,
        ENGINE=engine,
        WANTED=wanted,
        SCAN=far.source("scan.sh") if enter else "",
        ENTER=entering(environment),
    )
    seen = ask(relay_next=relay_next)
    serves = any(file.alive for file in seen.host.files)
    helps = sudo_password and not serves and sudo.may_help(seen.engine)
    if not helps or not sudo.open_door(link):
        return seen
    return ask(relay_next=False)


def _ask(link: Link, *, relay_next: bool, **variables: str) -> Probe:
    done = link.script(
        far.source("probe.sh"),
        timeout=TIMEOUT_S,
        pipe_next=relay_next,
        in_command=True,
        SUDO=" ".join(link.sudo),
        **variables,
    )
    logger.debug("probe stderr: %s", one_line(done.err))
    return parse(done.out, sudo=link.sudo)


def parse(answer: bytes, *, sudo: tuple[str, ...] = SUDO) -> Probe:
    """The probe's JSON as a :class:`Probe`; ``sudo`` is how sudo was called."""
    try:
        members = json.loads(answer)
        about = Output.of(members["about"]).text.splitlines()
        user, uid, home, gid = about[0], int(about[1]), about[2], int(about[3])
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ScriptFailed(
            f"the machine's answer makes no sense ({one_line(str(error), 80)}): "
            f"{one_line(answer[-200:])}",
            hint="-vv shows all of it",
        ) from None
    outputs = {name: Output.of(member) for name, member in members.items()}
    engines = in_use_first(answered(members, sudo))
    gpus, gpu_refusal = _gpus(outputs)
    return Probe(
        user=plain(user),
        uid=uid,
        home=home,
        engine=engines[0].engine if engines else nothing_answered(members),
        others=tuple(one.engine for one in engines[1:]),
        gid=gid,
        groups=tuple(one for one in _groups(about[4:]) if one[0] not in {gid, 0}),
        containers=tuple(one for engine in engines for one in engine.containers),
        images=tuple(one for engine in engines for one in engine.images),
        gpus=gpus,
        gpu_refusal=gpu_refusal,
        gpu_toolkit=_toolkit(members, outputs),
        cdi="cdi" in outputs and bool(outputs["cdi"].text.strip()),
        host=parse_scan(outputs["host_scan"].raw) if "host_scan" in outputs else Scan(),
    )


def _groups(lines: list[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        number, _, name = line.partition(" ")
        if (gid := _number(number)) is not None:
            yield gid, plain(name)


def _gpus(outputs: dict[str, Output]) -> tuple[tuple[Gpu, ...], str]:
    table = outputs.get("gpus")
    if table is None:
        return (), ""
    if table.code != 0:
        return (), one_line(table.err or table.text) or "nvidia-smi does not answer"
    processes = outputs["gpu_processes"].text if "gpu_processes" in outputs else ""
    busy = [row.split(",")[0].strip() for row in processes.splitlines()]
    rows = [[cell.strip() for cell in line.split(",")] for line in table.text.splitlines()]
    whole = [row for row in rows if len(row) == GPU_COLUMNS and _number(row[0]) is not None]
    if rows and not whole:
        return (), f"nvidia-smi answers what makes no sense: {one_line(table.text, 80)}"
    return tuple(_gpu(row, busy) for row in whole), ""


def _gpu(row: list[str], busy: list[str]) -> Gpu:
    total, used, load = (_number(cell) or 0 for cell in row[3:])  # "[N/A]" on some cards
    return Gpu(int(row[0]), row[1], plain(row[2]), total, used, load, busy.count(row[1]))


def _number(cell: str) -> int | None:
    """A cell of digits and nothing else."""
    return int(cell) if re.fullmatch(r"[0-9]{1,9}", cell) else None


def _toolkit(members: dict[str, object], outputs: dict[str, Output]) -> bool:
    for member in ("in_docker", "in_sudo_docker"):
        inside = members.get(member)
        info = next(Output.of(inside.get("info")).rows(), {}) if isinstance(inside, dict) else {}
        runtimes = info.get("Runtimes")
        if isinstance(runtimes, dict) and "nvidia" in runtimes:
            return True
    return "toolkit" in outputs and bool(outputs["toolkit"].text.strip())
