"""Packages for the Python of a container: by its own pip, from an index or from what is carried."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from remotenb import far
from remotenb.errors import DiskFull, InstallFailed, UsageError
from remotenb.far.copy_frames import DATA, DONE, GO, PLAN, WHOLE
from remotenb.far.sending import Sender
from remotenb.files import Outcome, Place, Plan, Told, believed, enough_room, far_end
from remotenb.install.lacking import Python
from remotenb.install.wheels import fetch
from remotenb.text import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packaging.requirements import Requirement

    from remotenb.files import End
    from remotenb.machine import Machine
    from remotenb.model import Container

logger = logging.getLogger(__name__)

SAID_LIMIT = 1 << 16


class Watching(Told, Protocol):
    """Who is told."""

    def found(self, python: Python, where: str) -> None:
        """This is the Python over there, and the index that it reaches."""

    def said(self, text: str) -> None:
        """What pip says."""


class Silent:
    """Nobody is told more than by the log."""

    def agree(self, plan: Plan) -> bool:  # noqa: ARG002  see Told
        """The folder is a new one."""
        return True

    def moved(self, count: int) -> None:
        """Nothing."""

    def found(self, python: Python, where: str) -> None:
        """Into the log."""
        logger.info("%s: Python %s, index %s", where, python.version, python.index or "none")

    def said(self, text: str) -> None:
        """Into the log."""
        logger.info("pip: %s", text.rstrip())


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of it."""

    carried: tuple[str, ...] | None
    """The wheels that came from the laptop; None: the box's own index had all."""
    python: str
    index: str


def install(
    machine: Machine,
    container: Container,
    wanted: Sequence[Requirement],
    *,
    told: Watching,
    offline: bool = False,
) -> Installed:
    """Install in a container; raises a :class:`RemotenbError`."""
    place = Place(machine, container, "pip")
    wish = json.dumps({"look": not offline})
    with far_end(place, far.INSTALLING, wish) as end:
        python = _python(end, place)
        carry = not python.index
        told.found(python, place.where)
        packages = [str(one) for one in wanted]
        end.wire.say(GO, {"carried": carry, "packages": packages})
        files = _carried(end, machine, wanted, python, told) if carry else None
        _follow(end, place, told.said)
    return Installed(files, python.version, python.index)


def _python(end: End, place: Place) -> Python:
    python = believed(end.wire.expect(PLAN, dict), Python)
    if not python.pip:
        raise InstallFailed(
            f"the Python in {place.where} has no pip", hint="python3 -m ensurepip there, as root"
        )
    return python


def _carried(
    end: End, machine: Machine, wanted: Sequence[Requirement], python: Python, told: Told
) -> tuple[str, ...]:
    """Fetch the wheels here, and send them."""
    named = next((one for one in wanted if one.url), None)
    if named is not None:
        raise UsageError(
            f"{named.name} is named by an address, which cannot be fetched for another machine",
            hint="name it by its version",
        )
    with tempfile.TemporaryDirectory(prefix="remotenb-") as temporary:
        folder = Path(temporary, "wheels")
        folder.mkdir()
        with machine.report.step("fetching on this laptop what is lacking there"):
            files = fetch(wanted, python, folder)
        sender = Sender(end.wire, str(folder))
        sender.tell()
        plan = believed(end.wire.expect(PLAN, dict), Plan)
        enough_room(plan, DiskFull)
        end.wire.say(GO, told.agree(plan))
        sender.send(told.moved, end.check)
        outcome = believed(end.wire.expect(DONE, dict), Outcome)
        if outcome.failures:
            raise InstallFailed("the wheels did not arrive", hint=outcome.failed[0].why)
    return tuple(files)


def _follow(end: End, place: Place, said: Callable[[str], None]) -> None:
    kept = b""
    while True:
        kind, raw = end.wire.take()
        body = bytes(raw)
        if kind != DATA:
            break
        kept = (kept + body)[-SAID_LIMIT:]
        said(body.decode("utf-8", "replace"))
    if kind != WHOLE or json.loads(body) != 0:
        raise InstallFailed(
            f"pip failed in {place.where}", hint="its last words tell why", detail=tail(kept, 5)
        )
