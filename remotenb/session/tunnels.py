"""The local ports of a session, and what carries their connections, link after link."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from remotenb.report import Forwarded
from remotenb.session.ways import attach
from remotenb.tunnel.direct import DirectCarrier, Forwards
from remotenb.tunnel.gate import Gate
from remotenb.tunnel.held import Held
from remotenb.tunnel.listener import Listener, bind, ports_for

if TYPE_CHECKING:
    import socket

    from remotenb.server import Endpoint, Server
    from remotenb.session.ways import Place, Ways
    from remotenb.ssh.link import Link
    from remotenb.tunnel.listener import Carrier
    from remotenb.tunnel.relayed import Attached, Relayed

logger = logging.getLogger(__name__)


class Tunnel:
    """Bound once; the server behind it, the link under it and even its carrier may change."""

    def __init__(self, link: Link, server: Server, ways: Ways, sock: socket.socket) -> None:
        self._stack = ExitStack()
        self._link = link
        self.server = server
        self.relayed: Relayed | None = None
        self._place: Place | None = None
        self._held: list[Held] = []
        self._forwards: dict[int, Listener] = {}
        self._port: int = sock.getsockname()[1]
        self._choose(ways)
        self.listener = self._stack.enter_context(Listener(sock, self._carrier()))

    @property
    def linked(self) -> bool:
        """Whether bytes go through, as far as is known."""
        return self.relayed.linked if self.relayed else self._link.alive and not self._held

    @property
    def forwards(self) -> tuple[Forwarded, ...]:
        """The further ports."""
        return tuple(Forwarded(port, one.port) for port, one in self._forwards.items())

    def connect(self, endpoint: Endpoint) -> socket.socket:
        """A connection that goes the way of the browser's, for questions of our own."""
        if self.relayed is None:
            return Forwards(self._link.transport).connect(endpoint)
        return self.relayed.carrier(endpoint).connect()

    def forward(self, login: str, *ports: int) -> None:
        """Lead local ports, of the same number where that is free, to ``ports`` over there."""
        new = [port for port in dict.fromkeys(ports) if port not in self._forwards]
        for port in new:
            container = self.server.container.name if self.server.container else ""
            sock = bind((port, *ports_for(login, f"{container}:{port}")))
            carrier = self._to(self._beside(port))
            self._forwards[port] = self._stack.enter_context(Listener(sock, carrier))
        if new and self._place is not None and self.linked:
            self.resume(self._link)  # the relay must be told that it may dial them

    def hold(self) -> None:
        """The link is gone: what a carrier cannot keep is at least not refused."""
        if self.relayed is None and not self._held:
            for listener in (self.listener, *self._forwards.values()):
                held = Held()
                self._held.append(held)
                listener.carrier = held

    def resume(self, link: Link) -> Attached | None:
        """Go on over ``link``, to the same server; None where nothing could be kept.

        Raises a :class:`LinkError` when the relay is not to be had.
        """
        self._link = link
        if self.relayed is not None and self._place is not None:
            return attach(link, self._place, self.relayed, self._endpoints())
        self._lead_on()
        return None

    def move(self, link: Link, server: Server, ways: Ways) -> Attached | None:
        """Go on over ``link`` to another server at the same local port."""
        self._link, self.server = link, server
        if self.relayed is None:
            self._lead_on()
            return None
        place = next((one.place for one in (server.endpoint, *server.ways) if one.place), None)
        if place is None:
            self.relayed.close()
            self.relayed = self._place = None
            self._lead_on()
            return None
        self.server = _by(server, place)
        self._place = ways.place(place)
        attached = attach(link, self._place, self.relayed, self._endpoints())
        self._lead_on()
        return attached

    def close(self) -> None:
        """Close the ports and end the relay's session."""
        self._stack.close()
        if self.relayed is not None:
            self.relayed.close()

    def _choose(self, ways: Ways) -> None:
        """The relay if there is one to be had, though another way may have answered first."""
        for endpoint in (self.server.endpoint, *self.server.ways):
            if endpoint.place is None:
                continue
            try:
                self.relayed = ways.take(endpoint.place)
            except OSError as error:
                logger.info("no relay: %s", error)
                continue
            self._place = ways.place(endpoint.place)
            self.server = _by(self.server, endpoint.place)
            return

    def _endpoints(self) -> list[Endpoint]:
        return [self.server.endpoint, *(self._beside(port) for port in self._forwards)]

    def _beside(self, port: int) -> Endpoint:
        return replace(self.server.endpoint, port=port, secure=False)

    def _carrier(self) -> Carrier:
        carrier = self._to(self.server.endpoint)
        return Gate(carrier, self._port) if self.server.access == "open" else carrier

    def _to(self, endpoint: Endpoint) -> Carrier:
        if self.relayed is not None:
            return self.relayed.carrier(endpoint)
        return DirectCarrier(self._link.transport, endpoint)

    def _lead_on(self) -> None:
        held, self._held = self._held, []
        self.listener.carrier = self._carrier()
        for port, listener in self._forwards.items():
            listener.carrier = self._to(self._beside(port))
        for one, listener in zip(held, (self.listener, *self._forwards.values()), strict=False):
            one.go_on(listener.carrier)


def _by(server: Server, place: str) -> Server:
    """``server``, dialled from that place."""
    if server.endpoint.place == place:
        return server
    return replace(server, endpoint=next(one for one in server.ways if one.place == place))
