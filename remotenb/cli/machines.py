"""From a HOST on the command line to a machine that we are logged in to."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.cli import options, stopping
from remotenb.cli.output import reporter
from remotenb.cli.people import people
from remotenb.errors import RemotenbError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from remotenb.machine import Machine
    from remotenb.model import Host
    from remotenb.settings import Settings


@contextmanager
def on_machine(
    host: str,
    where: Mapping[str, str | int | None],
    *,
    as_json: bool = False,
    quiet: bool = False,
    **chosen: object,
) -> Iterator[Machine]:
    """Log in to ``host`` and look around, without looking for notebooks.

    ``where`` is what :func:`options.common` gives, ``chosen`` are settings that the command
    line gives; None is not given. With ``quiet`` no step is told. Raises a
    :class:`RemotenbError`.
    """
    stopping.stop_like_ctrl_c()
    options.set_up_logging(int(where["verbose"] or 0))
    settings = settings_of(host, where, **chosen)
    target = resolved(host, settings)
    first = dialled(target)
    from remotenb.laptop.credentials import Credentials  # noqa: PLC0415  what is only for a login
    from remotenb.machine import Machine  # noqa: PLC0415  paramiko and fabric: 200 ms
    from remotenb.probe import probe  # noqa: PLC0415
    from remotenb.ssh.link import open_link  # noqa: PLC0415
    from remotenb.ssh.remembered import Remembered  # noqa: PLC0415

    remembered = Remembered()
    report = reporter(as_json=as_json)
    with nullcontext() if quiet else report.step(f"connecting to {target.login}"):
        link = open_link(
            target,
            credentials=Credentials(people(as_json=as_json), report.warning),
            dialled=first,
            remembered=remembered,
        )
    with link:
        seen = probe(link, engine=settings.engine, enter=False)
        yield Machine(target, settings, link, seen, report, remembered)


def settings_of(host: str, where: Mapping[str, str | int | None], **chosen: object) -> Settings:
    """The settings of ``host``; see :func:`on_machine`."""
    file = where["config_file"]
    config = options.load_config(str(file) if file is not None else None)
    return options.settings(config, host, {"ssh_config": where["ssh_config"], **chosen})


def dialled(host: Host) -> Future[socket.socket] | None:
    """The TCP connection, begun now: it and sshd's first words come while paramiko is imported."""
    first_hop = (*host.jumps, host)[0]
    if first_hop.proxy_command:
        return None
    from remotenb.ssh.dial import dial  # noqa: PLC0415  see resolved

    future: Future[socket.socket] = Future()

    def run() -> None:
        try:
            sock = dial(first_hop)
            with suppress(OSError):  # whoever reads from it learns that it is broken
                sock.greet()
            future.set_result(sock)
        except RemotenbError as error:
            future.set_exception(error)

    threading.Thread(target=run, name="dial", daemon=True).start()
    return future


def resolved(host: str, settings: Settings) -> Host:
    """``host`` as config and ssh_config have it."""
    from remotenb.ssh.config import resolve  # noqa: PLC0415  only for what logs in

    return resolve(
        settings.address or host,
        name=host,
        user=settings.user,
        port=settings.ssh_port,
        identity_file=as_path(settings.identity_file),
        config_file=as_path(settings.ssh_config),
    )


def as_path(text: str | None) -> Path | None:
    """A path as a person writes it; None stays None."""
    return Path(text).expanduser() if text else None
