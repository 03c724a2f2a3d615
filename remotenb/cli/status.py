"""``remotenb status [HOST]``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, tables

if TYPE_CHECKING:
    from remotenb.background.asking import Facts

COLUMNS = ("host", "container", "address", "link", "since")
AT_TIMES = ("outages", "kernels", "forwards")
"""Columns that are left out while there is nothing in them: a screen is narrow."""


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
    columns = (*COLUMNS, *(one for one in AT_TIMES if any(row.get(one) for row in shown)))
    tables.show(shown, columns, as_json=as_json, none=none)
    for name in (row["host"] for row in rows if row["link"] == "waiting" and not as_json):
        click.echo(f"{name} waits for somebody to log in: remotenb connect {name}", err=True)
    return 0


def _shown(row: Facts) -> dict[str, object]:
    """A row of the table: for people."""
    busy, idle, forwards = row["kernels_busy"], row["kernels_idle"], row["forwards"]
    ports = forwards if isinstance(forwards, list) else []
    return {
        **row,
        "since": _since(str(row["since"])),
        "kernels": f"{busy} busy, {idle} idle" if busy or idle else None,
        "forwards": [f"{one['local_port']} to {one['port']}" for one in ports],
    }


def _since(moment: str) -> str:
    """The hour, of another day with its date, as the clock here has it."""
    then = datetime.fromisoformat(moment).astimezone()
    today = datetime.now(UTC).astimezone().date() == then.date()
    return f"{then:%H:%M}" if today else f"{then:%Y-%m-%d %H:%M}"
