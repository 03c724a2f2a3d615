"""The order of things: from a resolved host to an open tunnel, and what holds it open."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from remotenb import browser
from remotenb.clock import SystemClock
from remotenb.decision import Refuse, Reuse, StartContainer, StartServer
from remotenb.errors import LimitRefused, LinkLost, NoImage, ServerOpen
from remotenb.jupyter import verify_all
from remotenb.launch import Launcher
from remotenb.model import Rejected, Secret, Server
from remotenb.plan import decide
from remotenb.probe import probe as look_around
from remotenb.reach import candidates
from remotenb.report import Ready, Reporter
from remotenb.settings import parse_gpus
from remotenb.spec import absolute
from remotenb.ssh.link import Link, open_link
from remotenb.tunnel import direct
from remotenb.tunnel.gate import Gate
from remotenb.tunnel.listener import Listener, bind, ports_for
from remotenb.tunnel.onetime import OneTimeLink

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from remotenb.clock import Clock
    from remotenb.decision import Plan
    from remotenb.model import Container, Found, Host, Image, Probe
    from remotenb.spec import Wish

logger = logging.getLogger(__name__)

WATCH_EVERY_S = 0.5


class People(Protocol):
    """A person at a terminal."""

    def agree(self, question: str) -> bool:
        """Show a question that wants yes or no."""

    def secret(self, prompt: str) -> Secret | None:
        """Ask for something that is not shown; None for no answer."""

    def choose_image(self, images: Sequence[Image]) -> str | None:
        """Let a person choose; None for no answer."""


@dataclass(slots=True)
class Session:
    """An open tunnel to a server; a context manager that closes it. The notebook goes on."""

    link: Link
    listener: Listener
    server: Server
    reused: bool
    _stack: ExitStack

    @property
    def address(self) -> str:
        """The notebook's local address, without the token."""
        scheme = "https" if self.server.endpoint.secure else "http"
        return f"{scheme}://127.0.0.1:{self.listener.port}{self.server.base_url}"

    @property
    def url(self) -> Secret:
        """The address that logs one in: Jupyter itself leads on to its default page."""
        token = self.server.token.reveal()
        query = f"?token={quote(token, safe='')}" if token else ""
        return Secret(self.address + query)

    def open_browser(self) -> bool:
        """Open the notebook by a link that works once; False when there is no browser."""
        if not browser.available():
            return False
        link = OneTimeLink(self.url)
        self._stack.callback(link.close)
        return browser.open_page(link.url)

    def wait(self) -> None:
        """Hold the tunnel open until the link ends, which raises :class:`LinkLost`."""
        while not self.link.wait(WATCH_EVERY_S):
            pass
        raise LinkLost(
            f"the connection to {self.link.host.name} is gone; the notebook goes on",
            hint=f"remotenb connect {self.link.host.name} finds it again",
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

    def open(self) -> Session:
        """Find or start the server and open the tunnel; raises a :class:`RemotenbError`."""
        parse_gpus(self.wish.settings.gpus)  # what is wrong here needs no connection to be said
        self.wish.settings.mounts()
        with ExitStack() as stack:
            link = self._link(stack)
            server, reused = self._server(link)
            sock = bind(self._ports(server))
            carrier = direct.DirectCarrier(link.transport, server.endpoint)
            port = sock.getsockname()[1]
            guarded = Gate(carrier, port) if server.access == "open" else carrier
            listener = stack.enter_context(Listener(sock, guarded))
            return Session(link, listener, server, reused, stack.pop_all())

    def _link(self, stack: ExitStack) -> Link:
        people = self.people
        with self.report.step(f"connecting to {self.host.login}"):
            return stack.enter_context(
                open_link(
                    self.host,
                    ask=people.agree if people else None,
                    ask_secret=people.secret if people else None,
                    dialled=self.dialled,
                )
            )

    def _server(self, link: Link) -> tuple[Server, bool]:
        settings = self.wish.settings
        forwards = direct.Forwards(link.transport)
        with self.report.step(f"looking for a notebook on {self.host.name}"):
            seen = look_around(link, engine=settings.engine, wanted=settings.container or "")
            found = candidates(seen, engine=settings.engine, container=settings.container)
            answers = [] if self.wish.new else verify_all(found, forwards.connect)
        for answer in answers:
            if isinstance(answer, Rejected):
                logger.info("left aside: %s: %s", answer.found.file.path, answer.reason)
        forwards.check()
        servers = [answer for answer in answers if isinstance(answer, Server)]
        plan = self._decide(seen, servers, found)
        root_dir = absolute(settings.root_dir, seen.home) if settings.root_dir else ""
        launcher = Launcher(
            link, seen, forwards.connect, self.clock, settings.start_timeout, root_dir
        )
        match plan:
            case Reuse(server, others):
                self._speak_of(server, others)
                return server, True
            case StartServer(container):
                where = f"container {container.name}" if container else self.host.name
                self._speak_of_owner(container)
                with self.report.step(f"starting Jupyter in {where}"):
                    return launcher.server(plan), False
            case StartContainer(spec, existing):
                runs = existing is not None and existing.running
                how = "waiting for" if runs else "starting again" if existing else "starting"
                with self.report.step(f"{how} container {spec.name} of {spec.image}"):
                    return self._container(launcher, plan), runs
            case Refuse(error):
                raise error

    def _container(self, launcher: Launcher, plan: StartContainer) -> Server:
        """Start it; without the ulimits where the engine may not set them."""
        try:
            return launcher.container(plan)
        except LimitRefused as refused:
            self.report.warning(
                "ulimits", "docker may not set ulimits there; started without", refused.hint
            )
            spec = replace(plan.spec, ulimits=())
            return launcher.container(StartContainer(spec, plan.existing))

    def _decide(self, seen: Probe, servers: list[Server], found: Sequence[Found]) -> Plan:
        plan = decide(seen, servers, found, self.wish)
        if (
            isinstance(plan, Refuse)
            and isinstance(plan.error, NoImage)
            and self.people
            and (image := self.people.choose_image(seen.images))
        ):
            return decide(seen, servers, found, self.wish.with_image(image))
        return plan

    def _speak_of(self, server: Server, others: int) -> None:
        """What a user should know of a server that somebody started."""
        warn, container = self.report.warning, server.container
        if server.access == "open" and server.endpoint.secure:
            raise ServerOpen(
                "that Jupyter has no token and speaks TLS, so its local port cannot be guarded",
                hint="start it again with a token",
            )
        if server.access == "open":
            warn("open", "that Jupyter has no token", "every user of that machine can use it")
        if server.exposed:
            warn(
                "exposed",
                f"that Jupyter can be reached from other machines, at {server.exposed}",
                "start it with --ip 127.0.0.1, or publish its port as 127.0.0.1:8888:8888",
            )
        self._speak_of_owner(container)
        if others:
            which = f"the one in container {container.name}" if container else "the host's own"
            warn(
                "several",
                f"{others + 1} notebooks run there; this is {which}",
                "choose another with --container, or start one more with --new",
            )

    def _speak_of_owner(self, container: Container | None) -> None:
        if container and container.ownership == "other":
            self.report.warning(
                "others_container",
                f"container {container.name} is of {container.owner}: {container.evidence}",
                "you asked for it with --container",
            )
        if container and container.ownership == "none":
            self.report.warning(
                "unowned_container",
                f"nothing says whose container {container.name} is; taken as yours",
                "choose another with --container",
            )

    def _ports(self, server: Server) -> Sequence[int]:
        if self.wish.settings.port:
            return [self.wish.settings.port]
        container = server.container.name if server.container else ""
        return tuple(ports_for(self.host.login, container))

    def ready(self, session: Session, elapsed: float) -> Ready:
        """The event that tells of ``session``."""
        server = session.server
        return Ready(
            host=self.host.name,
            url=session.url.reveal(),
            address=session.address,
            local_port=session.listener.port,
            engine="docker" if server.container else "host",
            server=server,
            reused=session.reused,
            gpus=server.container.gpus if server.container else None,
            elapsed=elapsed,
        )
