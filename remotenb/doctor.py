"""A check-up of the whole chain from the laptop to the notebook; nothing on the way is changed."""

from __future__ import annotations

import shlex
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paramiko import ChannelException, SSHException

from remotenb import far
from remotenb.checkup import Finding, box, notebook, parse, untested, way
from remotenb.engines import container_engine
from remotenb.errors import FarSideError, LinkError, RemotenbError
from remotenb.jupyter import started
from remotenb.laptop import browser
from remotenb.required import named_in_full
from remotenb.session.tunnels import Tunnel
from remotenb.spec import same_image
from remotenb.text import one_line
from remotenb.tunnel.listener import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.checkup import Facts
    from remotenb.find import Find, Seen
    from remotenb.model import Container, EngineState, Image, Probe
    from remotenb.server import Endpoint
    from remotenb.session.opening import Connect
    from remotenb.ssh.link import Link

SCRIPT_TIMEOUT_S = 90.0
CHANNEL_TIMEOUT_S = 10.0
NOISE_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class CheckUp:
    """One check-up: of what ``connect`` would do, without doing it."""

    connect: Connect

    def findings(self) -> Iterator[Finding]:
        """Each link's finding as soon as it is known; what was not come to is told last."""
        done: list[Finding] = []
        why = "the links before it were not passed"
        try:
            for finding in self._passed():
                done.append(finding)
                yield finding
        except RemotenbError as error:
            why = one_line(error.message)
        last = notebook.browser(available=browser.available())
        yield from untested([*done, last], why)
        yield last

    def _passed(self) -> Iterator[Finding]:
        host, began = self.connect.host, time.monotonic()
        try:
            link = self.connect.link()
        except LinkError as error:
            yield from way.way_in(host, error, 0.0)
            return
        yield from way.way_in(host, None, time.monotonic() - began)
        with link:
            yield from self._of_link(link)
            try:
                seen = self._find().look(link, None, verify=True)
            except FarSideError as error:
                yield Finding("shell", "broken", error.message, error.hint)
                return
            with closing(seen.ways):
                yield from self._of_box(link, seen.probe)
                yield from self._of_notebook(link, seen)

    def _find(self) -> Find:
        return self.connect.find(lambda _cut: None)

    def _of_link(self, link: Link) -> Iterator[Finding]:
        yield _shell(link)
        yield way.sessions(_second_session(link))
        yield way.forwarding(_forward(link), relay=self.connect.wish.settings.relay)

    def _of_box(self, link: Link, probe: Probe) -> Iterator[Finding]:
        settings, name = named_in_full(probe, self.connect.wish).settings, link.host.name
        into = _to_look_into(probe, settings.container)
        image = next((one for one in probe.images if same_image(one, settings.image)), None)
        facts = self._facts(link, probe, into, image)
        yield way.clock(facts, time.time())
        yield way.home(facts)
        yield box.engine(probe, settings.engine, name)
        yield box.gpus(probe)
        yield box.toolkit(probe, name)
        yield box.disk(facts)
        yield box.image(settings.image, probe.images, name)
        where = f"container {into.name}" if into else image.ref if image else ""
        yield from box.inside(facts, probe, where)

    def _facts(
        self, link: Link, probe: Probe, into: Container | None, image: Image | None
    ) -> Facts:
        settings = self.connect.wish.settings
        there = into or image
        engine = there.engine if there else probe.engine
        options = _all_gpus(probe, engine)
        options += [f"--ipc={settings.ipc}"] if settings.ipc else []
        options += [f"--shm-size={settings.shm_size}"] if settings.shm_size else []
        done = link.script(
            far.source("checkup.sh"),
            *options,
            timeout=SCRIPT_TIMEOUT_S,
            ENGINE=shlex.join(engine.argv),
            ID=into.id if into else "",
            IMAGE=image.ref if image else "",
        )
        return parse(done.out.decode("utf-8", "replace"))

    def _of_notebook(self, link: Link, seen: Seen) -> Iterator[Finding]:
        yield notebook.notebook(seen.servers, seen.rejected, link.host.name)
        if not seen.servers:
            yield Finding("token", "untested", "no notebook runs")
            yield Finding("tunnel", "untested", "no notebook runs")
            return
        server = seen.servers[0]
        yield notebook.token(server)
        if server.access == "open":  # its local port has a gate, which only a browser passes
            return
        with closing(Tunnel(link, server, seen.ways, bind((0,)))) as tunnel:
            port, began = tunnel.listener.port, time.monotonic()

            def here(_endpoint: Endpoint) -> socket.socket:
                return socket.create_connection(("127.0.0.1", port), CHANNEL_TIMEOUT_S)

            answered = started(here, tunnel.server)
            seconds = time.monotonic() - began
            yield notebook.tunnel(answered, relay=tunnel.relayed is not None, seconds=seconds)


def _to_look_into(probe: Probe, wanted: str | None) -> Container | None:
    mine = [one for one in probe.containers if one.running and one.ownership == "mine"]
    named = [one for one in mine if one.name == wanted]
    return next(iter(named or mine), None)


def _all_gpus(probe: Probe, engine: EngineState) -> list[str]:
    """What gives the throwaway container its GPUs, where that can be."""
    can = probe.cdi if engine.name == "podman" else bool(engine.name)
    return [*container_engine(engine).all_gpus] if probe.gpus and can else []


def _shell(link: Link) -> Finding:
    """Run a command that prints nothing."""
    began = time.monotonic()
    with closing(link.pipe(("true",), b"")) as channel:
        channel.settimeout(link.host.connect_timeout + way.SLOW_SHELL_S)
        noise = b""
        try:
            while len(noise) < NOISE_LIMIT and (data := channel.recv(NOISE_LIMIT)):
                noise += data
        except TimeoutError:
            return Finding(
                "shell",
                "broken",
                "the login shell does not run a command to its end",
                "its rc files may wait for input: guard them with [ -t 0 ]",
            )
    return way.shell(noise, time.monotonic() - began)


def _second_session(link: Link) -> str:
    """What sshd says to a second session beside the first."""
    try:
        with closing(link.transport.open_session(timeout=CHANNEL_TIMEOUT_S)):
            link.transport.open_session(timeout=CHANNEL_TIMEOUT_S).close()
    except (ChannelException, SSHException) as error:
        return one_line(str(error)) or "refused"
    return ""


def _forward(link: Link) -> str:
    """What sshd says to a forward to itself."""
    try:
        link.transport.open_channel(
            "direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT_S
        ).close()
    except (ChannelException, SSHException) as error:
        return one_line(str(error)) or "refused"
    return ""
