"""What commits and pushes that were broken off left on a machine, of this user's."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.images.commit import LABEL_COMMITTED
from remotenb.images.reference import is_partial
from remotenb.transfer.archive import LABEL_PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.machine import Machine

TIMEOUT_S = 30.0
REMOVE_TIMEOUT_S = 120.0
"""Files of many GB."""


@dataclass(frozen=True, slots=True)
class Image:
    """One that nobody named."""

    name: str
    """What the engine removes it by."""
    size: str
    """As the engine shows it."""
    kind = "image"


@dataclass(frozen=True, slots=True)
class Files:
    """A folder with what arrived of an image."""

    name: str
    size: int
    """In bytes."""
    kind = "files"


Leftover = Image | Files


def find(machine: Machine) -> tuple[Leftover, ...]:
    """Ask the machine."""
    done = machine.link.script(
        far.source("leftovers.sh"),
        timeout=TIMEOUT_S,
        ENGINE=shlex.join(machine.engine),
        COMMITTED=LABEL_COMMITTED,
        PARTIAL=f"{LABEL_PARTIAL}={machine.probe.user}",
    )
    return tuple(read(done.out.decode("utf-8", "replace")))


def read(said: str) -> Iterator[Leftover]:
    """What ``leftovers.sh`` found: images first, each once."""
    rows = [line.split("\t") for line in said.splitlines()]
    sizes = (row for row in rows if len(row) == 3 and row[0] == "files" and row[2].isdigit())  # noqa: PLR2004
    files = [Files(row[1], int(row[2]) << 10) for row in sizes]
    keys = tuple(posixpath.basename(one.name) for one in files)
    seen = set()
    for word, ref, id_, size in (row for row in rows if len(row) == 4):  # noqa: PLR2004  its fields
        begun = is_partial(ref) and ref.rpartition(":")[2].startswith(keys)
        name = id_ if "<none>" in ref else ref
        if (word == "mine" or begun) and name not in seen:
            seen.add(name)
            yield Image(name, size)
    yield from files


def remove(machine: Machine, one: Leftover) -> None:
    """Take it away; raises a :class:`RemotenbError`."""
    if isinstance(one, Image):
        machine.run("rmi", one.name)
    else:
        machine.link.script('rm -rf -- "$1"', one.name, timeout=REMOVE_TIMEOUT_S)
