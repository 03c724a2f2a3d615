"""``remotenb chown HOST [PATH]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import emit
from remotenb.cli.people import people
from remotenb.text import plain

if TYPE_CHECKING:
    from remotenb.machine import Machine
    from remotenb.ownership import RootsFiles


@click.command("chown", short_help="Take over what is root's in your folders.")
@click.argument("host", metavar="HOST")
@click.argument("path", metavar="[PATH]", required=False)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@options.as_json("Print an event for each folder.")
@options.common
def command(
    *, host: str, path: str | None, yes: bool, as_json: bool, **where: str | int | None
) -> int:
    """Take over what containers left behind as root's in your folders on HOST.

    First it is counted; then you are asked. PATH is a folder of HOST in your home, or one that
    a container of yours mounts; without it, all of the latter.
    """
    with on_machine(host, where, as_json=as_json) as machine:
        from remotenb import ownership  # noqa: PLC0415  see on_machine

        found = [ownership.folder(machine, path)] if path else ownership.folders(machine)
        if not found and not as_json:
            click.echo(f"no container of yours on {host} mounts a folder of your home", err=True)
        for folder in found:
            with machine.report.step(f"counting what is root's in {folder}"):
                owned = ownership.count(machine, folder)
            _deal_with(machine, owned, yes=yes, as_json=as_json)
    return 0


def _deal_with(machine: Machine, owned: RootsFiles, *, yes: bool, as_json: bool) -> None:
    from remotenb import ownership  # noqa: PLC0415  see on_machine

    if not as_json:
        _show(owned)
    changed = bool(owned.count) and (yes or _agreed(owned, as_json=as_json))
    if changed:
        with machine.report.step(f"giving them to {machine.probe.user}"):
            ownership.take_over(machine, owned.folder)
    if as_json:
        emit(event="chown", folder=owned.folder, files=owned.count, changed=changed)
    elif owned.count and not changed:
        click.echo("  nothing was changed; --yes does it", err=True)


def _show(owned: RootsFiles) -> None:
    click.echo(f"  {owned.count} files and folders are root's", err=True)
    for example in owned.examples:
        click.echo(f"    {plain(example)}", err=True)
    if owned.count > len(owned.examples):
        click.echo(f"    and {owned.count - len(owned.examples)} more", err=True)


def _agreed(owned: RootsFiles, *, as_json: bool) -> bool:
    person = people(as_json=as_json)
    question = f"Make these {owned.count} yours (yes/no)? "
    return person is not None and person.agree(question)
