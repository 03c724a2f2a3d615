"""One laptop's tunnel, as the relay has it: its streams, with a link or without. Python 3.6."""

import os
import sys
import time
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far import frames
from remotenb.far.carrier import Carrier
from remotenb.far.events import Bye, Ended, Event, Opened, Received, Reset
from remotenb.far.frames import Frame, Hello
from remotenb.far.mux import NEVER, Mux
from remotenb.far.poll import READ, WRITE, Poll, Ready
from remotenb.far.spool import Budget
from remotenb.far.upstream import Upstream

SILENT_S = 5.0
"""A laptop that is there says something each second."""
PARTING_S = 2.0
"""The server closes its side of a kernel's websocket when the browser closes its own."""
REMAINS_S = 120.0
"""A page opens its websocket again within that, if it does."""

Target = Tuple[str, int]


class Session:
    """Lives from the first link of a laptop's process to its goodbye, or to its successor."""

    def __init__(self, hello: Hello, past: FrozenSet[bytes], poll: Poll, budget: Budget) -> None:
        self.incarnation = hello.incarnation
        self.past = past
        """Processes of the laptop that had this session before: they may not come back."""
        self.carrier: "Optional[Carrier]" = None
        self.targets: "Set[Target]" = set()
        """All that the laptop was allowed to have dialled."""
        self._poll = poll
        self._budget = budget
        self._mux = Mux(False, hello.session, os.urandom(16))
        self._upstreams: "Dict[int, Upstream]" = {}
        self._told_stopped = False
        self._before: "Optional[Session]" = None
        """Of the process before this one, which died; since when it has no link."""
        self._began = 0.0

    def attach(self, carrier: Carrier, hello: Hello, now: float) -> None:
        """Go on over a new link; raises :class:`ProtocolError` and goes on over the old one."""
        held = self._held
        events = self._mux.accept(hello, now)
        self.carrier = carrier
        self.targets.update(carrier.targets)
        self._handle(events)
        carrier.put(self._mux.pull(now, 0))
        carrier.put(frames.status(held, stopped=self._stopped))

    def succeed(self, before: "Session", now: float) -> None:
        """That one's process is dead: what its pages did not get of their kernels stays a while."""
        before.part()
        self._before, self._began = before, now

    def part(self) -> None:
        """Nobody comes back for this: let the server know, and take in what it still says."""
        self.detach()
        self._forget_before()
        for number, upstream in list(self._upstreams.items()):
            if not upstream.part():
                self._drop(number)

    def leave(self) -> None:
        """End what the server has not ended."""
        for upstream in self._upstreams.values():
            if not upstream.parted:
                self._poll.forget(upstream.sock.fileno())
                upstream.leave()

    def elder(self, page: bytes) -> Optional[Upstream]:
        """That page's last websocket; another that asks does not get it too."""
        found = [upstream for upstream in self._upstreams.values() if upstream.page == page]
        for upstream in found:
            upstream.page = b""
        return found[-1] if found else None

    def detach(self) -> None:
        """The link is gone; the server need not know."""
        self.carrier = None
        self._mux.disconnect()

    def receive(self, one: Frame, now: float) -> bool:
        """Take in a frame; True when the laptop is done with this session."""
        events = self._mux.receive(one, now)
        self._handle(events)
        return any(isinstance(event, Bye) for event in events)

    @property
    def websockets(self) -> int:
        """How many share the memory for what nobody fetches."""
        return sum(upstream.websocket for upstream in self._upstreams.values())

    def go_on(self, now: float, memory: int, tick: bool) -> None:
        """After whatever happened: send, and say what to wait for. ``memory``: per websocket."""
        if self._before is not None:
            self._wait_for_pages(self._before, now, memory, tick)
        away = self.carrier is None or self._mux.silence(now) > SILENT_S
        for upstream in list(self._upstreams.values()):
            upstream.memory = memory
            if upstream.held:
                upstream.refill()
            if tick and away and not upstream.hold(now):
                self._poll.forget(upstream.sock.fileno())
                upstream.leave()
        if self.carrier is not None:
            self._send(self.carrier, now)
        for upstream in self._upstreams.values():
            self._watch(upstream)

    def deadline(self) -> float:
        """When there will be something to send though nothing happens."""
        return self._mux.deadline() if self.carrier is not None else NEVER

    def close(self) -> None:
        """End every connection to the server."""
        self._forget_before()
        for number in list(self._upstreams):
            self._drop(number)

    # inside

    @property
    def _held(self) -> int:
        return self._mux.held + sum(upstream.held for upstream in self._upstreams.values())

    @property
    def _stopped(self) -> bool:
        return any(upstream.stopped for upstream in self._upstreams.values())

    def _send(self, carrier: Carrier, now: float) -> None:
        if self._stopped != self._told_stopped:
            self._told_stopped = self._stopped
            carrier.put(frames.status(self._held, stopped=self._stopped))
        while carrier.room > 0:
            data = self._mux.pull(now, carrier.room)
            if not data:
                break
            carrier.put(data)

    def _handle(self, events: List[Event]) -> None:
        for event in events:
            if isinstance(event, Opened):
                self._open(event)
            elif isinstance(event, Received) and event.stream in self._upstreams:
                self._received(self._upstreams[event.stream], event.data)
            elif isinstance(event, Ended) and event.stream in self._upstreams:
                self._upstreams[event.stream].end()
            elif isinstance(event, Reset):
                self._drop(event.stream)

    def _received(self, upstream: Upstream, data: bytes) -> None:
        upstream.send(data)
        if self._before is not None and upstream.page:
            upstream.elder = upstream.elder or self._before.elder(upstream.page)

    def _open(self, event: Opened) -> None:
        host, _, port = event.target.decode("utf-8", "replace").rpartition(" ")
        target = (host, int(port) if port.isdigit() else -1)
        if target not in self.targets:
            self._mux.reset(event.stream)
            return
        try:
            self._upstreams[event.stream] = Upstream(event.stream, self._mux, target, self._budget)
        except OSError:  # no descriptors left, or no such address
            self._mux.reset(event.stream)

    def _watch(self, upstream: Upstream) -> None:
        fd = upstream.sock.fileno()
        if fd >= 0:
            mask = (READ if upstream.wants_read else 0) | (WRITE if upstream.wants_write else 0)
            self._poll.watch(fd, mask, upstream.ready or self._ready(upstream))

    def _ready(self, upstream: Upstream) -> Ready:
        def ready(mask: int) -> None:
            now = time.monotonic()
            alive = upstream.writable(now) if mask & WRITE else True
            if alive and mask & READ:
                alive = upstream.readable(now)
            if not alive:
                self._mux.reset(upstream.number)
                self._drop(upstream.number)
            elif upstream.number not in self._mux.streams:
                self._drop(upstream.number)

        upstream.ready = ready
        return ready

    def _wait_for_pages(self, before: "Session", now: float, memory: int, tick: bool) -> None:
        before.go_on(now, memory, tick)
        if now - self._began > PARTING_S:
            before.leave()
        if now - self._began > REMAINS_S:
            self._forget_before()

    def _forget_before(self) -> None:
        if self._before is not None:
            self._before.close()
            self._before = None

    def _drop(self, number: int) -> None:
        upstream = self._upstreams.pop(number, None)
        if upstream is not None:
            self._poll.forget(upstream.sock.fileno())
            upstream.close()
