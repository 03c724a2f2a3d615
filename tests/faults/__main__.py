"""`make bench-faults`: each fault against remotenb and its peers, as a page of the documentation.

`python -m tests.faults --rows drop_in,rst --only remotenb` for some of it.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.measure import Cost, false_alarms, measure
from tests.faults.report import page
from tests.faults.rows import CALMS, ROWS, Calm, Row
from tests.faults.tunnels import BY_HAND_PORT, NAMES, PEERS, Remotenb
from tests.laptop import Laptop
from tests.machines.conftest import ARTICLE, LAB4, wait_for_server
from tests.rig.failures import RigError
from tests.rig.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.tunnels import Contender

BIG = "head -c 20000000 /dev/urandom >/workspace/big"


class Stage:
    """The two notebooks on the box, kept from row to row until a row breaks them."""

    def __init__(self, lab: Lab, place: Path, names: Sequence[str]) -> None:
        """``names`` are the contenders wanted."""
        self._lab = lab
        self._names = names
        self._place = place
        self._token = secrets.token_hex(16)
        self._laptop = Laptop(place, lab.ssh_config)
        self._container = ""

    def contenders(self, row: Row | Calm) -> list[Contender]:
        """Those who take part in a row, not yet started."""
        if not self._container:
            self._set()
        host = "gpu-box" if isinstance(row, Row) else "gpu-box-far"
        found: list[Contender] = []
        if Remotenb.name in self._names:
            option = ("--container", self._container)
            found.append(Remotenb(self._lab, host, self._laptop, *option))
        if not row.ours_only:
            wanted = [peer for peer in PEERS if peer.name in self._names]
            found += [peer(self._lab, host, self._place, self._token) for peer in wanted]
        return found

    def spoil(self) -> None:
        """Have everything made anew for the next row."""
        self._container = ""

    def _set(self) -> None:
        box = self._lab.box
        self._lab.reset()
        if Remotenb.name in self._names:
            with self._laptop.connected("gpu-box", "--image", LAB4) as connected:
                self._container = connected.ready["container"]
            box.docker("exec", self._container, "sh", "-c", BIG)
        if not {peer.name for peer in PEERS} & set(self._names):
            return
        publish = ("-p", f"127.0.0.1:{BY_HAND_PORT}:8888", "-e", f"JUPYTER_TOKEN={self._token}")
        box.docker("run", "-d", "--name", "nb", *publish, LAB4, *ARTICLE, "--no-browser")
        wait_for_server(box, "nb")
        self._container = self._container or "nb"


def run_all(
    stage: Stage, lab: Lab, rows: Sequence[Row | Calm]
) -> tuple[dict[Row, dict[str, Cost]], dict[Calm, dict[str, int]]]:
    """Every row in turn; one that fails is told and left out."""
    costs: dict[Row, dict[str, Cost]] = {}
    alarms: dict[Calm, dict[str, int]] = {}
    for row in rows:
        try:
            contenders = stage.contenders(row)
            if not contenders:
                continue
            with ExitStack() as stack:
                for one in contenders:
                    stack.enter_context(one)
                if isinstance(row, Row):
                    costs[row] = measure(row, lab, contenders)
                    _tell(row.name, costs[row])
                else:
                    lab.wire.set(delay=row.delay, loss=row.loss, rate=row.rate)
                    alarms[row] = false_alarms(row, contenders)
                    _tell(row.name, alarms[row])
        except (RigError, AssertionError, OSError):
            print(f"{row.name}: failed\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            stage.spoil()
        lab.unblock()
        lab.wire.reset()
        if isinstance(row, Row) and not row.server_lives:
            stage.spoil()
    return costs, alarms


def _tell(row: str, found: dict[str, Cost] | dict[str, int]) -> None:
    for name, figures in found.items():
        print(f"{row:16} {name:14} {figures}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the rows and write the page."""
    wish = _wish()
    names = wish.only or NAMES
    rows = [row for row in (*ROWS, *CALMS) if _wanted(row, wish)]
    place = Path(tempfile.mkdtemp(prefix="remotenb-faults-"))
    try:
        with Lab() as lab:
            lab.enter_laptop()
            costs, alarms = run_all(Stage(lab, place, names), lab, rows)
    finally:
        shutil.rmtree(place)
    text = page(costs, alarms, names)
    if wish.out:
        wish.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def _wanted(row: Row | Calm, wish: argparse.Namespace) -> bool:
    return row.name in wish.rows if wish.rows else wish.long or not row.long


def _wish() -> argparse.Namespace:
    known = ", ".join(row.name for row in (*ROWS, *CALMS))
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"Rows: {known}. Contenders: {', '.join(NAMES)}."
    )
    parser.add_argument("--rows", type=_words, help="only these, with commas")
    parser.add_argument("--only", type=_words, help="only these contenders, with commas")
    parser.add_argument("--long", action="store_true", help="the rows of many minutes as well")
    parser.add_argument("--out", type=Path, help="write the page there instead of to stdout")
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


if __name__ == "__main__":
    main()
