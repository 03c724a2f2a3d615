"""``remotenb commit HOST NAME:TAG``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import done, emit, size
from remotenb.cli.people import people
from remotenb.errors import UsageError
from remotenb.text import plain

if TYPE_CHECKING:
    from remotenb.images.commit import Changes
    from remotenb.images.reference import Reference
    from remotenb.machine import Machine
    from remotenb.model import Container

FOLDERS_SHOWN = 8
LITTLE_S = 0.5
"""A freeze of less than this nobody notices."""


@click.command("commit", short_help="Make an image of a container.")
@click.argument("host", metavar="HOST")
@click.argument("name", metavar="NAME:TAG")
@click.option("--container", metavar="C", help="Of this one, if you have several.")
@click.option("--others", is_flag=True, help="Even if it is another user's.")
@click.option(
    "--pause/--no-pause",
    default=None,
    help="Freeze it meanwhile, or let it run: then a file that is being written may be torn.  "
    "[freeze it, unless a kernel is busy]",
)
@click.option("-y", "--yes", is_flag=True, help="Replace an image of that name without asking.")
@options.as_json("Print what was found and done, as events.")
@options.common
def command(  # noqa: PLR0913  one parameter for each option
    *,
    host: str,
    name: str,
    container: str | None,
    others: bool,
    pause: bool | None,
    yes: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Make an image of a container of yours: its base, and what you installed and changed in it.

    Mounted folders are not in it, nor histories, keys, tokens and pip's cache. It starts as its
    base does, for anybody: remotenb connect HOST --image NAME:TAG.
    """
    target = _name(name)
    with on_machine(host, where, as_json=as_json) as machine:
        from remotenb.images import commit  # noqa: PLC0415  see on_machine

        one = machine.container(container, others=others)
        with machine.report.step(f"looking at what was changed in {one.name}"):
            changes = commit.look(machine, one)
            busy = commit.busy_kernels(machine, one) if one.running else 0
        _show(one, changes, busy, as_json=as_json)
        commit.check_room(changes, host)
        _may_replace(machine, target, yes=yes, as_json=as_json)
        if not one.engine.freezes:
            pausing = _must_run_on(changes, busy, asked=pause, as_json=as_json)
        else:
            pausing = _may_pause(changes, busy, asked=pause, as_json=as_json)
        with machine.report.step(f"committing {one.name} as {target.familiar}"):
            made = commit.commit(machine, one, changes, target, pause=one.running and pausing)
    return done("committed", target.familiar, as_json=as_json, host=host, id=made[:12])


def _name(text: str) -> Reference:
    from remotenb.images.reference import parse  # noqa: PLC0415  only here

    name = parse(text)
    if name.digest:
        raise UsageError(f"an image is not named by a digest: {plain(text)}", hint="say NAME:TAG")
    return name


def _show(one: Container, changes: Changes, busy: int | None, *, as_json: bool) -> None:
    not_in_it = {"mounts": changes.mounts, "left_out": changes.left_out}
    if as_json:
        folders = [asdict(folder) for folder in changes.folders]
        facts = {"size": changes.size, "folders": folders, "deleted": changes.deleted, **not_in_it}
        about = {"container": one.name, "image": one.image, "kernels_busy": busy}
        emit(event="commit", **about, **facts, pause=round(changes.pause, 1))
        return
    click.echo(f"  changed in {plain(one.name)}: {size(changes.size)}", err=True)
    for folder in changes.folders[:FOLDERS_SHOWN]:
        files = f"{folder.files} file{'s' * (folder.files != 1)}"
        line = f"    {size(folder.size):>10}  {plain(folder.path)}  ({files})"
        click.echo(line, err=True)
    if rest := changes.folders[FOLDERS_SHOWN:]:
        total = size(sum(folder.size for folder in rest))
        click.echo(f"    {total:>10}  in {len(rest)} more folders", err=True)
    if changes.deleted:
        click.echo(f"    {changes.deleted} files and folders of the image were removed", err=True)
    for words, paths in (("mounted, so not in it", changes.mounts), ("left out", changes.left_out)):
        if paths:
            click.echo(f"  {words}: {plain(', '.join(paths))}", err=True)


def _may_replace(machine: Machine, name: Reference, *, yes: bool, as_json: bool) -> None:
    if yes or name.familiar not in {one.ref for one in machine.images}:
        return
    person = people(as_json=as_json)
    question = f"There is an image {name.familiar}. Replace it (yes/no)? "
    if person is None or not person.agree(question):
        raise UsageError(
            f"there is an image {name.familiar} already; nothing was changed",
            hint="choose another tag, or --yes to replace it",
        )


def _may_pause(changes: Changes, busy: int | None, *, asked: bool | None, as_json: bool) -> bool:
    """Whether to freeze it; raises :class:`UsageError` where only its user can say."""
    if asked is not None:
        return asked
    if busy == 0 or changes.pause < LITTLE_S:
        return True
    who = _who_is_busy(busy)
    cost = f"a commit would freeze it all for about {max(changes.pause, 1):.0f} s"
    person = people(as_json=as_json)
    if person is not None and person.agree(f"{who}, and {cost}. Freeze it (yes/no)? "):
        return True
    raise UsageError(
        f"{who}, and {cost}",
        hint="--no-pause lets it run, but a file that is being written may be torn; "
        "--pause freezes it; or wait until it is idle",
    )


def _must_run_on(changes: Changes, busy: int | None, *, asked: bool | None, as_json: bool) -> bool:
    """False: it is not frozen, as that cannot be; :class:`UsageError` where nobody agreed to it."""
    idle = busy == 0 or (busy is None and changes.pause < LITTLE_S)
    if asked is False or (idle and not asked):
        return False
    why = "podman cannot freeze a container there: without root that takes control groups v2"
    who = "" if busy == 0 else f"{_who_is_busy(busy)}, and "
    person = None if asked else people(as_json=as_json)
    if person is not None and person.agree(f"{who}{why}. Commit it as it runs (yes/no)? "):
        return False
    hint = "--no-pause commits it as it runs, and a file that is being written may be torn"
    raise UsageError(f"{who}{why}", hint=f"{hint}; or stop it first")


def _who_is_busy(busy: int | None) -> str:
    kernels = "1 kernel is busy" if busy == 1 else f"{busy} kernels are busy"
    return kernels if busy else "whether a kernel is busy is not to be learnt"
