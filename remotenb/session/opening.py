"""One run of ``connect``, and the session that it opens: a port that outlives its links."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from remotenb.errors import LinkError, LinkLost
from remotenb.find import Find, People
from remotenb.laptop import browser, laptop_id
from remotenb.laptop.clock import SystemClock, timestamp
from remotenb.laptop.credentials import Credentials
from remotenb.report import Forwarded, Quiet, Ready, Reporter, Snapshot
from remotenb.secret import Secret
from remotenb.session.keep import Keeper, News
from remotenb.session.presence import Visit
from remotenb.session.supervisor import PersonCame, Stop
from remotenb.session.tunnels import Tunnel
from remotenb.session.ways import session_name
from remotenb.settings import parse_gpus
from remotenb.ssh.link import open_link
from remotenb.ssh.remembered import Remembered
from remotenb.tunnel.listener import bind, ports_for
from remotenb.tunnel.onetime import OneTimeLink
from remotenb.tunnel.relayed import Cut

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from remotenb.laptop.clock import Clock
    from remotenb.laptop.credentials import Asker
    from remotenb.model import Host
    from remotenb.server import Server
    from remotenb.session.ways import Ways
    from remotenb.spec import Wish
    from remotenb.ssh.link import Link

__all__ = ["Connect", "People", "Session"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """An open tunnel to a server; a context manager that closes it. The notebook goes on."""

    host: Host
    reused: bool
    tunnel: Tunnel
    keeper: Keeper
    _stack: ExitStack
    started: str = field(default_factory=timestamp)
    _reason: str = ""

    @property
    def server(self) -> Server:
        """The server of the moment."""
        return self.tunnel.server

    @property
    def port(self) -> int:
        """The local port."""
        return self.tunnel.listener.port

    @property
    def address(self) -> str:
        """The notebook's local address, without the token."""
        scheme = "https" if self.server.endpoint.secure else "http"
        return f"{scheme}://127.0.0.1:{self.port}{self.server.base_url}"

    @property
    def url(self) -> Secret:
        """The address that logs one in: Jupyter itself leads on to its default page."""
        token = self.server.token.reveal()
        query = f"?token={quote(token, safe='')}" if token else ""
        return Secret(self.address + query)

    def one_time_link(self) -> str:
        """A new address that logs in once, within a minute."""
        link = OneTimeLink(self.url)
        self._stack.callback(link.close)
        return link.url

    def open_browser(self) -> bool:
        """Open the notebook by a link that works once; False when there is no browser."""
        return browser.available() and browser.open_page(self.one_time_link())

    def add_forward(self, port: int) -> Forwarded:
        """Lead a local port to ``port`` where the server runs; raises :class:`PortTaken`."""
        try:
            self.tunnel.forward(self.host.login, port)
        except LinkError as error:  # the port is ours all the same, and leads on when it is back
            self.keeper.happened(Cut(LinkLost(error.message), 0.0))
        return next(one for one in self.tunnel.forwards if one.port == port)

    def wait(self) -> str:
        """Keep the tunnel open, through every outage, until :meth:`stop`; the reason.

        Raises a :class:`RemotenbError` when the session cannot go on, as when the server is gone.
        """
        self.keeper.keep()
        return self._reason

    def stop(self, reason: str) -> None:
        """End :meth:`wait`, from another thread."""
        self._reason = reason
        self.keeper.happened(Stop())

    def try_again(self) -> None:
        """A person is there: whatever waits for one goes on."""
        self.keeper.happened(PersonCame())

    def log_in(self, person: Asker | None, leave: Callable[[], object]) -> Future[Exception | None]:
        """Somebody wants to log in, and may be asked; ``leave`` ends that. What came of it."""
        visit = Visit(person, leave)
        self.keeper.presence.receive(visit)
        return visit.over

    def snapshot(self) -> Snapshot:
        """How it is now; from any thread."""
        keeper, relayed, container = self.keeper, self.tunnel.relayed, self.server.container
        return Snapshot(
            host=self.host.name,
            container=container.name if container else None,
            image=container.image if container else None,
            address=self.address,
            local_port=self.port,
            link=keeper.link_state,
            since=keeper.since,
            started=self.started,
            outages=keeper.outages,
            replayed_bytes=relayed.replayed if relayed else 0,
            held_bytes=relayed.held if relayed else 0,
            kernels_busy=keeper.watch.busy,
            kernels_idle=keeper.watch.idle,
            relay=relayed is not None,
            forwards=self.tunnel.forwards,
        )

    def close(self) -> None:
        """Close the tunnel and the connection."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Connect:
    """One run of ``connect``: what is wanted, and who is to be told and asked."""

    host: Host
    wish: Wish
    report: Reporter
    people: People | None
    dialled: Future[socket.socket] | None = None
    """The TCP connection, begun while Python was still importing what comes on top of it."""
    clock: Clock = SystemClock()  # noqa: RUF009  it has no state
    remembered: Remembered = field(default_factory=Remembered)
    laptop: Callable[[], bytes] = laptop_id

    def open(self) -> Session:
        """Find or start the server and open the tunnel; raises a :class:`RemotenbError`."""
        settings = self.wish.settings
        parse_gpus(settings.gpus)  # what is wrong here needs no connection to be said
        settings.mounts()
        with ExitStack() as stack:
            inbox: queue.SimpleQueue[News] = queue.SimpleQueue()
            link = self.link()
            stack.callback(link.close)
            find = self.find(inbox.put)
            with find.server(link) as (server, reused, ways):
                tunnel = Tunnel(link, server, ways, bind(self._ports(server)))
                stack.callback(tunnel.close)
                self._speak_of_relay(tunnel, server, ways)
            tunnel.forward(self.host.login, *settings.forwards)
            keeper = Keeper(self, find, tunnel, link, inbox)
            stack.callback(keeper.close)
            return Session(self.host, reused, tunnel, keeper, stack.pop_all())

    def find(self, cut: Callable[[Cut], None]) -> Find:
        """Find-or-start on this host; ``cut`` hears of a relay's link's end."""
        return Find(self.wish, self.report, self.people, self.clock, self._session_of(), cut)

    def link(self) -> Link:
        """Connect and log in for the first time."""
        return self.link_again(Visit(self.people), self.dialled)

    def link_again(self, visit: Visit | None, dialled: Future[socket.socket] | None) -> Link:
        """Connect and log in; somebody is asked, and told, only where there is a ``visit``."""
        report = self.report if visit else Quiet()
        person = visit.person if visit else None
        with report.step(f"connecting to {self.host.login}"):
            return open_link(
                self.host,
                credentials=Credentials(person, report.warning, retry=visit is None),
                dialled=dialled,
                remembered=self.remembered,
            )

    def ready(self, session: Session, elapsed: float) -> Ready:
        """The event that tells of ``session``."""
        server = session.server
        return Ready(
            host=self.host.name,
            url=session.url.reveal(),
            address=session.address,
            local_port=session.port,
            engine=(server.container.engine.name or "docker") if server.container else "host",
            server=server,
            reused=session.reused,
            gpus=server.container.gpus if server.container else None,
            elapsed=elapsed,
            relay=session.tunnel.relayed is not None,
            forwards=session.tunnel.forwards,
        )

    def _session_of(self) -> Callable[[str], bytes]:
        laptop, port = self.laptop(), str(self.wish.settings.port or "")
        return lambda place: session_name(laptop, self.host.login, place, port)

    def _ports(self, server: Server) -> Sequence[int]:
        if self.wish.settings.port:
            return [self.wish.settings.port]
        container = server.container.name if server.container else ""
        return tuple(ports_for(self.host.login, container))

    def _speak_of_relay(self, tunnel: Tunnel, server: Server, ways: Ways) -> None:
        if tunnel.relayed is not None:
            if ways.forwards_forbidden:
                self.report.warning(
                    "forwarding_forbidden",
                    "sshd there forbids forwarding; the relay does without it",
                    "where that is meant to keep you from it: relay = false in the config",
                )
        else:
            refusal = ways.refusal(server.endpoint.place or "")
            why = "relay = false" if not self.wish.settings.relay else "there is no relay"
            self.report.warning(
                "no_relay",
                f"{why}: what the notebook prints while the link is down may be lost",
                refusal.message if refusal else "a relay needs Python 3.6 or newer over there",
            )
