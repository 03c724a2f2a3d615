"""How a step of a set-up ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from remotenb.errors import FarSideError

if TYPE_CHECKING:
    from collections.abc import Sequence

State = Literal["there", "done", "would", "skipped", "failed"]
"""``there`` already; ``would`` be done, but for ``--dry-run``."""

STEPS = ("key", "docker", "permission", "toolkit", "image", "config", "ssh_config")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step's end, and what a person can do about it."""

    step: str
    state: State
    said: str
    cure: str = ""


def code(outcomes: Sequence[Outcome]) -> int:
    """The exit code: what fails is on the machine."""
    return FarSideError.code if any(one.state == "failed" for one in outcomes) else 0
