"""One row: all the contenders at once, so that the same fault meets each of them."""

from __future__ import annotations

import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.probe import Probe
from tests.faults.rows import Scene
from tests.faults.tunnels import Remotenb
from tests.lines import EVERY_S, KernelLines
from tests.rig.failures import RigError, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.rows import Calm, Row
    from tests.faults.tunnels import Contender
    from tests.rig.lab import Lab

BEFORE = 20
"""Lines that come before the fault."""
AFTER_S = 12.0
"""How long the cell prints after the network is back."""
GIVE_UP_S = 60.0
PATIENCE_S = 3.0


@dataclass(frozen=True)
class Cost:
    """What a fault cost a contender; None: it did not notice, it did not come back."""

    noticed: float | None
    back: float | None
    lost: int | None
    """Lines; None where the kernel died with the server."""
    twice: int = 0
    closings: int = 0


@dataclass
class Watched:
    """A contender, and the two clients behind it."""

    contender: Contender
    probe: Probe
    lines: KernelLines


def measure(row: Row, lab: Lab, contenders: Sequence[Contender]) -> dict[str, Cost]:
    """Strike, mend, and wait until everyone is back or has had its time."""
    ours = next((one for one in contenders if isinstance(one, Remotenb)), None)
    scene = Scene(lab, ours)
    count = int((row.lasts + AFTER_S) / EVERY_S) + BEFORE
    with ExitStack() as stack:
        watched = [_watch(stack, one, count) for one in contenders]
        for one in watched:
            one.lines.wait_past(BEFORE)
            one.probe.wait_for_answer()
        struck = time.time()
        struck = row.strike(scene) or struck
        mended = time.time()
        time.sleep(row.lasts)  # the fault's own time
        row.mend(scene)
        mended = mended if row.way_stays_open else time.time()
        _wait_until_back(watched, struck, mended)
        if row.server_lives:
            _wait_for_lines(watched)
        return {
            one.contender.name: _cost(row, one, struck=struck, mended=mended) for one in watched
        }


def false_alarms(row: Calm, contenders: Sequence[Contender]) -> dict[str, int]:
    """Count who takes the link for lost though it is only bad."""
    with ExitStack() as stack:
        count = int(row.lasts / EVERY_S)
        watched = [_watch(stack, one, count, patience=10.0) for one in contenders]
        began = time.time()
        while time.time() < began + row.lasts:
            if row.download:
                _download(watched[0].contender)
            else:
                time.sleep(row.lasts)  # the row's own time
        return {
            one.contender.name: sum(when >= began for when in one.contender.losses())
            for one in watched
        }


def _watch(
    stack: ExitStack, contender: Contender, count: int, patience: float = PATIENCE_S
) -> Watched:
    lines = stack.enter_context(KernelLines(contender.notebook, count))
    probe = stack.enter_context(Probe(contender.port, patience=patience))
    return Watched(contender, probe, lines)


def _wait_until_back(watched: list[Watched], struck: float, mended: float) -> None:
    def back() -> bool:
        return all(one.probe.back(struck=struck, mended=mended) is not None for one in watched)

    try:
        until(back, "everyone", seconds=GIVE_UP_S)
    except RigError:
        return  # the table says who is not


def _wait_for_lines(watched: list[Watched]) -> None:
    for one in watched:
        try:
            one.lines.wait_to_the_end(seconds=8)
        except RigError:
            continue  # a contender that lost lines may have lost the last one too


def _cost(row: Row, one: Watched, *, struck: float, mended: float) -> Cost:
    numbers = one.lines.numbers
    return Cost(
        one.contender.noticed(mended if row.asleep else struck),
        one.probe.back(struck=struck, mended=mended),
        len(one.lines.missing) if row.server_lives else None,
        len(numbers) - len(set(numbers)),
        one.lines.closings,
    )


def _download(contender: Contender) -> None:
    book = contender.notebook
    request = urllib.request.Request(
        f"{book.base}files/big", headers={"Authorization": f"token {book.token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        while answer.read(1 << 20):
            pass
