"""What a user should know of the notebook they get, and of what it runs in: warnings, once each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remotenb.engines.docker import made_here
from remotenb.errors import ServerOpen
from remotenb.gpus import lost
from remotenb.laptop import notes

if TYPE_CHECKING:
    from remotenb.model import Container, EngineState
    from remotenb.report import Reporter
    from remotenb.server import Server
    from remotenb.spec import Wish
    from remotenb.ssh.link import Link


logger = logging.getLogger(__name__)


def of_server(report: Reporter, wish: Wish, server: Server, others: int) -> None:
    """Of a server that somebody started, beside ``others``; :class:`ServerOpen` if unguardable."""
    container = server.container
    of_root(report, wish, container)
    if server.access == "open" and server.endpoint.secure:
        raise ServerOpen(
            "that Jupyter has no token and speaks TLS, so its local port cannot be guarded",
            hint="start it again with a token",
        )
    if server.access == "open":
        report.warning("open", "that Jupyter has no token", "every user of that machine can use it")
    if server.exposed:
        report.warning(
            "exposed",
            f"that Jupyter can be reached from other machines, at {server.exposed}",
            "start it with --ip 127.0.0.1, or publish its port as 127.0.0.1:8888:8888",
        )
    of_owner(report, container)
    if others:
        which = f"the one in container {container.name}" if container else "the host's own"
        report.warning(
            "several",
            f"{others + 1} notebooks run there; this is {which}",
            "choose another with --container, or start one more with --new",
        )


def of_root(report: Reporter, wish: Wish, there: Container | None) -> None:
    """Once, that a container of ours is root's, as the first ones were: so are its files."""
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


def of_owner(report: Reporter, container: Container | None) -> None:
    """Of a container that is another's, or might be."""
    if container and container.ownership == "other":
        report.warning(
            "others_container",
            f"container {container.name} is of {container.owner}: {container.evidence}",
            "you asked for it with --container",
        )
    if container and container.ownership == "none":
        report.warning(
            "unowned_container",
            f"nothing says whose container {container.name} is; taken as yours",
            "choose another with --container",
        )


def of_gpus(report: Reporter, link: Link, container: Container | None) -> None:
    """A reload of systemd, or a new driver, takes them from containers that run."""
    if container is None or not container.gpus:
        return
    if said := lost(link, container):
        host, name = link.host.name, container.name
        report.warning(
            "gpus_lost",
            f"container {name} does not see its GPUs any more: {said}",
            f"start it again, which keeps all that is in it: remotenb stop {host} {name}, "
            f"then remotenb connect {host}; its kernels end",
        )


def of_its_end(report: Reporter, engine: EngineState, host: str) -> None:
    """What ends a container although nobody stopped it; podman has no daemon to see to it."""
    if not engine.after_logout:
        report.warning(
            "ends_at_logout",
            f"{host} may end the notebook when nobody is logged in",
            f"let it live on: loginctl enable-linger, on {host}",
        )
    elif not engine.after_reboot:
        user = "--user " if engine.rootless else ""
        report.warning(
            "not_after_reboot",
            f"after a reboot of {host} podman does not start the notebook again; connect does",
            f"systemctl {user}enable podman-restart.service, on {host}, makes podman do it",
        )


def of_options(report: Reporter, wish: Wish, there: Container | None) -> None:
    """That options for a new container did nothing, if there were any: it is not new."""
    if wish.for_new:
        where = f"container {there.name} is there already" if there else "a notebook runs there"
        report.warning(
            "unheeded",
            f"{' and '.join(wish.for_new)} did nothing: {where}",
            "--new starts one more, with them; --recreate makes that one again",
        )
