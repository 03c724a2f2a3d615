"""``remotenb exec`` and ``shell``: a command, or a terminal, in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine

if TYPE_CHECKING:
    from collections.abc import Callable

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")


def _in_container(function: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands take."""
    for decorate in (
        options.common,
        click.option("--others", is_flag=True, help="Even if it is another user's."),
        click.option("-u", "--user", default="", metavar="USER", help="As this user, like root."),
        click.option("--container", metavar="C", help="In this one, if you have several."),
    ):
        function = decorate(function)
    return function


@click.command("exec", short_help="Run a command in a container.")
@click.argument("host", metavar="HOST")
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True)
@_in_container
def command(*, host: str, command: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401  see _join
    """Run a command in a container of yours on HOST, with its stdin, stdout and exit code.

    Before a command that has options of its own, write --. The command ends when the
    connection does. An exit code of 125 is remotenb's own failure.
    """
    return _join(host, command, **given)


@click.command("shell", short_help="A terminal in a container.")
@click.argument("host", metavar="HOST")
@_in_container
def shell(*, host: str, **given: Any) -> int:  # noqa: ANN401  see _join
    """Open a shell in a container of yours on HOST.

    It ends when the connection does; what should live on, start with nohup or in tmux.
    """
    return _join(host, SHELL, **given)


def _join(
    host: str,
    command: tuple[str, ...],
    *,
    container: str | None,
    user: str,
    others: bool,
    **where: str | int | None,
) -> int:
    with on_machine(host, where, quiet=True) as machine:
        from remotenb.cli import terminal  # noqa: PLC0415  paramiko
        from remotenb.execute import execute  # noqa: PLC0415  paramiko

        one = machine.container(container, others=others)
        term = terminal.kind()
        begun = execute(machine, one, command, user=user, term=term, size=terminal.size())
        return terminal.join(begun, terminal=bool(term))
