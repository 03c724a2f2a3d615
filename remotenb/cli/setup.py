"""``remotenb setup HOST``: from an account on a machine to a box that is ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, stopping
from remotenb.cli.doctor import examine
from remotenb.cli.machines import resolved, settings_of
from remotenb.cli.output import emit, reporter
from remotenb.cli.people import people
from remotenb.setup.outcome import STEPS, Outcome, code
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remotenb.model import Host
    from remotenb.settings import Settings
    from remotenb.setup.outcome import State
    from remotenb.setup.steps import Walk

SIGNS: dict[State, tuple[str, str]] = {
    "there": ("✓", "green"),
    "done": ("✓", "green"),
    "would": ("?", "yellow"),
    "skipped": ("-", "bright_black"),
    "failed": ("✗", "red"),
}
WIDTH = max(map(len, STEPS))


@click.command("setup", short_help="Make a machine ready, step by step.")
@click.argument("host", metavar="HOST")
@click.option("--name", metavar="NAME", help="What the config is to call it.  [HOST's name]")
@click.option("--image", metavar="I", help="The image for new containers.")
@click.option("--skip", type=click.Choice(STEPS), multiple=True, help="Leave this step out.")
@click.option("--ssh-entry", is_flag=True, help="Also give it an entry in your ssh_config.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@options.as_json("Print an event for each step; nothing is asked.")
@options.common
def command(  # noqa: PLR0913  one parameter for each option
    *,
    host: str,
    name: str | None,
    image: str | None,
    skip: tuple[str, ...],
    ssh_entry: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Go from an account on HOST to a box that is ready, step by step.

    A key that logs in; docker, and your permission to use it; NVIDIA's Container Toolkit;
    an image; the host in your config. What is there already is left as it is; what would be
    done is shown, and asked about. It ends with remotenb doctor.
    """
    stopping.utf8_streams()
    stopping.stop_like_ctrl_c()
    options.set_up_logging(int(where["verbose"] or 0))
    settings = settings_of(host, where, image=image)
    target = resolved(host, settings)
    walk = _walk(target, settings, as_json=as_json)
    walk.yes, walk.dry_run, walk.skip = yes, dry_run, frozenset(skip)
    name = name or (target.hostname if {"@", ":"} & set(host) else host)
    outcomes: list[Outcome] = []
    for outcome in _outcomes(walk, host, name, where, ssh_entry=ssh_entry):
        outcomes.append(outcome)
        _show(outcome, as_json=as_json)
    if dry_run or code(outcomes):
        return code(outcomes)
    return examine(host if "config" in skip else name, where, as_json=as_json)


def _walk(target: Host, settings: Settings, *, as_json: bool) -> Walk:
    from remotenb.setup.key import Login  # noqa: PLC0415  paramiko and fabric: 200 ms
    from remotenb.setup.steps import Walk  # noqa: PLC0415

    person = people(as_json=as_json)
    login = Login(target, reporter(as_json=as_json), person)
    return Walk(login, person, lambda text: click.echo(plain(text), err=True), settings.image)


def _outcomes(
    walk: Walk, host: str, name: str, where: Mapping[str, str | int | None], *, ssh_entry: bool
) -> Iterator[Outcome]:
    yield from walk.outcomes()
    from remotenb.setup import entries  # noqa: PLC0415  tomlkit

    login = walk.login
    address = login.host.login if host != name else None
    entry = entries.Entry(name, login.host, address, login.placed, walk.image, walk.dry_run)
    if "config" in walk.skip:
        yield Outcome("config", "skipped", "as you wished")
    else:
        named = str(where["config_file"]) if where["config_file"] else None
        file = Path(named).expanduser() if named else options.default_config_file()
        known = options.load_config(named if named and file.exists() else None).hosts.get(name)
        yield entries.in_config(entry, file, known)
    if ssh_entry:
        yield entries.in_ssh_config(
            entry, Path(str(where["ssh_config"] or "~/.ssh/config")).expanduser()
        )


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        emit(
            event="step",
            step=outcome.step,
            state=outcome.state,
            said=outcome.said,
            cure=outcome.cure or None,
        )
        return
    sign, colour = SIGNS[outcome.state]
    click.echo(f"{click.style(sign, fg=colour)} {outcome.step:{WIDTH}}  {plain(outcome.said)}")
    if outcome.cure:
        click.echo(f"  {'':{WIDTH}}  → {plain(outcome.cure)}")
