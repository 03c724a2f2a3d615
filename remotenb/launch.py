"""Starting: what is said to the far side to make a server run, and what comes back.

Whatever is begun here is either ready in the end, or taken away again.
"""

from __future__ import annotations

import logging
import secrets
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.engines import container_engine, engine_of
from remotenb.engines.complaints import NO_CDI
from remotenb.engines.docker import (
    JUPYTER_PORT,
    LABEL_GPUS,
    LABEL_LAUNCH,
    STATE_TARGET,
)
from remotenb.engines.host import entering
from remotenb.errors import (
    GpuUnavailable,
    JupyterFailed,
    JupyterMissing,
    JupyterNotReady,
    RemotenbError,
)
from remotenb.images.room import check_copy
from remotenb.reach import ANY, LOOPBACK, of_new, of_started
from remotenb.readiness import until_ready
from remotenb.scan import parse_scan, records
from remotenb.secret import Secret
from remotenb.setback import LOG_LINES, who_was_faster, why_no_server, why_not_started
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.decision import ContainerSpec, StartContainer, StartServer
    from remotenb.laptop.clock import Clock
    from remotenb.model import Container, Probe, RuntimeFile
    from remotenb.server import Found, Server
    from remotenb.session.ways import Ways
    from remotenb.ssh.link import Link

logger = logging.getLogger(__name__)

ENGINE_TIMEOUT_S = 120.0
"""For an engine's own work: making a container of a large image on a slow disk."""

COPY_TIMEOUT_S = 3600.0
"""For podman without root, which copies an image of 20 GB when the user first runs it as such."""

PATIENT = "{'ws_ping_timeout': 2592000000}"
IMPATIENT = "{'ws_ping_interval': 5000, 'ws_ping_timeout': 10000}"
"""Milliseconds. With a relay a browser's answer to a ping may be long in coming; without one, a
dead sshd must be noticed before it swallows much of what Jupyter writes."""

_REMOVE = f"""
made=$($ENGINE ps -aq --filter "label={LABEL_LAUNCH}=$2")
[ -z "$made" ] || {{ $ENGINE rm -f $made >/dev/null; rm -rf "$3" "${{3:+$3.json}}"; }}
"""
HOW_IT_IS = "{{.State.Status}}, exit code {{.State.ExitCode}}, restarted {{.RestartCount}}"
_STOP = '$ENGINE stop -t 2 "$1" >/dev/null'


@dataclass(frozen=True, slots=True)
class Launcher:
    """What a launch works with."""

    link: Link
    probe: Probe
    ways: Ways
    clock: Clock
    warn: Callable[[str, str, str], None]
    """Hears a code, what a user should know, and a hint."""
    install: Callable[[Container], None]
    """Brings Jupyter into a container that waits for it."""
    start_timeout: float
    """Seconds from the start until the server must answer."""
    relay: bool = True
    """Whether a relay will be beside the server: then it need not be reached from outside."""
    root_dir: str = ""
    """Where a server on the host or in a running container starts; its own default if empty."""
    environment: str | None = None
    """The Python environment of the host that its servers run in."""

    def container(self, plan: StartContainer) -> Server:
        """Make the planned container, or start it again, and wait for its server."""
        spec, existing = plan.spec, plan.existing
        engine = container_engine(spec.engine)
        who = spec.identity
        address = LOOPBACK if self.relay else ANY
        serve = ("sh", f"{STATE_TARGET}/serve.sh", address, str(JUPYTER_PORT), self._patience)
        launch = secrets.token_hex(8)
        if not existing:
            check_copy(self.link, spec, self.warn)
        with self._undone_unless_ready(plan, launch):
            done = self.link.script(
                far.source("make_container.sh") + far.source("start_container.sh"),
                *(() if existing else engine.create(spec, serve, launch=launch)),
                timeout=COPY_TIMEOUT_S if spec.copies_image else ENGINE_TIMEOUT_S,
                pipe_next=self.relay,
                NAME=spec.name,
                STATE=spec.state_dir,
                TOKEN=secrets.token_urlsafe(32),
                SERVE=far.source("serve.sh"),
                USER_HOME=who.home if who else "",
                PASSWD=who.passwd if who else "",
                GROUP=who.group if who else "",
                CHOSEN=LABEL_GPUS if spec.gpus and spec.gpus_chosen else "",
                FOLDERS="" if existing else "\n".join(mount.source for mount in spec.mounts),
                ENGINE=shlex.join(spec.engine.argv),
                INSTALLING="yes" if plan.install else "",
                SETTINGS=spec.settings,
            )
            if done.code != 0:
                raise why_not_started(
                    done.err, user=self.probe.user, engine=spec.engine.name or "docker"
                )
            if b"remotenb: no names" in done.err:
                self.warn(
                    "no_names",
                    f"container {spec.name} knows neither your name nor your home: "
                    f"{one_line(done.err.partition(b'remotenb:')[0])}",
                    "its files are yours all the same; a root that can be written has both",
                )
            facts = records(done.out.decode("utf-8", "replace"))
            if taken := who_was_faster(facts, spec, {one.id for one in self.probe.containers}):
                raise taken
            found = of_new(plan, facts, relay=self.relay)
            self.ways.expect(found.endpoints, found.container)
            self._see_gpus(spec)
            if plan.install and found.container:
                self.install(found.container)
                self.link.script('rm "$1"', f"{spec.state_dir}/installing", timeout=20)
            server = self._ready(found, lambda: self._look_at(spec, new=not existing))
            self._keep(spec)
        return server

    def server(self, plan: StartServer) -> Server:
        """Start Jupyter in a running container, or on the host, and wait for it."""
        container = plan.container
        own_network = container is not None and container.network != "host"
        token = secrets.token_urlsafe(32)
        done = self.link.script(
            'printf "%s" "$TOKEN" | "$@"',
            *engine_of(container).inside(container.id if container else ""),
            *("env", f"INSIDE={'container' if container else 'host'}"),
            *("sh", "-c", self._before(container) + far.source("start_server.sh"), "sh"),
            *(ANY if own_network and not self.relay else LOOPBACK, far.source("serve.sh")),
            *(str(int(self.start_timeout)), self.root_dir, self._patience),
            timeout=self.start_timeout + 30,
            pipe_next=self.relay,
            TOKEN=token,
        )
        facts = records(done.out.decode("utf-8", "replace"))
        files = parse_scan(done.out).files
        if done.code != 0 or not files:
            place = f"container {container.name}" if container else "that machine"
            raise why_no_server(facts, done.err, place, self.start_timeout)
        file = replace(files[0], token=Secret(token))
        found = of_started(container, file, self.probe.host, relay=self.relay)
        self.ways.expect(found.endpoints, container)
        try:
            return self._ready(found, lambda: None)
        except BaseException:
            self._stop(file, container)
            raise

    def _before(self, container: Container | None) -> str:
        return "" if container else entering(self.environment)

    @property
    def _patience(self) -> str:
        return PATIENT if self.relay else IMPATIENT

    def _ready(self, found: Found, look: Callable[[], None]) -> Server:
        return until_ready(found, self.ways, self.clock, timeout=self.start_timeout, look=look)

    def _look_at(self, spec: ContainerSpec, *, new: bool = True) -> None:
        """Raise if the container ended, with the end of its log."""
        state, log = self._state_and_log(spec)
        ended, _, restarts = one_line(state).rpartition(", restarted ")
        # podman starts a new one again and again, as it cannot be given its policy later
        if state.startswith("running") and not (new and restarts != "0"):
            return
        if "@missing" in log:
            raise JupyterMissing(
                "there is no Jupyter in that image",
                hint="--install-jupyter puts it into the new container; or choose another image",
                detail=log,
            )
        raise JupyterFailed(
            f"Jupyter ended before it was ready ({ended or 'its container is gone'})",
            hint="the end of its log tells why",
            detail=log,
        )

    def _state_and_log(self, spec: ContainerSpec) -> tuple[str, str]:
        source = (
            f"$ENGINE inspect -f '{HOW_IT_IS}' \"$1\"\n"
            f'$ENGINE logs --tail {LOG_LINES} "$1" 2>&1 | tail -c 16384'
        )
        engine = shlex.join(spec.engine.argv)
        done = self.link.script(source, spec.name, timeout=20, pipe_next=True, ENGINE=engine)
        state, _, log = done.out.decode("utf-8", "replace").partition("\n")
        return state, tail(log, LOG_LINES)

    def _see_gpus(self, spec: ContainerSpec) -> None:
        """Raise if the container has no GPU although its engine said nothing against it."""
        proof = container_engine(spec.engine).proof_of_gpus(spec.name)
        if not (spec.gpus and proof):
            return
        done = self.link.script('"$@" 2>&1', *proof, timeout=20)
        if done.code != 0:
            self._look_at(spec)
            raise GpuUnavailable(
                f"there is no GPU in the container: {one_line(done.out) or 'nvidia-smi fails'}",
                hint=NO_CDI,
            )

    def _keep(self, spec: ContainerSpec) -> None:
        """From now on the engine starts it again after a crash or a reboot."""
        argv = container_engine(spec.engine).keep(spec.name)
        if argv and (done := self.link.script('"$@" >/dev/null', *argv, timeout=20)).code != 0:
            logger.warning("no restart policy: %s", one_line(done.err))

    @contextmanager
    def _undone_unless_ready(self, plan: StartContainer, launch: str) -> Iterator[None]:
        """On any failure, Ctrl-C too: what this launch made goes; one that was there stops.

        Only a container with this launch's own label is removed, whatever its name is.
        """
        spec, existing = plan.spec, plan.existing
        engine = shlex.join(spec.engine.argv)
        try:
            yield
        except BaseException as error:
            if isinstance(error, JupyterNotReady):
                error.detail = self._state_and_log(spec)[1]
            undo = _REMOVE
            if existing is not None:
                undo = "" if existing.running else _STOP
            state = "" if plan.again else spec.state_dir
            try:
                self.link.script(undo, spec.name, launch, state, timeout=30, ENGINE=engine)
            except RemotenbError as also:
                logger.warning("could not take away container %s: %s", spec.name, also)
            raise

    def _stop(self, file: RuntimeFile, container: Container | None) -> None:
        where = engine_of(container).inside(container.id if container else "")
        try:
            self.link.script('"$@" </dev/null', *where, "kill", str(file.pid), timeout=20)
        except RemotenbError as also:
            logger.warning("could not stop the server: %s", also)
