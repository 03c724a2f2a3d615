"""Which packages are lacking over there: requirements in, requirements out. Pure.

pip on the laptop answers for the laptop: it would leave out what only Linux wants, and fetch
what the image has. So it fetches one package at a time, and what each needs is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_string
from typing import TYPE_CHECKING

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from remotenb.errors import UsageError
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OLDEST_GLIBC, NEWEST_GLIBC = 5, 99
_OLD_NAMES = (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5))


class Python(msgspec.Struct, frozen=True):
    """The Python over there, as ``far/installing.py`` tells of it."""

    pip: bool
    abi: str
    libc: tuple[str, str]
    machine: str
    markers: dict[str, str]
    installed: dict[str, str]
    constraints: str
    index: str
    """The index that it reaches; empty if none."""

    @property
    def version(self) -> str:
        """Like 3.11."""
        return self.markers.get("python_version", "3")

    @property
    def platforms(self) -> tuple[str, ...]:
        """The tags of wheels that run there, best first."""
        name, version = self.libc
        minor = version.partition(".")[2].partition(".")[0]
        newest = min(int(minor), NEWEST_GLIBC) if minor.isdigit() else 0
        kinds = [f"manylinux_2_{number}" for number in range(newest, OLDEST_GLIBC - 1, -1)]
        kinds += [old for old, number in _OLD_NAMES if newest >= number]
        if name != "glibc":
            kinds = ["musllinux_1_2", "musllinux_1_1"]
        return tuple(f"{kind}_{self.machine}" for kind in (*kinds, "linux"))


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was fetched, and what it wants."""

    name: str
    version: Version
    requires: tuple[str, ...]


@dataclass(slots=True)
class _Need:
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    extras: set[str] = field(default_factory=set)


def parse(text: str) -> Requirement:
    """A package as a person names it: PEP 508 and nothing that pip takes for an option or a file.

    Raises :class:`UsageError`.
    """
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise UsageError(
            f"not a package: {one_line(text)!r}",
            hint="a name, perhaps with a version, as six or 'torchmetrics>=1.4'; "
            "a file goes there with remotenb cp",
        ) from None


def parse_file(text: str, name: str) -> list[Requirement]:
    """The lines of a requirements file; raises :class:`UsageError`, which names the line."""
    found = []
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        line = raw.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("-") or " --" in line:
            raise UsageError(
                f"{name}: line {number} has an option of pip: {one_line(line)}",
                hint="only packages can be named: leave options out, and other files' lines in",
            )
        found.append(parse(line))
    return found


def wheel_of(metadata: str) -> Wheel:
    """From the METADATA of a wheel."""
    told = message_from_string(metadata)
    requires = told.get_all("Requires-Dist") or []
    return Wheel(canonicalize_name(told["Name"]), Version(told["Version"]), tuple(requires))


def lacking(
    asked: Iterable[Requirement], fetched: Mapping[str, Wheel], python: Python
) -> list[str]:
    """What is to be fetched next; nothing when all that was asked for can be installed."""
    needs: dict[str, _Need] = {}
    waiting = [one for one in asked if _holds(one, "", python)]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        need = needs.setdefault(name, _Need())
        need.specifier &= one.specifier
        for extra in {"", *one.extras} - need.extras:
            need.extras.add(extra)
            waiting += _wanted_by(fetched.get(name), extra, python)
    return sorted(
        f"{name}{need.specifier}"
        for name, need in needs.items()
        if not _met(name, need, fetched, python)
    )


def _wanted_by(wheel: Wheel | None, extra: str, python: Python) -> list[Requirement]:
    """What is there already is taken to have what it needs."""
    requires = [Requirement(text) for text in wheel.requires] if wheel else []
    return [one for one in requires if _holds(one, extra, python)]


def _holds(one: Requirement, extra: str, python: Python) -> bool:
    if one.marker is None:
        return not extra
    return one.marker.evaluate({**python.markers, "extra": extra})


def _met(name: str, need: _Need, fetched: Mapping[str, Wheel], python: Python) -> bool:
    try:
        version = fetched[name].version if name in fetched else Version(python.installed[name])
    except (KeyError, InvalidVersion):
        return False
    return need.specifier.contains(version, prereleases=True)
