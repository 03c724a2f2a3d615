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

    def attach(self, carrier: Carrier, hello: Hello, now: float) -> None:
        """Go on over a new link; raises :class:`ProtocolError` and goes on over the old one."""
        held = self._held
        events = self._mux.accept(hello, now)
        self.carrier = carrier
        self.targets.update(carrier.targets)
        self._handle(events)
        carrier.put(self._mux.pull(now, 0))
        carrier.put(frames.status(held, stopped=self._stopped))

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
                self._upstreams[event.stream].send(event.data)
            elif isinstance(event, Ended) and event.stream in self._upstreams:
                self._upstreams[event.stream].end()
            elif isinstance(event, Reset):
                self._drop(event.stream)

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

    def _drop(self, number: int) -> None:
        upstream = self._upstreams.pop(number, None)
        if upstream is not None:
            self._poll.forget(upstream.sock.fileno())
            upstream.close()
