"""The page docs/reference/reliability.md: a head, and the tables of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.faults.measure import Cost
    from tests.faults.rows import Calm, Row

OURS: Final = "remotenb"
NOTICED_S: Final = 4.0
BACK_S: Final = 1.0

HEAD: Final = """\
# Reliability

What a fault costs, measured. `make bench-faults` writes this page anew: laptop and box are two
machines of the test rig on one computer with two cores, joined by a cable; a real sshd, dockerd and
Jupyter; each fault strikes all the tunnels at the same moment. One run: read the figures as orders
of magnitude, but for the zeros.

Each cell says:

1. how many seconds pass from the fault until it is **noticed**: until remotenb says `dropped`, or
   until the ssh of another tunnel ends (of a process that is stopped, from its waking);
2. how many seconds pass from the network's return until the notebook is **back**: until the first
   good answer to a client that asks through the tunnel ten times a second;
3. how many **lines are lost**, of a cell that prints one each 50 ms. The page that shows them keeps
   its websocket open; where the tunnel closes it, it is opened again with the same session id, as
   JupyterLab does.

A dash means that it did not happen, or does not apply. Where the server itself went down, its
kernels die with it, and *back* counts from the moment when it answers on the box again and a login
is possible. In rows with † new connections work all the while: *back* counts from the fault,
noticing included. A `+1` behind the lines says that one came twice.

The marks for remotenb are: noticed within 4 s; back within 1 s, in rows with † within 5 s; no line
lost, and none twice, wherever the server lived. What misses its mark is **bold**. While a machine
boots and lets in nobody but root (`nologin`), each attempt is a failed login to sshd, which bars an
address after a few of them in a row: so one is made each 5 s, and *back* is up to that long there.
A remotenb that is killed leaves open what its page had got last: a line that was under way comes
twice, in about one of four kills; none is lost to a page that stays open.

The others reach a Jupyter that was started by hand and published on the box's loopback: `autossh
-M 0` with `ServerAliveInterval` x `ServerAliveCountMax` as named; a loop of the shell around `ssh
-N -L` with `ConnectTimeout 3` and a second between; the Python library sshtunnel in a program that
checks its tunnel each second and calls `restart()`.
"""

CALM_HEAD: Final = """
## False alarms

How often a link that is bad but never gone is taken for lost.
"""


def page(
    costs: Mapping[Row, Mapping[str, Cost]],
    alarms: Mapping[Calm, Mapping[str, int]],
    names: Sequence[str],
) -> str:
    """The whole page."""
    parts = [HEAD]
    if costs:
        titles = {row: row.title + (" †" if row.way_stays_open else "") for row in costs}
        lines = [
            [titles[row], *(_cell(row, name, found.get(name)) for name in names)]
            for row, found in costs.items()
        ]
        parts.append(_table(["noticed · back · lines lost", *names], lines))
    if alarms:
        lines = [
            [row.title, *(str(found.get(name, "-")) for name in names)]
            for row, found in alarms.items()
        ]
        parts += [CALM_HEAD, _table(["false alarms", *names], lines)]
    return "\n".join(parts)


def missed(row: Row, cost: Cost) -> tuple[bool, bool, bool]:
    """Which of the three marks a cost misses."""
    may_take = BACK_S + (NOTICED_S if row.way_stays_open else 0.0)
    return (
        # a short enough fault, or one that only a restart shows, need not be noticed
        cost.noticed is not None and cost.noticed > NOTICED_S,
        cost.back is None or cost.back > may_take,
        bool(cost.lost or cost.twice),
    )


def _cell(row: Row, name: str, cost: Cost | None) -> str:
    if cost is None:
        return "-"
    said = (
        "-" if cost.noticed is None else f"{cost.noticed:.1f}",
        "not back" if cost.back is None else f"{cost.back:.1f}",
        "-" if cost.lost is None else str(cost.lost) + (f" +{cost.twice}" if cost.twice else ""),
    )
    wrong = missed(row, cost) if name == OURS else (False, False, False)
    return " · ".join(f"**{word}**" if bad else word for word, bad in zip(said, wrong, strict=True))


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *lines))
