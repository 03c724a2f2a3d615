"""``remotenb doctor HOST``: what is wrong between the laptop and the notebook, and the cure."""

from __future__ import annotations

import json
import os
import platform
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb import __version__, checkup
from remotenb.cli import machines, options, stopping
from remotenb.cli.people import people
from remotenb.errors import LocalError, SshConfigError
from remotenb.report import Quiet
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remotenb.checkup import Finding, State
    from remotenb.model import Host
    from remotenb.settings import Settings

SIGNS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
    "untested": ("-", "bright_black"),
}
WIDTH = max(map(len, checkup.CHAIN))


@click.command("doctor", short_help="What is wrong between laptop and notebook.")
@click.argument("host", metavar="HOST")
@options.as_json("Print one JSON document, a list.")
@click.option("--bundle", metavar="FILE", help="Write a report without secrets, to send around.")
@options.common
def command(*, host: str, as_json: bool, bundle: str | None, **where: str | int | None) -> int:
    """Check each link of the chain from this laptop to the notebook on HOST.

    It logs in and looks, and changes nothing. Where no container of yours runs, the configured
    image is looked into, in a container that goes at once.
    """
    stopping.stop_like_ctrl_c()
    options.set_up_logging(int(where["verbose"] or 0))
    return examine(host, where, as_json=as_json, bundle=bundle)


def examine(
    host: str,
    where: Mapping[str, str | int | None],
    *,
    as_json: bool,
    bundle: str | None = None,
) -> int:
    """Check the chain to ``host`` and show what is found; the exit code."""
    settings = machines.settings_of(host, where)
    target = _target(host, settings)
    findings: list[Finding] = []
    begun = (
        [target]
        if isinstance(target, checkup.Finding)
        else _check_up(target, settings, as_json=as_json)
    )
    for finding in begun:
        findings.append(finding)
        if not as_json and finding.state != "untested":
            _show(finding)
    if as_json:
        click.echo(json.dumps(checkup.members(findings)))
    else:
        _show_untested(findings)
    if bundle is not None:
        _write(Path(bundle), report(findings, settings, target))
    return checkup.code(findings)


def _target(host: str, settings: Settings) -> Host | Finding:
    try:
        return machines.resolved(host, settings)
    except SshConfigError as error:
        return checkup.Finding("ssh_config", "broken", error.message, error.hint)


def _check_up(target: Host, settings: Settings, *, as_json: bool) -> Iterator[Finding]:
    first = machines.dialled(target)
    from remotenb.doctor import CheckUp  # noqa: PLC0415  paramiko and fabric: 200 ms
    from remotenb.session.opening import Connect  # noqa: PLC0415
    from remotenb.spec import Wish  # noqa: PLC0415

    wish, person = Wish(settings), people(as_json=as_json)
    # under a name of its own: a live session to the same notebook must not notice
    stranger = secrets.token_bytes(16)
    connect = Connect(target, wish, Quiet(), person, first, laptop=lambda: stranger)
    yield from CheckUp(connect).findings()


def _show(finding: Finding) -> None:
    sign, colour = SIGNS[finding.state]
    said = plain(finding.said)
    click.echo(f"{click.style(sign, fg=colour)} {finding.link:{WIDTH}}  {said}")
    if finding.cure:
        click.echo(f"  {'':{WIDTH}}  → {plain(finding.cure)}")


def _show_untested(findings: Sequence[Finding]) -> None:
    """Those with the same reason in one line."""
    untested = [one for one in findings if one.state == "untested"]
    for why in dict.fromkeys(one.said for one in untested):
        links = ", ".join(one.link for one in untested if one.said == why)
        click.echo(f"{click.style('-', fg=SIGNS['untested'][1])} not tested: {links}")
        click.echo(f"  {'':{WIDTH}}  {plain(why)}")


def report(findings: Sequence[Finding], settings: Settings, target: Host | Finding) -> str:
    """A text for whoever helps: no secret, no value of ``env``, no name of user or machine."""
    about = [
        f"remotenb {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"engine {settings.engine}, image {settings.image}, gpus {settings.gpus}",
        f"relay {settings.relay}, volumes {len(settings.volumes)}, env {sorted(settings.env)}",
        "",
    ]
    lines = [
        f"{one.state:9} {one.link:{WIDTH}}  {one.said}" + (f"  -> {one.cure}" if one.cure else "")
        for one in findings
    ]
    hops = () if isinstance(target, checkup.Finding) else (*target.jumps, target)
    names = {str(Path.home()): "~", Path.home().name: "USER", platform.node(): "LAPTOP"}
    for hop in hops:
        names |= {hop.name: "HOST", hop.hostname: "HOST", hop.user: "USER"}
    return checkup.redacted("\n".join([*about, *lines, ""]), names)


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise LocalError(f"{file} is there already", hint="name another file") from None
    except OSError as error:
        raise LocalError(f"cannot write {file}: {error.strerror}", hint="name another") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    click.echo(f"report: {file}", err=True)
