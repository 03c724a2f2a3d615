"""The relay's carrier: every connection of the browser's over one channel, in one thread.

The thread lives as long as the session; links come and go under it. Whatever other threads
want is posted to it.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import LinkError, LinkLost, SessionTaken
from remotenb.far.events import Refused, Reset, Status
from remotenb.far.frames import BYE, Decoder, Hello, ProtocolError, frame
from remotenb.far.mux import NEVER, Mux
from remotenb.far.poll import READ, Poll
from remotenb.tunnel.connections import Connections
from remotenb.tunnel.local import Local
from remotenb.tunnel.pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.far.events import Event
    from remotenb.server import Endpoint
    from remotenb.tunnel.pipe import ByteChannel

logger = logging.getLogger(__name__)

TICK_S = 0.25
SILENCE_S, SUSPECT_S, SILENCE_RTTS = 3.0, 1.0, 4
STOPPED_S = 2.0
SUPERSEDED = "superseded"
"""What the relay says to a process whose session another one has taken over."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A link carries us."""

    held: int
    """Bytes that the far side had kept for us."""
    stopped: bool
    """It could keep no more, and stopped reading from the server."""
    fresh: bool
    """The far side knew nothing of this session: its relay is a new one."""
    lost: int
    """Connections that the far side knows nothing of any more, and that were ended."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A link ended."""

    why: LinkError
    silent_for: float


class Relayed:
    """A carrier that outlives its link. ``on_cut`` is called in its thread."""

    def __init__(self, session: bytes, host: str, on_cut: Callable[[Cut], None]) -> None:
        self._mux = Mux(near=True, session=session, incarnation=secrets.token_bytes(16))
        self._on_cut = on_cut
        self._poll = Poll()
        self._connections = Connections(self._mux, self._poll, host)
        self._pipe: Pipe | None = None
        self._decoder = Decoder()
        self._attaching: Future[Attached] | None = None
        self._lost = 0
        self._met = False
        """The far side has answered once: until then nothing is an outage, and all may wait."""
        self._fresh = True
        self._epoch = 0
        self.replayed = 0
        """Bytes that the far side had kept for us, all links together."""
        self.held = 0
        """Bytes that wait here for the far side, as of a moment ago."""
        self._posted: deque[Callable[[], None]] = deque()
        self._ended = False
        self._suspected = NEVER
        self._bell, bell = socket.socketpair()
        self._bell.setblocking(False)  # noqa: FBT003  socket's own
        bell.setblocking(False)  # noqa: FBT003  socket's own
        self._poll.watch(bell.fileno(), READ, lambda _mask: _drained(bell))
        self._their_bell = bell
        self._thread = threading.Thread(target=self._run, name="tunnel", daemon=True)
        self._thread.start()

    # from any thread

    def carrier(self, endpoint: Endpoint) -> Towards:
        """A carrier to one endpoint, as the relay sees it."""
        return Towards(self, f"{endpoint.host} {endpoint.port}".encode())

    def take(self, sock: socket.socket, target: bytes, first: bytes = b"") -> None:
        """Carry a connection, of which ``first`` was read already; returns at once."""
        self._post(lambda: self._connections.begin(Local(sock, target), first))

    def attach(self, channel: ByteChannel, marker: bytes) -> Future[Attached]:
        """Go on over this channel; done when the far side has answered."""
        future: Future[Attached] = Future()
        self._post(lambda: self._attach(channel, marker, future))
        return future

    def detach(self, cause: str) -> None:
        """Let the link of the moment go; ``on_cut`` is not called."""
        self._post(lambda: self._let_go(LinkLost(cause)))

    def suspect(self) -> None:
        """The link may be dead: it is, unless something is heard soon."""
        self._post(self._suspect)

    def tell_state(self, text: str) -> None:
        """What a page says that asks in the outage."""
        self._connections.state = text

    @property
    def linked(self) -> bool:
        """Whether bytes go through, as far as is known."""
        return self._pipe is not None and self._attaching is None

    @property
    def rtt(self) -> float:
        """Seconds; 0 when nothing was measured yet."""
        return self._mux.pace.rtt

    def close(self) -> None:
        """Tell the far side that this is over, and end every connection."""
        self._post(self._end)
        self._thread.join(2)

    # the thread

    def _post(self, call: Callable[[], None]) -> None:
        self._posted.append(call)
        self._wake()

    def _wake(self) -> None:
        try:
            self._bell.send(b"\0")
        except OSError:
            pass  # rung already, or closed

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended:
            now = time.monotonic()
            if now - before > STOPPED_S:  # this process was stopped, or the laptop slept
                self._mux.heard = now
                self._suspect()
            before = now
            self._poll.wait(min(TICK_S, self._mux.deadline() - now))
            while self._posted:
                self._posted.popleft()()
            now = time.monotonic()
            self._look_after_link(now)
            self.held = self._mux.held
            self._connections.linked = self.linked or not self._met
            self._connections.look_after_held(now)
            self._connections.watch()
            self._send(now)
        self._poll.close()
        self._bell.close()
        self._their_bell.close()

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.put(frame(BYE))
            self._pipe.flush(0.3)
        self._let_go(LinkLost("the session is over"))
        self._connections.abort()
        self._ended = True

    # the link

    def _attach(self, channel: ByteChannel, marker: bytes, future: Future[Attached]) -> None:
        self._let_go(LinkLost("another link came"))
        self._epoch += 1
        self._lost = 0
        self._decoder = Decoder()
        self._attaching = future
        pipe = self._pipe = Pipe(channel, marker, self._wake)
        self._poll.watch(pipe.fileno(), READ, lambda _mask: self._came(pipe))
        pipe.put(self._mux.connect(self._epoch, time.monotonic()))

    def _let_go(self, why: LinkError) -> None:
        if self._pipe is not None:
            self._poll.forget(self._pipe.fileno())
            self._pipe.close()
            self._pipe = None
        self._mux.disconnect()
        if self._attaching is not None:
            self._attaching.set_exception(why)
            self._attaching = None

    def _came(self, pipe: Pipe) -> None:
        if pipe is not self._pipe:
            return
        now = time.monotonic()
        data = pipe.read()
        if data is None:
            said = bytes(pipe.complaint).decode("utf-8", "replace")
            self._cut(f"closed by the far side{': ' + said if said else ''}", now)
            return
        try:
            for one in self._decoder.feed(data):
                if pipe is self._pipe:  # a frame before it may have been the end
                    self._handle(self._mux.receive(one, now), now)
        except ProtocolError as error:
            self._cut(f"the relay makes no sense: {error}", now)

    def _suspect(self) -> None:
        self._mux.pace.pinged = 0.0  # so that a ping is due now
        self._suspected = time.monotonic()

    def _cut(self, cause: str, now: float) -> None:
        why: LinkError = LinkLost(cause)
        if cause == SUPERSEDED:
            hint = "remotenb status shows it"
            why = SessionTaken("another remotenb of this laptop carries this on", hint=hint)
        attaching, silence = self._attaching, self._mux.silence(now)
        self._let_go(why)
        if attaching is None:
            self._on_cut(Cut(why, silence))

    def _look_after_link(self, now: float) -> None:
        pipe = self._pipe
        if pipe is None:
            return
        if pipe.failed:
            self._cut(pipe.failed, now)
        elif self._attaching is None:
            patience = SILENCE_RTTS * self._mux.pace.rtt
            silence = self._mux.silence(now)
            since = now - self._suspected
            if silence > max(SILENCE_S, patience) or silence > since > max(SUSPECT_S, patience):
                self._cut(f"nothing heard for {silence:.1f} s", now)

    def _send(self, now: float) -> None:
        while self._pipe is not None and self._pipe.room > 0:
            data = self._mux.pull(now, self._pipe.room)
            if not data:
                return
            self._pipe.put(data)

    def _handle(self, events: list[Event], now: float) -> None:
        for event in events:
            if isinstance(event, Hello):
                self._fresh = event.fresh
                self._lost = sum(isinstance(one, Reset) for one in events)
            elif isinstance(event, Status):
                self._status(event)
            elif isinstance(event, Refused):
                self._cut(event.reason, now)
            else:
                self._connections.happened(event, now)

    def _status(self, status: Status) -> None:
        if self._attaching is None:
            return
        attaching, self._attaching = self._attaching, None
        self._met = True
        if self._epoch > 1:
            self.replayed += status.held
        self._connections.link_is_back()
        attaching.set_result(Attached(status.held, status.stopped, self._fresh, self._lost))


@dataclass(frozen=True, slots=True)
class Towards:
    """A carrier to one endpoint of the far side."""

    relayed: Relayed
    target: bytes

    def carry(self, browser: socket.socket, first: bytes = b"") -> None:
        """Carry one connection; returns at once."""
        self.relayed.take(browser, self.target, first)

    def connect(self) -> socket.socket:
        """A socket whose other end is carried, for questions of our own."""
        ours, carried = socket.socketpair()
        self.carry(carried)
        return ours


def _drained(bell: socket.socket) -> None:
    try:
        while bell.recv(4096):
            pass
    except OSError:
        pass
