"""Half an hour of random faults under a kernel that prints and a download that never stops."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.faults.tunnels import Remotenb
from tests.lines import EVERY_S, KernelLines
from tests.machines.conftest import LAB4

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.lab import Lab
    from tests.rig.network import Fault

SECONDS = float(os.environ.get("REMOTENB_SOAK_S", "1800"))
FAULTS: tuple[Fault, ...] = (
    "drop", "drop_in", "drop_out", "reset", "host_unreachable", "link_down",
)  # fmt: skip
MEGABYTES = 20
GROWTH_BYTES = 8 << 20
"""Of memory, from the first third to the last: buffers breathe, but must not grow."""


class Downloads(threading.Thread):
    """Fetches the same file again and again; each time it must be the same."""

    def __init__(self, url: str, token: str, digest: str) -> None:
        super().__init__(daemon=True)
        self._request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
        self._digest = digest
        self.whole = 0
        self.broken: list[str] = []
        self.over = False

    def run(self) -> None:
        while not self.over:
            try:
                with urllib.request.urlopen(self._request, timeout=90) as answer:
                    got = hashlib.sha256()
                    while block := answer.read(1 << 18):
                        got.update(block)
            except OSError:  # a new connection in an outage ends without a byte, after 15 s
                continue
            if got.hexdigest() == self._digest:
                self.whole += 1
            else:
                self.broken.append(got.hexdigest())


def cost(process: psutil.Process) -> tuple[int, int, int]:
    """Bytes of memory, threads, descriptors."""
    with process.oneshot():
        descriptors = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        return process.memory_info().rss, process.num_threads(), descriptors


def most(costs: list[tuple[int, int, int]]) -> tuple[int, ...]:
    """The most there was of each."""
    return tuple(max(column) for column in zip(*costs, strict=True))


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_random_faults_lose_nothing_and_nothing_grows(lab: Lab, laptop: Laptop) -> None:
    chance = random.Random(os.environ.get("REMOTENB_SOAK_SEED", "1"))
    with Remotenb(lab, "gpu-box", laptop, "--image", LAB4) as ours:
        make = f"head -c {MEGABYTES}000000 /dev/urandom >big && sha256sum big"
        made = lab.box.docker("exec", "-w", "/workspace", ours.container, "sh", "-c", make)
        url, token = f"{ours.notebook.base}files/big", ours.notebook.token
        downloads = Downloads(url, token, made.stdout.split()[0])
        process = psutil.Process(ours.connected.process.pid)
        downloads.start()
        with KernelLines(ours.notebook, int(SECONDS / EVERY_S)) as lines:
            costs = []
            while time.time() < lines.ends_at - 30:
                lab.block(chance.choice(FAULTS))
                time.sleep(chance.uniform(0.5, 12))
                lab.unblock()
                time.sleep(chance.uniform(1, 8))
                ours.connected.drain()
                costs.append(cost(process))
            lines.assert_each_once_in_order()
            assert lines.closings == 0
        downloads.over = True
        assert downloads.whole > 0
        assert not downloads.broken
        third = len(costs) // 3
        early, late = most(costs[:third]), most(costs[-third:])
        print(
            f"{len(costs)} faults, {downloads.whole} downloads of {MEGABYTES} MB; at most, in the"
        )
        print(f"first and the last third: {early}, {late} bytes of memory, threads, descriptors")
        print("memory, MB:", *(memory // 1_000_000 for memory, _, _ in costs))
        assert late[0] < early[0] + GROWTH_BYTES
        assert late[1] <= early[1] + 2
        assert late[2] <= early[2] + 5
