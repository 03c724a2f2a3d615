"""``remotenb pull``: HOST fetches an image from a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import done, size
from remotenb.cli.people import people
from remotenb.cli.progress import Bytes
from remotenb.errors import LinkLost, LoginNeeded
from remotenb.images.pulling import Pulling
from remotenb.images.reference import wanted

if TYPE_CHECKING:
    from remotenb.images.reference import Reference
    from remotenb.images.room import Room
    from remotenb.machine import Machine
    from remotenb.model import RegistryLogin


@click.command("pull", short_help="Let HOST fetch an image from a registry.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="IMAGE")
@options.as_json("Print events; nothing is asked.")
@options.common
def command(*, host: str, image: str, as_json: bool, **where: str | int | None) -> int:
    """Let HOST fetch an image from a registry, as docker pull there would.

    NVIDIA's frameworks have short names: pytorch:25.10 is nvcr.io/nvidia/pytorch:25.10-py3.
    Ctrl-C ends the pull; if the connection breaks, it goes on over there, and is shown again
    when HOST answers.
    """
    name = wanted(image)
    with on_machine(host, where, as_json=as_json) as machine:
        pulled = _through_outages(machine, name, as_json=as_json)
    facts = {"bytes": pulled.done, "digest": pulled.digest, "up_to_date": pulled.up_to_date}
    verb = "up to date" if pulled.up_to_date and not as_json else "pulled"
    return done(verb, name.familiar, as_json=as_json, host=host, **facts)


def _through_outages(machine: Machine, name: Reference, *, as_json: bool) -> Pulling:
    from remotenb.lasting import Lasting  # noqa: PLC0415  paramiko

    broke = False
    with Lasting(machine) as lasting:
        while True:
            try:
                pulled = pull_as_known(lasting.machine, name, as_json=as_json)
            except LinkLost as error:
                lasting.mend(error)
                broke = True
            else:
                if broke:
                    pulled.status = ""  # what ended meanwhile was ours: not "up to date"
                return pulled


def pull_as_known(machine: Machine, name: Reference, *, as_json: bool) -> Pulling:
    """Pull with the login that is kept; without one a person is asked, if it turns out needed."""
    from remotenb.cli import login as logging_in  # noqa: PLC0415
    from remotenb.laptop.credentials import Credentials  # noqa: PLC0415  platformdirs
    from remotenb.registry import logins  # noqa: PLC0415

    person = people(as_json=as_json)
    credentials = Credentials(person, machine.report.warning)
    login = logins.find(credentials, name.registry)
    try:
        return _pull(machine, name, login, as_json=as_json)
    except LoginNeeded as error:
        if login or person is None:
            raise
        machine.report.warning("login_needed", error.message, "or Ctrl-C, and check the name")
    login = logging_in.ask(name.registry, None, person)
    entry, secret = logins.entry(name.registry), logins.packed(login)
    proved = logging_in.check(name.registry, login, machine.report)
    if proved:
        credentials.proven(entry, secret)
    pulled = _pull(machine, name, login, as_json=as_json)
    if not proved:  # the pull was the proof
        credentials.proven(entry, secret)
    return pulled


def _pull(
    machine: Machine, name: Reference, login: RegistryLogin | None, *, as_json: bool
) -> Pulling:
    from remotenb.images.pull import pull, to_fetch  # noqa: PLC0415  paramiko, httpx
    from remotenb.images.room import room  # noqa: PLC0415

    space = room(machine)
    layers = to_fetch(name, login, space)
    if layers is not None:
        _tell(machine, space, sum(one.size for one in layers), as_json=as_json)
    state = Pulling.of(layers or ())
    with Bytes(name.familiar, state.total, as_json=as_json) as bar:
        return pull(
            machine,
            name,
            login,
            state,
            lambda now: bar.at(now.done, now.total, f"{name.familiar}{now.stage}"),
        )


def _tell(machine: Machine, space: Room, need: int, *, as_json: bool) -> None:
    """Say what is to be fetched, and whether it fits; raises :class:`DiskFull`."""
    free = "" if space.free is None else f", {size(space.free)} free on {machine.host.name}"
    if not as_json:
        click.echo(f"{size(need)} to fetch{free}", err=True)
    if not space.fits(need):
        hint = "unpacked it is larger: make room, or see whether it goes well"
        machine.report.warning("little_room", f"{size(need)} packed may not fit{free}", hint)
