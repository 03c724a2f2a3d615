"""Find-or-start: from a link to a server that answers, for ``connect`` and for a reconnect."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from remotenb import notes
from remotenb.again import decide_again
from remotenb.credentials import Asker
from remotenb.decision import Refuse, Reuse, StartContainer, StartServer
from remotenb.engines.docker import made_here
from remotenb.equip import agree, bare, lacks_it
from remotenb.equip import install as equip
from remotenb.errors import (
    GpuTaken,
    ImageMissing,
    JupyterMissing,
    LimitRefused,
    NoImage,
    ServerOpen,
)
from remotenb.gpus import lost
from remotenb.jupyter import verify_all
from remotenb.launch import Launcher
from remotenb.machine import Machine
from remotenb.plan import decide
from remotenb.probe import probe as look_around
from remotenb.reach import candidates
from remotenb.server import Rejected, Server
from remotenb.settings import parse_gpus
from remotenb.spec import absolute, choose_gpus
from remotenb.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from remotenb.clock import Clock
    from remotenb.decision import Plan
    from remotenb.model import Container, EngineState, Image, Probe
    from remotenb.report import Reporter
    from remotenb.server import Found
    from remotenb.spec import Wish
    from remotenb.ssh.link import Link
    from remotenb.tunnel.relayed import Cut

logger = logging.getLogger(__name__)


class People(Asker, Protocol):
    """A person at a terminal."""

    def came(self) -> bool:
        """Wait until they say that they are there; False where they cannot."""

    def choose_image(self, images: Sequence[Image]) -> str | None:
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
        with ExitStack() as stack:
            with self.report.step(f"looking for a notebook on {link.host.name}"):
                seen = self.look(
                    link, self.wish.settings.container, verify=not self.wish.new, first=True
                )
                stack.callback(seen.ways.close)
                seen.ways.check()
            server, reused = self._carried_out(link, seen)
            yield server, reused, seen.ways

    def _carried_out(self, link: Link, seen: Seen) -> tuple[Server, bool]:
        plan = self._decide(seen)
        match plan:
            case Reuse(server, others):
                self._speak_of(server, others)
                speak_of_unheeded(self.report, self.wish, server.container)
                self._speak_of_gpus(link, seen, server.container)
                return server, True
            case StartServer(container):
                self._speak_of_owner(container)
                speak_of_unheeded(self.report, self.wish, container)
                return self._started_in(link, seen, container), False
            case StartContainer(spec):
                started = self._started_anew(link, seen, plan)
                self._speak_of_its_end(spec.engine, link.host.name)
                return started
            case Refuse(ImageMissing() as error):
                return self._carried_out(link, self._with_image(link, seen, error))
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
            speak_of_unheeded(self.report, self.wish, existing)
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
        match decide_again(seen.probe, servers, before, self.wish, outage):
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
            link, engine=settings.engine, wanted=container or "", relay_next=settings.relay
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
        return Seen(probe, found, servers, ways, rejected)

    def _decide(self, seen: Seen) -> Plan:
        plan = decide(seen.probe, seen.servers, seen.found, self.wish)
        if (
            isinstance(plan, Refuse)
            and isinstance(plan.error, NoImage)
            and self.people
            and (image := self.people.choose_image(seen.probe.images))
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

    def _speak_of(self, server: Server, others: int) -> None:
        """What a user should know of a server that somebody started."""
        speak_of_root(self.report, self.wish, server.container)
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

    def _speak_of_gpus(self, link: Link, seen: Seen, container: Container | None) -> None:
        """A reload of systemd, or a new driver, takes them from containers that run."""
        if container is None or not container.gpus or not seen.probe.gpus:
            return
        if said := lost(link, container):
            host, name = link.host.name, container.name
            self.report.warning(
                "gpus_lost",
                f"container {name} does not see its GPUs any more: {said}",
                f"start it again, which keeps all that is in it: remotenb stop {host} {name}, "
                f"then remotenb connect {host}; its kernels end",
            )

    def _speak_of_its_end(self, engine: EngineState, host: str) -> None:
        """What ends a container although nobody stopped it; podman has no daemon to see to it."""
        linger = f"let it live on: loginctl enable-linger, on {host}"
        if not engine.after_logout:
            self.report.warning(
                "ends_at_logout", f"{host} may end the notebook when nobody is logged in", linger
            )
        elif not engine.after_reboot:
            user = "--user " if engine.rootless else ""
            self.report.warning(
                "not_after_reboot",
                f"after a reboot of {host} podman does not start the notebook again; connect does",
                f"systemctl {user}enable podman-restart.service, on {host}, makes podman do it",
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


def speak_of_root(report: Reporter, wish: Wish, there: Container | None) -> None:
    """Say once that a container of ours is root's, as the first ones were: so are its files."""
    if there is None or there.user != "" or not made_here(there) or there.ownership != "mine":
        return
    wanted = wish.settings.container_user == "me" and not there.engine.rootless
    if wanted and there.owner != "root" and _first_time(f"runs_as_root {there.id}"):
        report.warning(
            "runs_as_root",
            f"container {there.name} runs as root, and its files in your folders are root's",
            f"a new one would run as you: remotenb rm -f HOST {there.name}, then connect again; "
            "remotenb chown HOST gives the files back",
        )


def _first_time(subject: str) -> bool:
    """Whether ``subject`` was not yet spoken of on this laptop; from now on it was."""
    note = notes.file_for("told", subject)
    known = bool(notes.read(note))
    if not known:
        try:
            notes.write(note, {"told": subject})
        except OSError as error:
            logger.info("not noted that it was told: %s", error)
    return not known


def speak_of_unheeded(report: Reporter, wish: Wish, there: Container | None) -> None:
    """Say that options for a new container did nothing, if there were any: it is not new."""
    if wish.for_new:
        where = f"container {there.name} is there already" if there else "a notebook runs there"
        report.warning(
            "unheeded",
            f"{' and '.join(wish.for_new)} did nothing: {where}",
            "--new starts one more, with them",
        )
