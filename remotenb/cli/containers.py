"""``remotenb ps``, ``stop``, ``kill``, ``start``, ``rm``, ``prune``: the containers of HOST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remotenb.cli import options, tables
from remotenb.cli.machines import on_machine
from remotenb.cli.output import done, size
from remotenb.cli.people import people
from remotenb.engines.docker import made_here, notebook_of_ours
from remotenb.errors import UsageError
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remotenb.leftovers import Leftover
    from remotenb.machine import Machine
    from remotenb.model import Container

COLUMNS = ("name", "image", "status", "gpus", "owner", "notebook")

STOP_GRACE_S = 10


def _of_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every command on one container takes."""
    for decorate in (
        options.common,
        options.as_json("Print what was done, as an event."),
        click.option("--others", is_flag=True, help="Even if it is another user's."),
        click.argument("container", metavar="[CONTAINER]", required=False),
        click.argument("host", metavar="HOST"),
    ):
        function = decorate(function)
    return function


@click.command("ps", short_help="The containers of HOST.")
@click.argument("host", metavar="HOST")
@click.option("-a", "--all", "every", is_flag=True, help="Other users' and stopped ones too.")
@click.option("-s", "--size", "sized", is_flag=True, help="What each wrote outside its volumes.")
@options.as_json("Print one JSON document, a list.")
@options.common
def ps(*, host: str, every: bool, sized: bool, as_json: bool, **where: str | int | None) -> int:
    """Your containers on HOST that run; --all for every one there is."""
    with on_machine(host, where, as_json=as_json) as machine:
        shown = [
            one for one in machine.containers if every or (one.running and one.ownership != "other")
        ]
        sizes = machine.sizes(shown) if sized else {}
    rows = [_row(one) for one in shown]
    for row, one in zip(rows, shown, strict=True) if sized else ():
        row["size"] = sizes.get(one.id) if as_json else size(sizes.get(one.id, 0))
    none = f"no container of yours runs on {host}; remotenb connect {host} starts one"
    several = ("engine",) if machine.probe.others else ()
    columns = (*COLUMNS, *(("size",) if sized else ()), *several)
    tables.show(rows, columns, as_json=as_json, none=none)
    return 0


def _row(container: Container) -> dict[str, object]:
    return {
        "name": container.name,
        "id": container.id[:12],
        "image": container.image,
        "status": container.status,
        "gpus": container.gpus,
        "owner": container.owner,
        "engine": container.engine.name,
        "ownership": container.ownership,
        "notebook": notebook_of_ours(container),
    }


def _act(  # noqa: PLR0913  what a command on one container was given
    verb: str,
    *options_: str,
    said: str,
    host: str,
    container: str | None,
    others: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    with on_machine(host, where, as_json=as_json) as machine:
        one = machine.container(container, others=others)
        if verb in {"stop", "kill"} or "-f" in options_:
            _end_sessions(machine, one, as_json=as_json)
        with machine.report.step(f"{verb} {one.name}"):
            machine.run(verb, *options_, one.id, of=one)
            if verb == "rm":
                machine.forget(one)
    return done(said, one.name, as_json=as_json, host=host)


def _end_sessions(machine: Machine, container: Container, *, as_json: bool) -> None:
    """End this laptop's sessions at it: what they find stopped they would start again."""
    from remotenb.background import sessions  # noqa: PLC0415  platformdirs

    for file, _ in sessions.live():
        if (file.login, file.container) == (machine.host.login, container.name):
            sessions.first(file, "close")
            if not as_json:
                click.echo(f"ended: the session at port {file.local_port}", err=True)


@click.command("stop", short_help="Stop a container; its files stay.")
@_of_one
def stop(**given: Any) -> int:  # noqa: ANN401  see _act
    """Stop a container of yours: what runs in it ends, its files stay.

    The kernels end too, and this laptop's session at it. remotenb connect or start brings it
    back.
    """
    return _act("stop", "-t", str(STOP_GRACE_S), said="stopped", **given)


@click.command("kill", short_help="End a container at once.")
@_of_one
def kill(**given: Any) -> int:  # noqa: ANN401  see _act
    """End what runs in a container of yours at once, when stop does not help."""
    return _act("kill", said="killed", **given)


@click.command("start", short_help="Start a stopped container again.")
@_of_one
def start(**given: Any) -> int:  # noqa: ANN401  see _act
    """Start a stopped container of yours again; remotenb connect goes to its notebook."""
    return _act("start", said="started", **given)


@click.command("rm", short_help="Remove a container and what was written in it.")
@click.option("-f", "--force", is_flag=True, help="Even if it runs.")
@_of_one
def rm(*, force: bool, **given: Any) -> int:  # noqa: ANN401  see _act
    """Remove a container of yours, and what was written in it outside its volumes."""
    return _act("rm", *(("-f",) if force else ()), said="removed", **given)


@click.command("prune", short_help="Remove your stopped containers.")
@click.argument("host", metavar="HOST")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@options.as_json("Print an event for each that was removed.")
@options.common
def prune(*, host: str, yes: bool, as_json: bool, **where: str | int | None) -> int:
    """Remove the stopped containers that remotenb made for you, after showing and asking.

    What was written in them outside their volumes goes too. So do images that a commit left
    without a name, and what an interrupted push brought.
    """
    with on_machine(host, where, as_json=as_json) as machine:
        from remotenb import leftovers  # noqa: PLC0415  see on_machine

        stopped = [
            one
            for one in machine.containers
            if one.ownership == "mine" and made_here(one) and not one.running
        ]
        left = leftovers.find(machine)
        if not as_json:
            _show_what_goes(stopped, machine.sizes(stopped), left)
        person = people(as_json=as_json)
        question = f"Remove these {len(stopped) + len(left)} (yes/no)? "
        if (stopped or left) and not yes and not (person and person.agree(question)):
            raise UsageError("nothing was removed", hint="--yes removes them without a question")
        for one in stopped:
            machine.run("rm", one.id, of=one)
            machine.forget(one)
            done("removed", one.name, as_json=as_json, host=host)
        for thing in left:
            leftovers.remove(machine, thing)
            done("removed", thing.name, as_json=as_json, host=host)
    if not stopped and not left and not as_json:
        click.echo(f"no stopped container of yours on {host}", err=True)
    return 0


def _show_what_goes(
    stopped: Sequence[Container], sizes: Mapping[str, int], left: Sequence[Leftover]
) -> None:
    for one in stopped:
        words = (one.name, one.image, one.status, size(sizes.get(one.id, 0)))
        click.echo("  " + plain("  ".join(words)), err=True)
    for thing in left:
        much = thing.size if isinstance(thing.size, str) else size(thing.size)
        click.echo(plain(f"  {thing.kind} {thing.name}  {much}"), err=True)
