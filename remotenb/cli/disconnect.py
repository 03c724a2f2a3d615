"""``remotenb disconnect HOST``."""

from __future__ import annotations

import json

import click

from remotenb.cli import options
from remotenb.errors import LocalError, UsageError


@click.command("disconnect", short_help="End a session; the notebook goes on.")
@click.argument("host", metavar="[HOST]", required=False)
@click.option("--all", "every", is_flag=True, help="End all of them.")
@click.option("--container", metavar="C", help="Only the session to this container.")
@click.option("--port", type=int, metavar="P", help="Only the session at this local port.")
@click.option("--json", "as_json", is_flag=True, help="Print what was ended, a list.")
@options.common
def command(  # noqa: PLR0913  one parameter for each option
    *,
    host: str | None,
    every: bool,
    container: str | None,
    port: int | None,
    as_json: bool,
    verbose: int,
    **_unused: str | None,
) -> int:
    """End the sessions of HOST on this laptop; the notebook goes on."""
    options.set_up_logging(verbose)
    from remotenb.background import sessions  # noqa: PLC0415  platformdirs

    if (host is None) != every:
        raise UsageError("say which: HOST or --all", hint="remotenb status lists them")
    chosen = [
        file
        for file, _ in sessions.live(host)
        if container in {None, file.container} and port in {None, file.local_port}
    ]
    if not chosen and not every:
        raise LocalError(f"there is no such session of {host}", hint="remotenb status lists them")
    for file in chosen:
        sessions.first(file, "close")
        if not as_json:
            click.echo(f"ended: {file.host}, port {file.local_port}", err=True)
    if as_json:
        click.echo(json.dumps([{"host": f.host, "local_port": f.local_port} for f in chosen]))
    return 0
