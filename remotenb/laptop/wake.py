"""Whether the laptop slept, or changed its network: then a link may be dead without a sound."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

JUMP_S = 3.0
"""Between two looks, a clock that went this much further than it should have."""
SUSPENDED_S = 0.2
"""What two clocks, one of which counts suspends, may differ by without one."""
ELSEWHERE = "192.0.2.1"
"""An address of no machine, kept for documents: the way to it is the default route."""
_ANY_PORT = 9


class Reading(NamedTuple):
    """What the clocks show."""

    wall: float
    awake: float
    """Stands still in suspend, where there is such a clock."""
    total: float | None
    """Goes on in suspend; None where no other clock stands still."""


if sys.platform == "win32":
    import ctypes

    def _awake_and_total() -> tuple[float, float | None]:
        ticks = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))
        return ticks.value / 1e7, time.monotonic()

elif sys.platform == "linux":

    def _awake_and_total() -> tuple[float, float | None]:
        return time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)

else:

    def _awake_and_total() -> tuple[float, float | None]:
        return time.monotonic(), None


def read_clocks() -> Reading:
    """The machine's own."""
    return Reading(time.time(), *_awake_and_total())


def local_address(towards: str = ELSEWHERE) -> str | None:
    """The address that this laptop would use towards an address; no packet is sent.

    ``towards`` is no name: resolving one could hang. None when there is no way there.
    """
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((towards, _ANY_PORT))
            return str(sock.getsockname()[0])
    except OSError:
        return None


class WakeWatch:
    """Compares what it sees with what it saw at its last look, however long ago that was.

    Only where no clock stands still in suspend must it be asked ``every`` so many seconds.
    """

    def __init__(
        self,
        *,
        every: float = 0.5,
        clocks: Callable[[], Reading] = read_clocks,
        address: Callable[[], str | None] = local_address,
    ) -> None:
        self._every = every
        self._clocks = clocks
        self._address = address
        self._reading = clocks()
        self._from = address()

    def changed(self) -> str | None:
        """Why the link should be checked now, in a few words; None when nothing happened."""
        before, self._reading = self._reading, self._clocks()
        left, self._from = self._from, self._address()
        if self._slept(before):
            return "the laptop woke up"
        if self._from == left:
            return None
        return "the network changed" if self._from else "the network went away"

    def _slept(self, before: Reading) -> bool:
        now = self._reading
        awake = now.awake - before.awake
        if now.wall - before.wall - awake > JUMP_S:
            return True
        if now.total is None or before.total is None:
            return awake > self._every + JUMP_S
        return now.total - before.total - awake > SUSPENDED_S
