"""A list of things: a table for people, one JSON document for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, object]

ENDLESS = 10_000
"""Columns of what is no terminal."""


def show(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool, none: str) -> None:
    """Print ``rows``; a table has these ``columns``, and ``none`` is said for people if empty."""
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        _table(rows, columns)
    else:
        click.echo(none, err=True)


def _table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  42 ms
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console.width = ENDLESS  # whatever reads it wants a row in a line
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(one) for one in value)
    return "" if value is None else plain(str(value))
