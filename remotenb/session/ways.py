"""The ways to what listens over there: relays, each in its place, and sshd's forwards.

A relay is started when something first asks for its place. Its one command ships it, starts it
where it does not run, and attaches to it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Way:
    """The relay of a place, there or on its way."""

    relay: Relayed
    told: set[Endpoint]
    """What it has heard that it may dial."""
    attached: Future[None] = field(default_factory=Future)
    """For the first time; raises :class:`OSError`."""

    @property
    def leads_on(self) -> bool:
        """Whether what is asked of it now gets there, if anything does."""
        return self.relay.linked or not self.attached.done()


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
        self._relays: dict[str, _Way] = {}
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
        """A connection to ``endpoint``; raises :class:`OSError` when there is no way.

        By a relay that is on its way what is asked travels in the same round trip; it ends
        without an answer where none comes to be.
        """
        if endpoint.place is None:
            return self._forward(endpoint)
        return self._way(endpoint.place).relay.carrier(endpoint).connect()

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
        if not self._attached:
            self._forwards.check()

    def place(self, name: str) -> Place:
        """The place of that name."""
        if name == ON_HOST:
            return place_on_host(self._probe)
        return place_in(self._containers[name], self._probe)

    def take(self, name: str) -> Relayed:
        """The relay of a place, for good; the others are let go. Raises :class:`OSError`."""
        way = self._way(name)
        way.attached.result()
        with self._lock:
            del self._relays[name]
        self.close()
        return way.relay

    def let_go(self) -> None:
        """Give the channels back: sshd may allow one session at a time."""
        for relay in self._attached:
            relay.detach("making room")

    def close(self) -> None:
        """End every relay that nobody took; may be called twice."""
        with self._lock:
            self._closed = True
            relays = self._attached  # one that is on its way will see that it is closed
            self._relays.clear()
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
            if not self._attached:
                raise
            raise ConnectionError(error.message) from None

    @property
    def _attached(self) -> list[Relayed]:
        """The relays that are there."""
        return [way.relay for way in list(self._relays.values()) if way.attached.done()]

    def _way(self, name: str) -> _Way:
        """The relay of a place, which may be on its way; raises :class:`OSError` for none."""
        with self._lock:
            attaching = self._attaching.setdefault(name, threading.Lock())
        with attaching:
            targets = set(self._targets.get(name, ()))
            way = self._relays.get(name) or self._begun(name, targets)
            if not (targets <= way.told and way.leads_on):
                way.attached.result()
                way.relay.detach("more to dial")
                way.told = targets
                self._attach(name, way)
            return way

    def _begun(self, name: str, targets: set[Endpoint]) -> _Way:
        if name in self._refused:
            raise ConnectionError(self._refused[name].message)
        way = _Way(Relayed(self._session(name), self._link.host.name, self._cut), targets)
        self._relays[name] = way
        threading.Thread(target=self._bring, args=(name, way), name="attach", daemon=True).start()
        return way

    def _bring(self, name: str, way: _Way) -> None:
        try:
            self._attach(name, way)
        except Exception as error:  # noqa: BLE001  it is theirs who wait
            way.attached.set_exception(error)
            return
        with self._lock:
            if not self._closed:
                way.attached.set_result(None)
                return
        way.relay.close()
        way.attached.set_exception(ConnectionError("nobody waits for that relay any more"))

    def _attach(self, name: str, way: _Way) -> None:
        """Raises :class:`OSError`, and so does whoever asks for that place later."""
        try:
            attach(self._link, self.place(name), way.relay, way.told)
        except LinkError as error:
            self._refused[name] = error
            self._relays.pop(name, None)
            way.relay.close()  # and with it what was asked
            raise ConnectionError(error.message) from None


def session_name(laptop: bytes, *facts: str) -> bytes:
    """The same 16 bytes for the same laptop and facts."""
    return hashlib.sha256(b"\0".join([laptop, *(fact.encode() for fact in facts)])).digest()[:16]
