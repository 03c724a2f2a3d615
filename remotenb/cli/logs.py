"""``remotenb logs HOST``."""

from __future__ import annotations

import time

import click

from remotenb.cli import options, stopping
from remotenb.errors import LocalError

LOOK_EVERY_S = 0.3


@click.command("logs", short_help="What the sessions of HOST told.")
@click.argument("host", metavar="HOST")
@click.option("-f", "--follow", is_flag=True, help="Go on, until Ctrl-C.")
@options.common
def command(*, host: str, follow: bool, verbose: int, **_unused: str | None) -> int:
    """What the sessions of HOST told, a line for each event."""
    stopping.utf8_streams()
    stopping.stop_like_ctrl_c()
    options.set_up_logging(verbose)
    from remotenb.background import state  # noqa: PLC0415  platformdirs

    path = state.log_path(host)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            while True:
                click.echo(file.read(), nl=False)
                if not follow:
                    return 0
                time.sleep(LOOK_EVERY_S)
    except FileNotFoundError:
        hint = f"remotenb connect {host}"
        raise LocalError(f"there was no session of {host} yet", hint=hint) from None
    except KeyboardInterrupt:
        return 0
