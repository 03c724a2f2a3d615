"""``remotenb images``, ``rmi``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remotenb.cli import options, tables
from remotenb.cli.machines import on_machine
from remotenb.cli.output import done, size
from remotenb.images.reference import among

if TYPE_CHECKING:
    from remotenb.machine import Machine

COLUMNS = ("image", "size", "id")


@click.command("images", short_help="The images on HOST.")
@click.argument("host", metavar="HOST")
@options.as_json("Print one JSON document, a list.")
@options.common
def images(*, host: str, as_json: bool, **where: str | int | None) -> int:
    """The images on HOST: what a container can be started from."""
    with on_machine(host, where, as_json=as_json) as machine:
        free = _free(machine)
        main = machine.probe.engine.name
        rows = [
            {
                "image": one.ref,
                "size": one.size,
                "id": one.id.removeprefix("sha256:")[:12],
                "engine": one.engine.name,
                "free": free if one.engine.name == main else None,
            }
            for one in machine.images
        ]
        columns = COLUMNS if not machine.probe.others else (*COLUMNS, "engine")
    tables.show(rows, columns, as_json=as_json, none=f"there is no image on {host}")
    if free is not None and not as_json:
        click.echo(f"{size(free)} free for images on {host}", err=True)
    return 0


@click.command("rmi", short_help="Remove an image from HOST.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="IMAGE")
@options.as_json("Print what was done, as an event.")
@options.common
def rmi(*, host: str, image: str, as_json: bool, **where: str | int | None) -> int:
    """Remove an image from HOST; one that a container needs is refused."""
    with on_machine(host, where, as_json=as_json) as machine:
        image = among(image, {one.ref for one in machine.images})
        machine.run("rmi", "--", image, of=machine.image(image))
    return done("removed", image, as_json=as_json, host=host)


def _free(machine: Machine) -> int | None:
    from remotenb.images.room import room  # noqa: PLC0415  not before it is wanted

    return room(machine).free
