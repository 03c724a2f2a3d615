"""Find-or-start: from a link to a server that answers, for ``connect`` and for a reconnect."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from remotenb import caveats
from remotenb.decision import Refuse, Reuse, StartContainer, StartServer
from remotenb.errors import (
    GpuTaken,
    ImageMissing,
    JupyterMissing,
    LimitRefused,
    NoImage,
)
from remotenb.install.equip import agree, bare, lacks_it
from remotenb.install.equip import install as equip
from remotenb.jupyter import PATIENCE_S, verify_all
from remotenb.laptop.credentials import Asker
from remotenb.launch import Launcher
from remotenb.machine import Machine
from remotenb.plan import decide
from remotenb.probe import probe as look_around
from remotenb.reach import candidates
from remotenb.server import Rejected, Server
from remotenb.session.again import decide_again
from remotenb.session.ways import Ways
from remotenb.settings import parse_gpus
from remotenb.spec import absolute, choose_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from remotenb.decision import Plan
    from remotenb.laptop.clock import Clock
    from remotenb.model import Container, Image, Probe
    from remotenb.recreate import Again
    from remotenb.report import Reporter
    from remotenb.server import Found
    from remotenb.spec import Wish
    from remotenb.ssh.link import Link
    from remotenb.tunnel.relayed import Cut

logger = logging.getLogger(__name__)

WHICH_IMAGE = "Nothing runs there. Start from which image?"
SILENT = f"it did not answer within {PATIENCE_S:g} s"


class People(Asker, Protocol):
    """A person at a terminal."""

    def came(self) -> bool:
        """Wait until they say that they are there; False where they cannot."""

    def choose_image(self, question: str, images: Sequence[Image]) -> str | None:
        """Let a person choose; None for no answer."""

    def fetch(self, machine: Machine, image: str) -> bool:
        """Offer to let the machine fetch an image that it lacks; whether it did."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look around found, and the ways to it."""

    probe: Probe
    found: tuple[Found, ...]
    servers: tuple[Server, ...]
    ways: Ways
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Find:
    """What is wanted on a host, and who is to be told and asked."""

    wish: Wish
    report: Reporter
    people: People | None
    clock: Clock
    session: Callable[[str], bytes]
    """Names the relay's session for a place."""
    cut: Callable[[Cut], None]
    """Hears when a relay's link ends."""

    @contextmanager
    def server(self, link: Link) -> Iterator[tuple[Server, bool, Ways]]:
        """A server, found or started, whether it was there, and the ways to it.

        The ways that nobody took end with the context. Raises a :class:`RemotenbError`.
        """
        wish = self.wish
        with ExitStack() as stack:
            again = stack.enter_context(self._again(link)) if wish.recreate else None
            with self.report.step(f"looking for a notebook on {link.host.name}"):
                verify = not (wish.new or wish.recreate)
                seen = self.look(link, wish.settings.container, verify=verify, first=True)
                stack.callback(seen.ways.close)
                seen.ways.check()
            plan = again.plan(seen.probe) if again else self._decide(seen)
            server, reused = self._carried_out(link, seen, plan)
            yield server, reused, seen.ways

    def _again(self, link: Link) -> AbstractContextManager[Again]:
        """The container of ours that is there, set aside for another in its place."""
        from remotenb.recreate import in_its_place  # noqa: PLC0415  what connect needs only here

        settings = self.wish.settings
        with self.report.step(f"looking for your container on {link.host.name}"):
            probe = look_around(link, engine=settings.engine, enter=False)
        machine = Machine(link.host, settings, link, probe, self.report)
        return in_its_place(machine, self.wish, self.people)

    def _carried_out(self, link: Link, seen: Seen, plan: Plan) -> tuple[Server, bool]:
        match plan:
            case Reuse(server, others):
                caveats.of_server(self.report, self.wish, server, others)
                caveats.of_options(self.report, self.wish, server.container)
                if seen.probe.gpus:
                    caveats.of_gpus(self.report, link, server.container)
                return server, True
            case StartServer(container):
                caveats.of_owner(self.report, container)
                caveats.of_options(self.report, self.wish, container)
                return self._started_in(link, seen, container), False
            case StartContainer(spec):
                started = self._started_anew(link, seen, plan)
                caveats.of_its_end(self.report, spec.engine, link.host.name)
                return started
            case Refuse(ImageMissing() as error):
                seen = self._with_image(link, seen, error)
                return self._carried_out(link, seen, self._decide(seen))
            case Refuse(JupyterMissing() as error):
                container = bare(error, seen.probe, self.wish.settings)
                agree(error, self.wish.settings, self.people)
                return self._started_in(link, seen, container), False
            case Refuse(error):
                raise error

    def _started_anew(self, link: Link, seen: Seen, plan: StartContainer) -> tuple[Server, bool]:
        """A server in a container of ours; with Jupyter brought in if the image has none."""
        spec, existing = plan.spec, plan.existing
        runs = existing is not None and existing.running
        if existing:
            caveats.of_options(self.report, self.wish, existing)
        how = "waiting for" if runs else "starting again" if existing else "starting"
        try:
            with self.report.step(f"{how} container {spec.name} of {spec.image}"):
                return self._container(link, seen, plan), runs
        except JupyterMissing as missing:
            agree(missing, self.wish.settings, self.people)
        with self.report.step(f"making it again, with Jupyter installed in {spec.name}"):
            return self._container(link, seen, replace(plan, install=True)), False

    def _started_in(self, link: Link, seen: Seen, container: Container | None) -> Server:
        """A server in a container that runs, or on the host."""
        where = f"container {container.name}" if container else link.host.name
        if container and lacks_it(container):
            with self.report.step(f"installing Jupyter in {where}"):
                equip(link, seen.probe, self.wish.settings, container)
        with self.report.step(f"starting Jupyter in {where}"):
            return self._launcher(link, seen).server(StartServer(container))

    @contextmanager
    def again(self, link: Link, before: Server, outage: float) -> Iterator[tuple[Server, Ways]]:
        """The server of a session that lost it ``outage`` seconds ago; nobody is asked."""
        name = before.container.name if before.container else None
        seen = self.look(link, name, verify=True)
        with closing(seen.ways):
            servers = [one for one in seen.servers if bool(one.container) == bool(name)]
            yield self._once_more(link, seen, servers, before, outage), seen.ways

    def _once_more(
        self, link: Link, seen: Seen, servers: Sequence[Server], before: Server, outage: float
    ) -> Server:
        match decide_again(seen.probe, servers, seen.found, before, self.wish, outage=outage):
            case Reuse(server, _):
                return server
            case StartContainer() as plan:
                return self._container(link, seen, plan)
            case Refuse(error):
                raise error
            case StartServer():  # pragma: no cover  decide_again never plans it
                raise AssertionError

    def look(self, link: Link, container: str | None, *, verify: bool, first: bool = False) -> Seen:
        """What is there; with ``verify`` servers are asked over HTTP. Its ways must be closed.

        The ``first`` time sshd is asked what it forbids, beside all that.
        """
        settings = self.wish.settings
        probe = look_around(
            link,
            engine=settings.engine,
            wanted=container or "",
            relay_next=settings.relay,
            environment=settings.environment,
        )
        found = candidates(probe, engine=settings.engine, container=container, relay=settings.relay)
        ways = Ways(link, probe, self.session, self.cut)
        for one in found:
            ways.expect(one.endpoints)
        if first and settings.relay:
            ways.ask_for_forwards()
        try:
            answers = verify_all(found, ways.connect) if verify else []
        except BaseException:
            ways.close()
            raise
        rejected = tuple(answer for answer in answers if isinstance(answer, Rejected))
        for answer in rejected:
            logger.info("left aside: %s: %s", answer.found.file.path, answer.reason)
        servers = tuple(answer for answer in answers if isinstance(answer, Server))
        silent = [answer.found for answer in rejected if answer.silent]
        found = tuple(replace(one, obstacle=SILENT) if one in silent else one for one in found)
        return Seen(probe, found, servers, ways, rejected)

    def _decide(self, seen: Seen) -> Plan:
        plan = decide(seen.probe, seen.servers, seen.found, self.wish)
        if (
            isinstance(plan, Refuse)
            and isinstance(plan.error, NoImage)
            and self.people
            and (image := self.people.choose_image(WHICH_IMAGE, seen.probe.images))
        ):
            return decide(seen.probe, seen.servers, seen.found, self.wish.with_image(image))
        return plan

    def _with_image(self, link: Link, seen: Seen, missing: ImageMissing) -> Seen:
        """What is there once a person has let the machine fetch the image; else ``missing``."""
        settings = self.wish.settings
        machine = Machine(link.host, settings, link, seen.probe, self.report)
        if not self.people or not settings.image or not self.people.fetch(machine, settings.image):
            raise missing
        now = look_around(link, engine=settings.engine, enter=False)
        return replace(seen, probe=replace(seen.probe, images=now.images))

    def _launcher(self, link: Link, seen: Seen) -> Launcher:
        settings = self.wish.settings
        home = seen.probe.home
        return Launcher(
            link,
            seen.probe,
            seen.ways,
            self.clock,
            self.report.warning,
            partial(equip, link, seen.probe, settings),
            settings.start_timeout,
            settings.relay,
            absolute(settings.root_dir, home) if settings.root_dir else "",
            settings.environment,
        )

    def _container(self, link: Link, seen: Seen, plan: StartContainer) -> Server:
        """Start it; on other GPUs where somebody took those in the same moment."""
        launcher = self._launcher(link, seen)
        try:
            return self._started(launcher, plan)
        except GpuTaken as taken:
            self.report.warning("gpus_taken", taken.message, "others are chosen now")
            now = look_around(link, engine=self.wish.settings.engine, enter=False)
            gpus = choose_gpus(parse_gpus(self.wish.settings.gpus), now)
            again = replace(plan, spec=replace(plan.spec, gpus=gpus))
            return self._started(replace(launcher, probe=now), again)

    def _started(self, launcher: Launcher, plan: StartContainer) -> Server:
        """Start it; without the ulimits where the engine may not set them."""
        try:
            return launcher.container(plan)
        except LimitRefused as refused:
            self.report.warning(
                "ulimits",
                f"{plan.spec.engine.name} may not set ulimits there; started without",
                refused.hint,
            )
            spec = replace(plan.spec, ulimits=())
            return launcher.container(replace(plan, spec=spec))
