"""TCP again after an outage: fresh attempts race, since an old one waits for its next SYN.

The kernel repeats a lost SYN after 1, 3, 7, … seconds; a network that is back answers a new one
at once. One thread, one selector; only the names are resolved elsewhere, as that can hang.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from remotenb.errors import HostUnreachable
from remotenb.ssh.dial import resolve, tune, unconnected, unknown, unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.errors import LinkError
    from remotenb.model import Host
    from remotenb.ssh.dial import Address

LEAST_ATTEMPT_S, LEAST_SPACING_S, ATTEMPT_RTTS = 1.0, 0.33, 4
REDIAL_S = 10.0
"""After which somebody is told that nothing answers; then it goes on."""
IN_FLIGHT = 3
"""Attempts at a time."""
STOP_WITHIN_S = 0.05
"""How often ``stop`` is looked at: a selector cannot wait for an event."""
RESOLVE_EVERY_S = 3.0
"""How often a name is resolved anew, and how long it may take before another thread tries."""
RESOLVE_AGAIN_S = 0.5
"""How soon a name is resolved anew that nobody could resolve."""
RESOLVERS = 3
"""Threads at a time that resolve the name: one may hang on a server of the old network."""

_ON_ITS_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
"""What connect_ex says of an attempt that goes on: the last on Windows, 0 when it is through."""


def redial(  # noqa: PLR0913  all but the host by name
    host: Host,
    *,
    stop: threading.Event,
    spacing: float = LEAST_SPACING_S,
    lifetime: float = LEAST_ATTEMPT_S,
    deadline: float | None = None,
    known: Sequence[Address] = (),
) -> socket.socket:
    """A connection to ``host``, tried every ``spacing`` s until the monotonic ``deadline``.

    Each attempt has ``lifetime`` s: more than a round trip. ``known`` are addresses to use while
    the name is being resolved. Raises :class:`HostUnreachable`, also when ``stop`` is set, and
    :class:`HostUnknown`.
    """
    with Race(host, known, spacing=spacing, lifetime=lifetime) as race:
        while not stop.is_set():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise race.failure()
            if (winner := race.turn(now, stop)) is not None:
                winner.settimeout(host.connect_timeout)
                return winner
    raise HostUnreachable(f"{host.name} is not dialled any more", hint="connect again")


def redial_first_hop(
    host: Host, *, stop: threading.Event, rtt: float = 0.0
) -> Future[socket.socket] | None:
    """TCP to where ``host`` is dialled first, as :func:`redial`; None behind a ProxyCommand.

    ``rtt`` is the way's last known round trip, in seconds.
    """
    first = (*host.jumps, host)[0]
    if first.proxy_command:
        return None
    dialled: Future[socket.socket] = Future()
    dialled.set_result(
        redial(
            first,
            stop=stop,
            spacing=max(LEAST_SPACING_S, 1.5 * rtt),
            lifetime=max(LEAST_ATTEMPT_S, ATTEMPT_RTTS * rtt),
            deadline=time.monotonic() + REDIAL_S,
        )
    )
    return dialled


def address_of(sock: socket.socket) -> Address:
    """Where ``sock`` is connected to, for the next :func:`redial`."""
    return sock.family, sock.type, sock.proto, sock.getpeername()


class Names:
    """The addresses of a host, asked for again and again in daemon threads."""

    def __init__(self, host: Host, known: Sequence[Address]) -> None:
        self._host = host
        self.addresses = list(known)
        self.error: Exception | None = None
        self._answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()
        self._asking = 0
        self._next = 0.0

    def look(self, now: float) -> None:
        """Take the answers that came, and ask again if it is time."""
        while (answer := self._answer()) is not None:
            self._take(answer, now)
        if now >= self._next and self._asking < RESOLVERS:
            self._next = now + RESOLVE_EVERY_S
            self._asking += 1
            threading.Thread(target=self._ask, name="remotenb-resolve", daemon=True).start()

    def _answer(self) -> list[Address] | Exception | None:
        """The next answer; with nothing to dial it is worth a little wait."""
        patient = self._asking and not self.addresses
        try:
            return self._answers.get(timeout=STOP_WITHIN_S if patient else 0)
        except queue.Empty:
            return None

    def _ask(self) -> None:
        try:
            self._answers.put(resolve(self._host))
        except (OSError, UnicodeError) as error:
            self._answers.put(error)

    def _take(self, answer: list[Address] | Exception, now: float) -> None:
        self._asking -= 1
        if isinstance(answer, list):
            self.addresses, self.error = answer, None
            return
        self.error = answer
        self._next = min(self._next, now + RESOLVE_AGAIN_S)
        # where the name is unknown, an address of another network may be a stranger's
        if getattr(answer, "errno", None) == socket.EAI_NONAME:
            self.addresses = []


class Race:
    """Attempts in flight; the first that connects wins. A context manager that ends the others."""

    def __init__(
        self, host: Host, known: Sequence[Address], *, spacing: float, lifetime: float
    ) -> None:
        self._host = host
        self._names = Names(host, known)
        self._spacing = spacing
        self._lifetime = lifetime
        self._flying: dict[socket.socket, float] = {}
        self._refusal: OSError | None = None
        self._next = 0.0
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._selector = self._stack.enter_context(selectors.DefaultSelector())
        self.tries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for sock in list(self._flying):
            self._drop(sock)
        self._stack.close()

    def turn(self, now: float, stop: threading.Event) -> socket.socket | None:
        """Begin and end what is due, then wait a little; the winner, if there is one."""
        self._names.look(now)
        for sock, until in list(self._flying.items()):
            if now >= until:
                self._refusal = TimeoutError()
                self._drop(sock)
        if now >= self._next and len(self._flying) < IN_FLIGHT and self._names.addresses:
            self._next = now + self._spacing
            self._begin(now)
        return self._wait(stop, self._pause(now))

    def failure(self) -> LinkError:
        """What to say when the time is over."""
        if not self._names.addresses:
            return unknown(self._host, self._names.error or TimeoutError("no answer in time"))
        tried_for = round(time.monotonic() - self._begun, 1)
        return unreachable(self._host, self._refusal or TimeoutError(), tried_for)

    def _begin(self, now: float) -> None:
        address = self._names.addresses[self.tries % len(self._names.addresses)]
        self.tries += 1
        try:
            sock = unconnected(address, self._host)
        except OSError as error:  # a family that this kernel does not have
            self._refusal = error
            return
        sock.settimeout(0)
        self._flying[sock] = now + self._lifetime
        self._selector.register(sock, selectors.EVENT_WRITE)
        code = sock.connect_ex(address[3])
        if code not in _ON_ITS_WAY:
            self._refused(sock, code)

    def _pause(self, now: float) -> float:
        room = len(self._flying) < IN_FLIGHT and self._names.addresses
        return min(max(self._next - now, 0.0), STOP_WITHIN_S) if room else STOP_WITHIN_S

    def _wait(self, stop: threading.Event, seconds: float) -> socket.socket | None:
        if not self._flying:  # Windows cannot select among no sockets
            stop.wait(seconds)
            return None
        for key, _ in self._selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)  # noqa: S101  nothing else is registered
            if self._won(sock):
                return sock
        return None

    def _won(self, sock: socket.socket) -> bool:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._refused(sock, code)
            return False
        try:
            # on the loopback TCP may connect a free port to itself
            if sock.getsockname() == sock.getpeername():
                raise ConnectionRefusedError
            tune(sock)
        except OSError as error:
            self._refusal = error
            self._drop(sock)
            return False
        self._forget(sock)
        return True

    def _refused(self, sock: socket.socket, code: int) -> None:
        words = getattr(socket, "errorTab", {}).get(code)  # Windows' own
        self._refusal = OSError(code, words or os.strerror(code))
        self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        self._forget(sock)
        sock.close()

    def _forget(self, sock: socket.socket) -> None:
        del self._flying[sock]
        self._selector.unregister(sock)
