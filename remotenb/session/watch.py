"""Is it still the same server, and what do its kernels do? Asked now and then, over the tunnel."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.jupyter import kernel_states, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.session.tunnels import Tunnel

EVERY_S = 10.0
AGAIN_S = 1.5
SILENT_AFTER = 2
"""Questions in a row without an answer, while the link is up."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """Another server answers, with the same token."""

    started: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The link is fine, and no server answers."""


class ServerWatch:
    """A thread with one question."""

    def __init__(self, tunnel: Tunnel, tell: Callable[[Restarted | Silent], None]) -> None:
        self.busy: int | None = None
        self.idle: int | None = None
        self._tunnel = tunnel
        self._tell = tell
        self._bell = threading.Event()
        self._closed = False
        threading.Thread(target=self._run, name="server watch", daemon=True).start()

    def look(self) -> None:
        """Ask now."""
        self._bell.set()

    def close(self) -> None:
        """Ask no more."""
        self._closed = True
        self._bell.set()

    def _run(self) -> None:
        failures = 0
        while not self._closed:
            self._bell.wait(AGAIN_S if failures else EVERY_S)
            self._bell.clear()
            answered = not self._tunnel.linked or self._ask() or not self._tunnel.linked
            failures = 0 if answered else failures + 1
            if failures == SILENT_AFTER:
                self._tell(Silent())
                failures = 0

    def _ask(self) -> bool:
        server = self._tunnel.server
        since = started(self._tunnel.connect, server)
        if since is None:
            return False
        if server.started and since and since != server.started:
            self._tell(Restarted(since))
        states = kernel_states(self._tunnel.connect, server)
        self.busy, self.idle = states or (None, None)
        return True
