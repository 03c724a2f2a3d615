"""``remotenb status [HOST]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remotenb.cli import options, tables

if TYPE_CHECKING:
    from remotenb.background.asking import Facts

COLUMNS = ("host", "container", "address", "link", "since", "outages", "kernels", "forwards")


@click.command("status", short_help="The live sessions of this laptop.")
@click.argument("host", metavar="[HOST]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, a list.")
@options.common
def command(*, host: str | None, as_json: bool, verbose: int, **_unused: str | None) -> int:
    """The live sessions of this laptop: where they lead, and how their links are."""
    options.set_up_logging(verbose)
    from remotenb.background import sessions  # noqa: PLC0415  platformdirs

    rows = [facts for _, facts in sessions.live(host)]
    none = "there is no session; remotenb connect HOST begins one"
    shown = rows if as_json else [_shown(row) for row in rows]
    tables.show(shown, COLUMNS, as_json=as_json, none=none)
    for name in (row["host"] for row in rows if row["link"] == "waiting" and not as_json):
        click.echo(f"{name} waits for somebody to log in: remotenb connect {name}", err=True)
    return 0


def _shown(row: Facts) -> dict[str, object]:
    """A row of the table: for people."""
    busy, idle, forwards = row["kernels_busy"], row["kernels_idle"], row["forwards"]
    ports = forwards if isinstance(forwards, list) else []
    return {
        **row,
        "kernels": None if busy is None else f"{busy} busy, {idle} idle",
        "forwards": [f"{one['local_port']} to {one['port']}" for one in ports],
    }
