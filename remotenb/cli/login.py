"""``remotenb login``, ``logout``: who you are at a registry of images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.output import done, reporter
from remotenb.cli.people import people
from remotenb.errors import RegistryUnreachable, UsageError
from remotenb.images.reference import NGC, parse
from remotenb.model import RegistryLogin
from remotenb.secret import Secret
from remotenb.text import plain

if TYPE_CHECKING:
    from remotenb.cli.people import Person
    from remotenb.report import Reporter

KEY_LIMIT = 1 << 16


@click.command("login", short_help="Keep a key for a registry of images.")
@click.argument("host", metavar="HOST")
@click.argument("registry", metavar="[REGISTRY]", default=NGC)
@click.option("-u", "--user", metavar="USER", help="Who you are there.  [$oauthtoken at nvcr.io]")
@click.option("--password-stdin", is_flag=True, help="Read the key from stdin.")
@options.as_json("Print what was done, as an event; nothing is asked.")
@options.common
def login(  # noqa: PLR0913  one parameter for each option
    *,
    host: str,
    registry: str,
    user: str | None,
    password_stdin: bool,
    as_json: bool,
    verbose: int,
    **_where: str | None,
) -> int:
    """Keep your key for a registry (nvcr.io, if you name none) in this laptop's keyring.

    HOST gets it for each pull alone, and keeps nothing. The same key serves every host.
    """
    options.set_up_logging(verbose)
    registry = _checked(registry)
    from remotenb.laptop.credentials import Credentials  # noqa: PLC0415  platformdirs
    from remotenb.registry import logins  # noqa: PLC0415

    report, person = reporter(as_json=as_json), people(as_json=as_json)
    made = _login(registry, user, person, from_stdin=password_stdin)
    with report.step(f"asking {registry}"):
        proved = check(registry, made, report)
    Credentials(person, report.warning).keep(logins.entry(registry), logins.packed(made))
    facts = {"host": host, "user": made.user, "proved": proved}
    if not (proved or as_json):
        click.echo(f"kept, but not proved: the key of {plain(made.user)} for {registry}", err=True)
        return 0
    return done("logged in", registry, as_json=as_json, **facts)


@click.command("logout", short_help="Forget the key for a registry of images.")
@click.argument("host", metavar="HOST")
@click.argument("registry", metavar="[REGISTRY]", default=NGC)
@options.as_json("Print what was done, as an event.")
@options.common
def logout(*, host: str, registry: str, as_json: bool, verbose: int, **_where: str | None) -> int:
    """Take the key for a registry (nvcr.io, if you name none) out of this laptop's keyring."""
    options.set_up_logging(verbose)
    registry = _checked(registry)
    from remotenb.laptop.credentials import Credentials  # noqa: PLC0415  platformdirs
    from remotenb.registry import logins  # noqa: PLC0415

    warn = reporter(as_json=as_json).warning
    Credentials(people(as_json=as_json), warn).forget(logins.entry(registry))
    return done("logged out", registry, as_json=as_json, host=host)


def ask(registry: str, user: str | None, person: Person) -> RegistryLogin:
    """The login that a person types; raises :class:`UsageError` for none."""
    from remotenb.registry.logins import DEFAULT_USERS  # noqa: PLC0415

    who = user or DEFAULT_USERS.get(registry) or person.line(f"User at {registry}")
    key = person.secret(f"Key or password of {who} at {registry}: ")
    return _made(registry, who, key)


def check(registry: str, login: RegistryLogin, report: Reporter) -> bool:
    """Ask the registry; False if this laptop does not reach it. Raises :class:`LoginRefused`.

    That is no error: the machine may reach what this laptop does not.
    """
    from remotenb.registry.client import Registry  # noqa: PLC0415  httpx: 130 ms

    try:
        with Registry(registry, login) as client:
            client.check_login()
    except RegistryUnreachable as error:
        hint = "nothing has proved the key: the first pull will tell whether it is right"
        report.warning("login_unchecked", error.message, hint)
        return False
    return True


def _login(
    registry: str, user: str | None, person: Person | None, *, from_stdin: bool
) -> RegistryLogin:
    from remotenb.registry.logins import DEFAULT_USERS  # noqa: PLC0415

    if from_stdin:
        who = user or DEFAULT_USERS.get(registry)
        if not who:
            raise UsageError(f"who are you at {registry}?", hint="name yourself with --user")
        return _made(registry, who, Secret(sys.stdin.read(KEY_LIMIT).strip()))
    if person is None:
        raise UsageError(
            f"the key for {registry} must come from somewhere",
            hint="on a terminal it is asked for; else --password-stdin",
        )
    return ask(registry, user, person)


def _made(registry: str, user: str, key: Secret | None) -> RegistryLogin:
    if not key or not user:
        raise UsageError(f"without a key there is no login to {registry}", hint="nothing was kept")
    return RegistryLogin(user, key)


def _checked(registry: str) -> str:
    """A registry's name as it stands in images' names; raises :class:`UsageError`."""
    if registry == "docker.io":
        return registry
    found = parse(f"{registry}/image")
    if found.registry != registry:
        raise UsageError(f"{registry!r} is no registry", hint="like nvcr.io, or localhost:5000")
    return registry
