"""``remotenb open HOST``."""

from __future__ import annotations

import click

from remotenb.cli import options
from remotenb.cli.output import emit


@click.command("open", short_help="Open the notebook of a live session again.")
@click.argument("host", metavar="HOST")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening it.")
@options.common
def command(
    *, host: str, as_json: bool, no_browser: bool, verbose: int, **_unused: str | None
) -> int:
    """Open the notebook of a live session again: a tab was closed, or a token lost."""
    options.set_up_logging(verbose)
    from remotenb.background import sessions  # noqa: PLC0415  platformdirs
    from remotenb.laptop import browser  # noqa: PLC0415

    answer = sessions.first(sessions.one(host), "open")
    opened = not (no_browser or as_json) and browser.available()
    opened = opened and browser.open_page(str(answer["url"]))
    if as_json:
        emit(event="open", host=host, url=answer["address"])
    elif not opened:
        click.echo("Open this in your browser:", err=True)
        click.echo(answer["address"])
    return 0
