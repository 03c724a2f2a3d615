"""``remotenb status [HOST]``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, stopping
from remotenb.text import plain

if TYPE_CHECKING:
    from remotenb.background.control import Facts

COLUMNS = ("host", "container", "address", "link", "since", "outages", "kernels", "forwards")


@click.command("status", short_help="The live sessions of this laptop.")
@click.argument("host", metavar="[HOST]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, a list.")
@options.common
def command(*, host: str | None, as_json: bool, verbose: int, **_unused: str | None) -> int:
    """The live sessions of this laptop: where they lead, and how their links are."""
    stopping.utf8_streams()
    options.set_up_logging(verbose)
    from remotenb.background import sessions  # noqa: PLC0415  platformdirs

    rows = [facts for _, facts in sessions.live(host)]
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        _print_table(rows)
    else:
        click.echo("there is no session; remotenb connect HOST begins one", err=True)
    return 0


def _print_table(rows: list[Facts]) -> None:
    from rich.console import Console  # noqa: PLC0415  42 ms
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in _cells(row)))
    console = Console(file=sys.stdout)
    console.print(table, soft_wrap=not console.is_terminal)


def _cells(row: Facts) -> list[str]:
    busy, idle = row["kernels_busy"], row["kernels_idle"]
    kernels = "" if busy is None else f"{busy} busy, {idle} idle"
    forwards = row["forwards"]
    ports = forwards if isinstance(forwards, list) else []
    shown = ", ".join(f"{one['local_port']} to {one['port']}" for one in ports)
    facts = {**row, "kernels": kernels, "forwards": shown}
    return ["" if facts[column] is None else str(facts[column]) for column in COLUMNS]
