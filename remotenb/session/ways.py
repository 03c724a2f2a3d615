"""The ways to what listens over there: relays, each in its place, and sshd's forwards.

A relay is started when something first asks for its place. Its one command ships it, starts it
where it does not run, and attaches to it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.engines import engine_of
from remotenb.engines.docker import STATE_TARGET, notebook_of_ours, state_dir
from remotenb.errors import LinkError, LinkLost, ServerUnreachable
from remotenb.server import ON_HOST
from remotenb.text import one_line
from remotenb.tunnel.direct import Forwards, forbidden
from remotenb.tunnel.relayed import Relayed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from remotenb.model import Container, Probe
    from remotenb.server import Endpoint
    from remotenb.ssh.link import Link
    from remotenb.tunnel.relayed import Attached, Cut

logger = logging.getLogger(__name__)

ATTACH_TIMEOUT_S = 20.0

ANY_PYTHON = ("sh", "-c", 'exec "$(command -v python3 || command -v python)" "$@"', "sh")
"""For a container that nobody has looked into."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a relay runs, and the commands that lead to it, best first."""

    name: str
    """:data:`ON_HOST` or a container's id."""
    commands: tuple[tuple[tuple[str, ...], dict[str, object]], ...]
    """Each an argv and what it is told; see ``far/attach.py``."""


def place_on_host(probe: Probe) -> Place:
    """Beside a server of the host's own."""
    return Place(ON_HOST, ((far.boot(probe.host.python or "python3"), {"folders": []}),))


def place_in(container: Container, probe: Probe) -> Place:
    """In a container: by its mounted folder if remotenb made it, else by the engine's ``exec``.

    The folder lets the host's own Python hand our pipes in: docker's copying costs two thirds
    of the throughput.
    """
    python = container.scan.python if container.scan else None
    run = far.boot(python) if python else (*ANY_PYTHON, *far.boot("python3")[1:])
    inside = (*engine_of(container).inside(container.id), *run)
    commands = [(inside, {"folders": list[str]()})]
    if notebook_of_ours(container) and probe.host.python:
        folder = state_dir(probe.home, container.name)
        told: dict[str, object] = {"folders": [folder], "inside": [STATE_TARGET], "start": inside}
        commands.insert(0, (far.boot(probe.host.python), told))  # type: ignore[arg-type]
    return Place(container.id, tuple(commands))  # type: ignore[arg-type]


def attach(link: Link, place: Place, relayed: Relayed, targets: Iterable[Endpoint]) -> Attached:
    """Carry ``relayed`` over ``link``; raises a :class:`LinkError` when no command leads there."""
    allowed = sorted({(one.host, one.port) for one in targets})
    # a home may be shared by containers, and by machines: each place has a relay of its own name
    where = hashlib.sha256(f"{link.host.hostname}\0{place.name}".encode()).hexdigest()[:8]
    name = f"{far.relay_name()}-{where}"
    for number, (argv, told) in enumerate(place.commands, 1):
        marker = secrets.token_hex(12)
        wish = far.wish(**told, name=name, targets=allowed, marker=marker)
        try:
            channel = link.pipe((*argv, wish), far.shipment())
            return relayed.attach(channel, marker.encode()).result(ATTACH_TIMEOUT_S)
        except TimeoutError:
            why: LinkError = LinkLost(
                f"the relay did not answer in {ATTACH_TIMEOUT_S:g} s", hint="is that machine busy?"
            )
        except LinkError as error:
            why = error
        relayed.detach(why.message)
        logger.info("no relay by way %d of %s: %s", number, place.name, one_line(why.message))
        if number == len(place.commands) or not link.alive:
            raise why
    raise AssertionError(place)  # pragma: no cover  a place has a command


class Ways:
    """Sockets to endpoints, whoever dials them; for our own questions before there is a tunnel."""

    def __init__(
        self, link: Link, probe: Probe, session: Callable[[str], bytes], cut: Callable[[Cut], None]
    ) -> None:
        """``session`` names the session of a place; ``cut`` hears of a relay's link's end."""
        self._link = link
        self._probe = probe
        self._session = session
        self._cut = cut
        self._forwards = Forwards(link.transport)
        self._asked: Future[bool] | None = None
        self._targets: dict[str, set[Endpoint]] = {}
        self._containers: dict[str, Container] = {one.id: one for one in probe.containers}
        self._relays: dict[str, Relayed] = {}
        self._told: dict[str, set[Endpoint]] = {}
        """What the relay of a place has heard that it may dial."""
        self._refused: dict[str, LinkError] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._attaching: dict[str, threading.Lock] = {}
        """One for each place: relays in different places are attached at the same time."""
        link.sessions.make_room.append(self.let_go)

    def expect(self, endpoints: Iterable[Endpoint], container: Container | None = None) -> None:
        """What may be asked for: a relay dials nothing else."""
        for endpoint in endpoints:
            if endpoint.place is not None:
                self._targets.setdefault(endpoint.place, set()).add(endpoint)
        if container is not None:
            self._containers[container.id] = container

    def connect(self, endpoint: Endpoint) -> socket.socket:
        """A connection to ``endpoint``; raises :class:`OSError` when there is no way."""
        if endpoint.place is None:
            return self._forward(endpoint)
        return self._relay(endpoint.place).carrier(endpoint).connect()

    def ask_for_forwards(self) -> None:
        """Have sshd say, while others wait for it anyway, whether it forbids forwards."""
        self._asked = forbidden(self._link.transport)

    @property
    def forwards_forbidden(self) -> bool:
        """Whether sshd has said that it does; not waited for."""
        asked = self._asked
        return asked is not None and asked.done() and not asked.cancelled() and asked.result()

    def check(self) -> None:
        """Raise if sshd forbids forwards and they were needed."""
        if not self._relays:
            self._forwards.check()

    def place(self, name: str) -> Place:
        """The place of that name."""
        if name == ON_HOST:
            return place_on_host(self._probe)
        return place_in(self._containers[name], self._probe)

    def take(self, name: str) -> Relayed:
        """The relay of a place, for good; the others are let go. Raises :class:`OSError`."""
        relay = self._relay(name)
        with self._lock:
            del self._relays[name]
        self.close()
        return relay

    def let_go(self) -> None:
        """Give the channels back: sshd may allow one session at a time."""
        for relay in list(self._relays.values()):
            relay.detach("making room")

    def close(self) -> None:
        """End every relay that nobody took; may be called twice."""
        with self._lock:
            self._closed = True
            relays, self._relays = list(self._relays.values()), {}
        for relay in relays:
            relay.close()
        self._link.sessions.forget_room(self.let_go)
        self._link.sessions.drop_spare()

    def refusal(self, name: str) -> LinkError | None:
        """Why there is no relay in that place."""
        return self._refused.get(name)

    def _forward(self, endpoint: Endpoint) -> socket.socket:
        """Where forwarding is forbidden, a relay may still be a way."""
        try:
            return self._forwards.connect(endpoint)
        except ServerUnreachable as error:
            if not self._relays:
                raise
            raise ConnectionError(error.message) from None

    def _relay(self, name: str) -> Relayed:
        with self._lock:
            attaching = self._attaching.setdefault(name, threading.Lock())
        with attaching:
            relay = self._relays.get(name)
            targets = set(self._targets.get(name, ()))
            if relay is not None and relay.linked:
                if targets <= self._told[name]:
                    return relay
                relay.detach("more to dial")
            if name in self._refused:
                raise ConnectionError(self._refused[name].message)
            relay = relay or Relayed(self._session(name), self._link.host.name, self._cut)
            try:
                attach(self._link, self.place(name), relay, targets)
                self._told[name] = targets
            except LinkError as error:
                self._refused[name] = error
                relay.close()
                raise ConnectionError(error.message) from None
            with self._lock:
                if not self._closed:
                    self._relays[name] = relay
                    return relay
            relay.close()
            raise ConnectionError("nobody waits for that relay any more")


def session_name(laptop: bytes, *facts: str) -> bytes:
    """The same 16 bytes for the same laptop and facts."""
    return hashlib.sha256(b"\0".join([laptop, *(fact.encode() for fact in facts)])).digest()[:16]
