"""``remotenb cp HOST SRC DST``."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import emit, size
from remotenb.cli.people import people
from remotenb.cli.progress import Bytes
from remotenb.errors import CopyIncomplete, FarSideError, UsageError
from remotenb.text import one_line

if TYPE_CHECKING:
    from remotenb.files import Outcome, Place, Plan
    from remotenb.machine import Machine
    from remotenb.model import Container


@click.command("cp", short_help="Copy files to and from a container.")
@click.argument("host", metavar="HOST")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--container", metavar="C", help="In this one, if you have several.")
@click.option("--on-host", is_flag=True, help="Paths over there are HOST's own, in no container.")
@click.option("-y", "--force", is_flag=True, help="Replace files that are there and differ.")
@click.option("--others", is_flag=True, help="Even if the container is another user's.")
@options.as_json("Print events, one JSON object a line; nothing is asked.")
@options.common
def command(  # noqa: PLR0913  one for each option
    *,
    host: str,
    source: str,
    target: str,
    container: str | None,
    on_host: bool,
    force: bool,
    others: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Copy a file or a folder between this laptop and your container on HOST.

    The side over there has a colon in front: cp gpu-box data.npz :/workspace/

    A folder goes into DST under its name; with a slash behind SRC, its contents do. A file
    goes into DST if that is a folder or is written with a slash. Files that are there already
    are left alone; the same command again goes on where it was cut.
    """
    if source.startswith(":") == target.startswith(":"):
        raise UsageError(
            "one of SRC and DST is over there, and has a colon in front",
            hint=f"for example: remotenb cp {host} data.npz :/workspace/",
        )
    with on_machine(host, where, as_json=as_json) as machine, ExitStack() as stack:
        from remotenb import files  # noqa: PLC0415  see on_machine

        inside = not on_host and machine.settings.engine != "host"
        chosen = _chosen(machine, container, others=others) if inside else None
        far, near = (source, target) if source.startswith(":") else (target, source)
        place = files.Place(machine, chosen, far[1:] or ".")
        told = _Told(place, as_json=as_json, force=force, stack=stack)
        near = os.path.expanduser(near)  # noqa: PTH111  a Path would lose the slash at its end
        if far is source:
            outcome = files.download(place, near, told)
        else:
            outcome = files.upload(near, place, told)
    return _report(outcome, told, as_json=as_json)


def _chosen(machine: Machine, name: str | None, *, others: bool) -> Container:
    try:
        return machine.container(name, others=others)
    except FarSideError as error:
        error.hint += "; for paths of the machine itself: --on-host"
        raise


class _Told:
    """Asks before something is replaced, and shows how far it is."""

    def __init__(self, place: Place, *, as_json: bool, force: bool, stack: ExitStack) -> None:
        self._place = place
        self._as_json = as_json
        self._force = force
        self._stack = stack
        self._shown: Bytes | None = None
        self.plan: Plan | None = None

    def agree(self, plan: Plan) -> bool:
        """Whether what differs may be replaced."""
        self.plan = plan
        replace = bool(plan.clashes) and (self._force or self._asked(plan))
        what = f"{plan.lacking_files} files" if plan.lacking_files != 1 else "1 file"
        self._shown = Bytes(what, plan.lacking_bytes, as_json=self._as_json)
        self._stack.enter_context(self._shown)
        return replace

    def moved(self, count: int) -> None:
        """The bar grows."""
        if self._shown is not None:
            self._shown.moved(count)

    def _asked(self, plan: Plan) -> bool:
        first = one_line(plan.examples[0] if plan.examples else "")
        which = f"{first} is" if plan.clashes == 1 else f"{first} and {plan.clashes - 1} more are"
        person = people(as_json=self._as_json)
        if person and person.agree(f"{which} there already, and different. Replace (yes/no)? "):
            return True
        raise UsageError(
            f"{which} there already, and different; nothing was copied",
            hint="--force replaces what is there",
        )


def _report(outcome: Outcome, told: _Told, *, as_json: bool) -> int:
    plan = told.plan
    assert plan is not None  # noqa: S101  it was agreed to
    same = plan.files - plan.lacking_files
    if as_json:
        emit(
            event="copied",
            files=outcome.copied,
            bytes=outcome.bytes,
            unchanged=same,
            to=plan.place,
            failed=[{"path": one.path, "why": one.why} for one in outcome.failed],
        )
    else:
        _say(outcome, plan, same)
    if outcome.failures:
        raise CopyIncomplete(
            f"{outcome.failures} of the files were not copied", hint="each is named above, with why"
        )
    return 0


def _say(outcome: Outcome, plan: Plan, same: int) -> None:
    for one in outcome.failed:
        name = one.path or Path(plan.place).name
        click.echo(f"not copied: {one_line(name)}: {one_line(one.why)}", err=True)
    there = f"; {same} were there already" if same else ""
    number = f"{outcome.copied} file{'s' * (outcome.copied != 1)}, {size(outcome.bytes)}"
    click.echo(f"copied: {number}, to {one_line(plan.place)}{there}", err=True)
