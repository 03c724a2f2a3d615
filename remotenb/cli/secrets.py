"""``remotenb secrets list``, ``keep``, ``forget``: what the keyring has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remotenb.cli import machines, options, tables
from remotenb.cli.output import done
from remotenb.cli.people import people
from remotenb.errors import RemotenbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remotenb.laptop.credentials import Entry

COLUMNS = ("kind", "name", "since")


@click.group("secrets", short_help="What is kept in this system's keyring.")
def command() -> None:
    """Passphrases, passwords and registry logins that you let remotenb keep.

    They are in the keyring of this system, and nowhere else.
    """


@command.command("list", short_help="What is kept, by name.")
@options.as_json("Print one JSON document, a list.")
@options.common
def list_(*, as_json: bool, verbose: int, **_where: str | None) -> int:
    """What is kept, by name; a secret itself is never shown."""
    options.set_up_logging(verbose)
    from remotenb.laptop.credentials import kept  # noqa: PLC0415  platformdirs

    rows = [{"kind": entry.kind, "name": entry.name, "since": since} for entry, since in kept()]
    tables.show(rows, COLUMNS, as_json=as_json, none="no secret is kept")
    return 0


@command.command("keep", short_help="Ask for the password of HOST and keep it.")
@click.argument("host", metavar="HOST")
@click.option("--sudo", "for_sudo", is_flag=True, help="The password of sudo over there.")
@options.as_json("Print an event when it is done.")
@options.common
def keep(*, host: str, for_sudo: bool, as_json: bool, **where: str | int | None) -> int:
    """Ask for the password of HOST and keep it, to be used by the next connect.

    A password of sudo is kept by this command alone, and never used by a reconnect.
    """
    options.set_up_logging(int(where["verbose"] or 0))
    from remotenb.laptop.credentials import Credentials, Entry  # noqa: PLC0415  platformdirs

    login = machines.resolved(host, machines.settings_of(host, where)).login
    entry = Entry("sudo" if for_sudo else "password", login)
    credentials = Credentials(people(as_json=as_json), _not_told)
    secret = credentials.ask(f"{str(entry).capitalize()}: ")
    if secret is None:
        raise UsageError(f"{entry} was not given", hint="run it on a terminal, without --json")
    credentials.keep(entry, secret)
    return done("kept", str(entry), as_json=as_json, kind=entry.kind)


@command.command("forget", short_help="Take secrets out of the keyring.")
@click.argument("name", metavar="[HOST|NAME]", required=False)
@click.option("--all", "every", is_flag=True, help="Everything that remotenb keeps.")
@options.as_json("Print an event for each that was forgotten.")
@options.common
def forget(*, name: str | None, every: bool, as_json: bool, **where: str | int | None) -> int:
    """Take secrets out of the keyring: those of a HOST, of a registry, of a key file, or all.

    What you declined to have kept is offered again.
    """
    options.set_up_logging(int(where["verbose"] or 0))
    if every == bool(name):
        raise UsageError("forget which secrets?", hint="name a host, or say --all")
    from remotenb.laptop.credentials import Credentials, noted  # noqa: PLC0415  platformdirs

    meant = set(_meanings(name, where)) if name else set()
    entries = [one for one in noted() if every or meant & set(_names(one))]
    if not entries and name:
        names = ", ".join(dict.fromkeys(one.name for one in noted())) or "none at all"
        raise UsageError(f"no secret of {name} is kept", hint=f"there are those of: {names}")
    credentials = Credentials(people(as_json=as_json), _not_told)
    for entry in entries:
        credentials.forget(entry)
        done("forgotten", str(entry), as_json=as_json, kind=entry.kind)
    return 0


def _names(entry: Entry) -> Iterator[str]:
    """What a person may call it."""
    yield entry.name
    if entry.kind in {"password", "sudo"}:
        yield entry.name.partition("@")[2]


def _meanings(name: str, where: Mapping[str, str | int | None]) -> Iterator[str]:
    """What ``name`` may stand for: itself, a path, or a host of config and ssh_config."""
    yield name
    yield str(machines.as_path(name))
    try:
        yield machines.resolved(name, machines.settings_of(name, where)).login
    except RemotenbError:  # not a host's name
        return


def _not_told(*_warning: str) -> None:
    """Forgetting gives no warnings: it fails or it does not."""
