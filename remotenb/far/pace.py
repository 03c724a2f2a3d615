"""How many bytes may be under way on a link, and the round trips that tell. Pure; Python 3.6.

What is sent beyond what the path holds only waits in some buffer, in front of everything that
is sent later. So the cap grows while it is what holds us back, and shrinks as soon as round
trips take longer than the path needs.
"""

from collections import deque
from typing import Deque, Optional

FIRST_CAP, LEAST_CAP, LAST_CAP = 256 << 10, 64 << 10, 16 << 20

QUEUE_S = 0.006
"""Seconds of waiting in buffers that are taken for noise on a short path."""

PING_IDLE_S, PING_BUSY_S = 1.0, 0.05
BUSY_BYTES = 64 << 10
PINGS_OPEN = 64


class Pace:
    """The cap of one direction of one link, and when to send the next ping."""

    def __init__(self, now: float) -> None:
        self.cap = FIRST_CAP
        self.limited = False
        """Whether the cap held something back since the last measurement."""
        self.rtt = 0.0
        """Seconds, smoothed; 0 before the first measurement."""
        self.best = 0.0
        """Seconds, the shortest so far: what the path itself takes."""
        self.pinged = now
        self._open: "Deque[int]" = deque()
        self._sent = 0

    def sent(self, count: int) -> None:
        """So many bytes of data went out."""
        self._sent += count

    def ping(self, now: float) -> Optional[int]:
        """What to put into a ping, if one is due."""
        busy = self._sent >= BUSY_BYTES and not self._open
        if now - self.pinged < (PING_BUSY_S if busy else PING_IDLE_S):
            return None
        if len(self._open) >= PINGS_OPEN:
            return None
        self.pinged = now
        self._sent = 0
        self._open.append(int(now * 1e6))
        return self._open[-1]

    def pong(self, token: int, now: float) -> None:
        """An answer came; one that answers nothing is passed over."""
        if token in self._open:
            while self._open.popleft() != token:
                pass
            self.measured(max(now - token / 1e6, 1e-6))

    def measured(self, rtt: float) -> None:
        """Take in one round trip, in seconds (> 0)."""
        self.rtt = self.rtt + (rtt - self.rtt) / 4 if self.rtt else rtt
        self.best = min(self.best or rtt, rtt)
        allowed = self.best + max(QUEUE_S, self.best / 2)
        if rtt > allowed:
            self.cap = max(LEAST_CAP, int(self.cap * max(0.5, allowed / rtt)))
        elif self.limited:
            self.cap = min(LAST_CAP, self.cap * 2)
        self.limited = False
