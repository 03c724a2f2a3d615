"""``remotenb run HOST [IMAGE] [-- COMMAND...]``."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import done, reporter
from remotenb.errors import LimitRefused, UsageError

if TYPE_CHECKING:
    from remotenb.decision import ContainerSpec
    from remotenb.machine import Machine


class _CommandAfterDashes(click.Command):
    """What stands behind ``--`` is the command, also where no image was named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take it away before click looks for options in it."""
        cut = args.index("--") if "--" in args else len(args)
        behind = tuple(args[cut + 1 :])
        rest = super().parse_args(ctx, args[:cut])
        ctx.params["command"] = (*ctx.params["command"], *behind)
        return rest


@click.command("run", cls=_CommandAfterDashes, short_help="Run a command in a new container.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="[IMAGE]", required=False)
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1)
@options.of_a_new_container
@click.option("--name", metavar="NAME", help="What it is called.  [made for you]")
@click.option(
    "-e",
    "--env",
    metavar="NAME=VALUE",
    multiple=True,
    help="Environment; NAME alone takes this laptop's value.",
)
@click.option(
    "-p",
    "--publish",
    "ports",
    metavar="[ADDRESS:][PORT:]PORT",
    multiple=True,
    help="Publish a port of it, on the loopback of HOST unless you name an address.",
)
@click.option("-d", "--detach", is_flag=True, help="Let it run by itself; print its name.")
@click.option("--rm", "remove", is_flag=True, help="Remove it when it ends.")
@options.as_json("With -d: print what was done, as an event.")
@options.common
def command(  # noqa: PLR0913  one parameter for each option
    *,
    host: str,
    image: str | None,
    command: tuple[str, ...],
    gpus: str | None,
    volumes: tuple[str, ...],
    name: str | None,
    env: tuple[str, ...],
    ports: tuple[str, ...],
    detach: bool,
    remove: bool,
    as_json: bool,
    **where: Any,  # noqa: ANN401  what options.common gives
) -> int:
    """Run a command in a new container on HOST, which runs as you and leaves files that are yours.

    IMAGE is one of HOST's, or the config's; COMMAND the image's own if you give none. Without -d
    it has this terminal or these pipes, passes on its exit code, and ends when the connection
    does. 125 is remotenb's own failure.
    """
    if as_json and not detach:
        raise UsageError("--json needs -d: stdout is the command's", hint="leave --json out")
    chosen = {
        "image": image,
        "gpus": gpus,
        "volumes": options.of_the_server(volumes, reporter(as_json=as_json)) or None,
        "container_name": name,
        "ports": ports or None,
        "env": dict(_variable(one) for one in env) or None,
    }
    with on_machine(host, where, as_json=as_json, quiet=not detach, **chosen) as machine:
        if detach:
            return _let_go(machine, command, name, remove=remove, as_json=as_json)
        return _join(machine, command, name, remove=remove)


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not name:
        raise UsageError(f"not a variable: {text!r}", hint="say NAME=VALUE")
    return name, value if given else os.environ.get(name, "")


def _let_go(
    machine: Machine, command: tuple[str, ...], name: str | None, *, remove: bool, as_json: bool
) -> int:
    from remotenb import run  # noqa: PLC0415  paramiko

    spec = run.spec_of_run(machine, name=name, options=("--rm",) * remove)
    with machine.report.step(f"starting container {spec.name} of {spec.image}{_on_gpus(spec)}"):
        try:
            made = run.make(machine, spec, command, detach=True)
        except LimitRefused as refused:
            said = f"{spec.engine.name} may not set ulimits there; started without"
            machine.report.warning("ulimits", said, refused.hint)
            made = run.make(machine, replace(spec, ulimits=()), command, detach=True)
    if as_json:
        return done("started", spec.name, as_json=True, host=machine.host.name, id=made[:12])
    click.echo(spec.name)
    return 0


def _join(machine: Machine, command: tuple[str, ...], name: str | None, *, remove: bool) -> int:
    from remotenb import run  # noqa: PLC0415  paramiko
    from remotenb.cli import terminal  # noqa: PLC0415  paramiko

    term = terminal.kind()
    kind = ("--tty", *(() if "TERM" in machine.settings.env else (f"--env=TERM={term}",)))
    asked = ("--interactive", *(kind if term else ()), *(("--rm",) if remove else ()))
    spec = run.spec_of_run(machine, name=name, options=asked)
    feed = terminal.Feed()
    while True:
        made = run.make(machine, spec, command)
        begun = run.begin(machine, spec, made, term=term, size=terminal.size())
        withheld = terminal.Withheld(wanted=True)
        code = terminal.join(begun, terminal=bool(term), withheld=withheld, feed=feed)
        if not (code and withheld.said and run.never_started(machine, spec, made)):
            (sys.stdout if term else sys.stderr).buffer.write(withheld.said)
            return code
        error = machine.complaint(withheld.said.decode("utf-8", "replace"), spec)
        if not isinstance(error, LimitRefused) or withheld.given or not spec.ulimits:
            raise error  # what it was sent of stdin could not be sent again
        spec = replace(spec, ulimits=())


def _on_gpus(spec: ContainerSpec) -> str:
    return f" on GPU {spec.gpu_names}" if spec.gpus else ""
