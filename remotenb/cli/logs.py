"""``remotenb logs HOST``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, stopping
from remotenb.cli.machines import on_machine
from remotenb.errors import LocalError
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_EVERY_S = 0.3
TAIL_LINES = 1000


@click.command("logs", short_help="What the sessions of HOST told, or a container.")
@click.argument("host", metavar="HOST")
@click.option("-f", "--follow", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("--container", metavar="C", help="What this container of HOST printed, instead.")
@click.option("--others", is_flag=True, help="Even if that container is another user's.")
@options.common
def command(
    *,
    host: str,
    follow: bool,
    container: str | None,
    others: bool,
    **where: str | int | None,
) -> int:
    """What the sessions of HOST told, a line for each event; or what a container printed."""
    try:
        if container is None:
            _of_sessions(host, int(where["verbose"] or 0), follow=follow)
        else:
            _of_container(host, where, container, follow=follow, others=others)
    except KeyboardInterrupt:
        return 0
    return 0


def _of_sessions(host: str, verbose: int, *, follow: bool) -> None:
    stopping.stop_like_ctrl_c()
    options.set_up_logging(verbose)
    from remotenb.background import state  # noqa: PLC0415  platformdirs

    try:
        with state.log_path(host).open(encoding="utf-8", errors="replace") as file:
            while True:
                click.echo(file.read(), nl=False)
                if not follow:
                    return
                time.sleep(LOOK_EVERY_S)
    except FileNotFoundError:
        hint = f"remotenb connect {host}"
        raise LocalError(f"there was no session of {host} yet", hint=hint) from None


def _of_container(
    host: str, where: Mapping[str, str | int | None], name: str, *, follow: bool, others: bool
) -> None:
    with on_machine(host, where) as machine:
        one = machine.container(name, others=others)
        onward = ("--follow",) if follow else ()
        # one stream: a container's stderr is as much its log
        command = ("sh", "-c", 'exec "$@" 2>&1', "sh", *one.engine.argv)
        told = (*command, "logs", f"--tail={TAIL_LINES}", *onward, one.id)
        with machine.spawn(*told) as process:
            for line in process.lines():
                click.echo(plain(line))
            if process.wait() != 0:
                raise machine.complaint(f"it does not tell the log of {one.name}", one)
