"""Wheels for another machine's Python, fetched with the pip of this laptop's."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from remotenb.errors import WheelsMissing
from remotenb.install.lacking import Wheel, lacking, wheel_of
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.requirements import Requirement

    from remotenb.install.lacking import Python

logger = logging.getLogger(__name__)

ROUNDS = 100
"""No package needs others which need others so deep."""

_UNKNOWN = re.compile(r"No matching distribution found for (\S+)")


def fetch(asked: Sequence[Requirement], python: Python, folder: Path) -> list[str]:
    """Fetch what ``python`` lacks into ``folder``; the names of the wheels.

    Raises :class:`WheelsMissing`.
    """
    limits = folder.with_name("constraints.txt")
    limits.write_text(python.constraints, encoding="utf-8")
    tried: set[str] = set()
    for _ in range(ROUNDS):
        found = _there(folder)
        wanted = lacking(asked, {one.name: one for one in found.values()}, python)
        if not wanted:
            return sorted(found)
        if set(wanted) <= tried:
            break
        tried |= set(wanted)
        for file, wheel in found.items():  # of another version than all agree to
            if any(re.match(re.escape(wheel.name) + r"(?![\w.-])", one) for one in wanted):
                (folder / file).unlink()
        logger.info("fetching %s", ", ".join(wanted))
        _download(wanted, python, folder, limits)
    raise WheelsMissing(
        f"these do not go together: {', '.join(wanted)}",
        hint="ask for other versions: what is installed there is kept",
    )


def _there(folder: Path) -> dict[str, Wheel]:
    """The wheels in it, by their files' names."""
    return {file.name: wheel_of(_metadata(file)) for file in sorted(folder.glob("*.whl"))}


def _metadata(file: Path) -> str:
    try:
        with ZipFile(file) as wheel:
            names = wheel.namelist()
            own = next(one for one in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
            return wheel.read(own).decode("utf-8", "replace")
    except (BadZipFile, StopIteration):
        raise WheelsMissing(
            f"{file.name} is no wheel", hint="look at the index that pip uses on this laptop"
        ) from None


def _download(wanted: Sequence[str], python: Python, folder: Path, limits: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    argv += ["--dest", str(folder), "--constraint", str(limits), "--implementation", "cp"]
    argv += ["--python-version", python.version, "--abi", python.abi]
    argv += [word for one in python.platforms for word in ("--platform", one)]
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    done = subprocess.run(  # noqa: S603  what is wanted was parsed, and stands behind "--"
        [*argv, "--progress-bar", "off", "--", *wanted],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **quiet},
    )
    if done.returncode:
        raise _why(done.stderr, python)


def _why(said: str, python: Python) -> WheelsMissing:
    if "No module named pip" in said:
        return WheelsMissing(
            "this laptop's Python has no pip, which fetches the packages",
            hint=f"{sys.executable} -m ensurepip",
        )
    if unknown := _UNKNOWN.search(said):
        where = f"Python {python.version} on {python.machine}, {' '.join(python.libc)}"
        unreachable = "Failed to establish" in said or "resolve" in said or "timed out" in said
        hint = "is this laptop on the internet?" if unreachable else ""
        return WheelsMissing(
            f"no wheel of {one_line(unknown[1])} for {where}",
            hint=hint
            or "is the name right? What comes as source only must be built where "
            "there is internet: an image with it, then remotenb push",
        )
    return WheelsMissing(
        f"pip on this laptop failed: {one_line(said.strip().rpartition(chr(10))[2])}",
        hint="the end of what it said stands above",
        detail=tail(said, 8),
    )
