"""The browser's connections, in the tunnel's thread: with a link, and while there is none."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from remotenb.far.events import Ended, Received, Reset
from remotenb.far.frames import ProtocolError
from remotenb.far.mux import NEVER
from remotenb.far.poll import READ
from remotenb.tunnel.outage import again, is_navigation, is_of_a_page, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.far.events import Event
    from remotenb.far.mux import Mux
    from remotenb.far.poll import Poll
    from remotenb.tunnel.local import Local

HOLD_S = 15.0
"""How long a new connection waits for a link."""
BROWSERS_LIMIT = 6
"""So many connections a browser has for one host."""
ROUNDS = 15
"""How often one request is sent round: browsers follow 20 redirects."""
ROUND_S, ROUND_GROWTH = 1.0, 1.1
"""Between the first two rounds, and of one such wait to the next: they last half a day."""


class Connections:
    """All of them, by their streams; nothing here may be called from another thread."""

    def __init__(self, mux: Mux, poll: Poll, host: str) -> None:
        self._mux = mux
        self._poll = poll
        self._host = host
        self._locals: dict[int, Local] = {}
        self._new: set[Local] = set()
        self._rounds: Counter[bytes] = Counter()
        self._next_round = 0.0
        self.linked = False
        self.state = "The connection to the server is gone."
        """What a page says that is asked for in an outage."""

    def happened(self, event: Event, now: float) -> None:
        """Something came for one of them."""
        number = getattr(event, "stream", 0)
        local = self._locals.get(number)
        if local is None:
            self._mux.consumed(number, len(getattr(event, "data", b"")), now)
        elif isinstance(event, Received):
            local.give(event.data)
            self._write(local, now)
        elif isinstance(event, Ended):
            local.end()
            self._write(local, now)
        elif isinstance(event, Reset):
            self._drop(local)

    def link_is_back(self) -> None:
        """Whatever waited has been sent."""
        for local in self._locals.values():
            local.held_since = None
        self._rounds.clear()
        self._next_round = 0.0

    def watch(self) -> None:
        """Say of each what to wait for."""
        for local in [*self._locals.values(), *self._new]:
            self._watch(local)

    def abort(self) -> None:
        """End them all."""
        for local in [*self._locals.values(), *self._new]:
            self._drop(local)

    def begin(self, local: Local, first: bytes) -> None:
        """A new one, of which ``first`` was read already."""
        self._new.add(local)
        if first:
            self._request(local, first, time.monotonic())
        self._watch(local)

    def _watch(self, local: Local) -> None:
        fd = local.sock.fileno()
        if fd >= 0:
            local.ready = local.ready or self._ready(local)
            self._poll.watch(fd, local.mask(self._mux), local.ready)

    def _ready(self, local: Local) -> Callable[[int], None]:
        def ready(mask: int) -> None:
            now = time.monotonic()
            self._write(local, now)
            if mask & READ and local.sock.fileno() >= 0:
                self._read(local, now)

        return ready

    def _read(self, local: Local, now: float) -> None:
        data = local.read(self._mux)
        if data is None or (not data and not local.number):
            self._mux.reset(local.number)
            self._drop(local)
        elif not data:
            local.finished = True
            self._mux.finish(local.number)
            self._drop_if_over(local)
        elif not local.number or (not self.linked and local.begins_anew(data)):
            self._request(local, data, now)
        else:
            local.sent(data)
            self._mux.write(local.number, data)

    def _request(self, local: Local, data: bytes, now: float) -> None:
        """The first bytes of a stream: on a new connection, or on an idle one in an outage."""
        if local.number:
            local.old = True
            self._take_back(local)
        local.old = local.old or is_of_a_page(data)
        if not self.linked and is_navigation(data):
            local.give(page(self._host, self.state))
            local.end()
            local.finished = True
            self._write(local, now)
            return
        try:
            local.number = self._mux.open(local.target, now)
        except ProtocolError:  # more than there may be
            self._drop(local)
            return
        self._new.discard(local)
        self._locals[local.number] = local
        local.held_since = None if self.linked else now
        local.sent(data)
        self._mux.write(local.number, data)

    def look_after_held(self, now: float) -> None:
        """No link: new connections wait a while.

        Those that were there before wait as long as it takes, and so do those of pages that were:
        when a request of theirs fails, JupyterLab shows a dialog.
        """
        if self.linked:
            return
        held = [one for one in self._locals.values() if one.held_since is not None]
        for local in [o for o in held if not o.old and now - (o.held_since or now) > HOLD_S]:
            self._mux.reset(local.number)
            self._drop(local, abort=False)
        if now >= self._next_round:
            self._make_way(now)

    def _make_way(self, now: float) -> None:
        """When all that a browser may ask waits, it could not ask for the page that a person wants.

        So one request is sent round, the one that waits longest. A person's comes before it then.
        """
        waiting = [one for one in self._locals.values() if one.waits]
        if len(waiting) < BROWSERS_LIMIT:
            return
        for local in sorted(waiting, key=lambda one: one.held_since or NEVER):
            answer = again(local.request) if local.held_since is not None else None
            if answer and self._rounds[answer] < ROUNDS:
                self._next_round = now + ROUND_S * ROUND_GROWTH ** self._rounds.total()
                self._rounds[answer] += 1
                self._take_back(local)
                local.give(answer)
                self._write(local, now)
                return

    def _take_back(self, local: Local) -> None:
        """What it asked for is not asked any more; the connection stays."""
        self._mux.reset(local.number)
        self._locals.pop(local.number, None)
        local.number = 0
        self._new.add(local)

    def _write(self, local: Local, now: float) -> None:
        sent = local.write()
        if sent is None:
            self._mux.reset(local.number)
            self._drop(local)
            return
        if sent:
            self._mux.consumed(local.number, sent, now)
        self._drop_if_over(local)

    def _drop_if_over(self, local: Local) -> None:
        if local.over:
            self._drop(local, abort=False)

    def _drop(self, local: Local, *, abort: bool = True) -> None:
        self._poll.forget(local.sock.fileno())
        self._locals.pop(local.number, None)
        self._new.discard(local)
        if abort:
            local.abort()
        else:
            local.sock.close()
