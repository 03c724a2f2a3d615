"""How many bytes may be under way on a link, and the round trips that tell. Pure; Python 3.6.

What is sent beyond what the path holds only waits in some buffer, in front of everything that
is sent later. So the cap grows while it is what holds us back, and shrinks when round trips
stay longer than the path needs. One long round trip says nothing: a lost packet does that.
"""

from collections import deque
from typing import Deque, NamedTuple, Optional

FIRST_CAP, LEAST_CAP, LAST_CAP = 256 << 10, 64 << 10, 16 << 20

QUEUE_S = 0.006
"""Seconds of waiting in buffers that are taken for noise on a short path."""

PATIENCE_S = 0.1
"""So long, and two round trips, each ping must have been slow before the cap shrinks."""

BEST_S = 30.0
"""After so long without a round trip near the best one, the path may have become another."""

EIGHTHS = 8
"""The cap grows by one eighth, then two, and so on until it doubles."""

PING_IDLE_S, PING_BUSY_S = 1.0, 0.05
BUSY_BYTES = 64 << 10
PINGS_OPEN = 64


class Ping(NamedTuple):
    """One that is not answered."""

    token: int
    """When it was sent, in microseconds."""
    era: int
    """Which of the caps it was sent under."""
    busy: bool
    """Data went with it."""
    full: bool
    """All that the cap allows was under way before it."""


class Pace:
    """The cap of one direction of one link, and when to send the next ping."""

    def __init__(self, now: float) -> None:
        self.cap = FIRST_CAP
        self.limited = False
        """Whether this cap has held something back."""
        self.rtt = 0.0
        """Seconds, smoothed; 0 before the first measurement."""
        self.best = 0.0
        """Seconds, the shortest of late: what the path itself takes."""
        self.pinged = now - PING_IDLE_S  # the first ping goes before all data, and sees no queue
        self._best_at = now
        self._open: "Deque[Ping]" = deque()
        self._sent = 0
        self._era = 0
        self._step = EIGHTHS
        self._after = 0
        """The cap to go back to, while the path drains."""
        self._slow_since = -1
        """The token of the first of the slow pings, if the last one was slow."""
        self._least_slow = 0.0

    def sent(self, count: int) -> None:
        """So many bytes of data went out."""
        self._sent += count

    def ping(self, now: float) -> Optional[int]:
        """What to put into a ping, if one is due."""
        busy = self._sent >= BUSY_BYTES
        if now < self.pinged + (PING_BUSY_S if busy else PING_IDLE_S):
            return None
        self.pinged = now
        if len(self._open) >= PINGS_OPEN:
            return None
        self._sent = 0
        one = Ping(int(now * 1e6), self._era, busy or self.limited, self.limited)
        self._open.append(one)
        return one.token

    def pong(self, token: int, now: float) -> None:
        """An answer came; one that answers nothing is passed over."""
        if not any(one.token == token for one in self._open):
            return
        one = self._open.popleft()
        while one.token != token:
            one = self._open.popleft()
        rtt = max(now - token / 1e6, 1e-6)
        self.rtt = self.rtt + (rtt - self.rtt) / 4 if self.rtt else rtt
        if not self.best or rtt <= self.best * 1.1:
            self.best = min(self.best or rtt, rtt)
            self._best_at = now
        elif now - self._best_at > BEST_S:
            self.best, self._best_at = rtt, now
            if one.busy and not self._after:
                self._drain(self.cap)
        if one.busy and one.era == self._era:
            self._judge(one, rtt)

    def _judge(self, one: Ping, rtt: float) -> None:
        """Whether the cap is right, by a ping that was sent under it."""
        if self._after:
            self._change(self._after, 1)
            return
        allowed = self.best + max(QUEUE_S, self.best / 2)
        if rtt <= allowed:
            self._slow_since = -1
            if one.full:
                step = min(self._step + 1, EIGHTHS)
                self._change(self.cap + self.cap * self._step // EIGHTHS, step)
            return
        if self._slow_since < 0:
            self._slow_since, self._least_slow = one.token, rtt
        self._least_slow = min(self._least_slow, rtt)
        if one.token - self._slow_since >= max(PATIENCE_S, 2 * self.best) * 1e6:
            self._shrink(int(self.cap * max(0.5, allowed / self._least_slow)))

    def _shrink(self, cap: int) -> None:
        if self._step == EIGHTHS:  # it overshot, and may never have seen the path without a queue
            self._drain(cap)
        else:
            self._change(cap, 1)

    def _drain(self, after: int) -> None:
        """Let what is our own queue run dry once: only then the best round trip can be seen."""
        self._change(LEAST_CAP, 1)
        self._after = after

    def _change(self, cap: int, step: int) -> None:
        self.cap = min(max(cap, LEAST_CAP), LAST_CAP)
        self._step = step
        self._after = 0
        self._era += 1
        self._slow_since = -1
        self.limited = False
