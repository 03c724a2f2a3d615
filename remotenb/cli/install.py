"""``remotenb install HOST PACKAGE...``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import emit
from remotenb.cli.progress import Bytes
from remotenb.errors import LaptopRefused, UsageError
from remotenb.text import plain

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from remotenb.files import Plan
    from remotenb.install.lacking import Python


@click.command("install", short_help="Install packages in a container.")
@click.argument("host", metavar="HOST")
@click.argument("packages", metavar="PACKAGE...", nargs=-1)
@click.option(
    "-r", "--requirement", "files", metavar="FILE", multiple=True, help="And those in this file."
)
@click.option("--offline", is_flag=True, help="Fetch them on this laptop, whatever HOST reaches.")
@click.option("--container", metavar="C", help="In this one, if you have several.")
@click.option("--others", is_flag=True, help="Even if it is another user's.")
@options.as_json("Print events, one JSON object a line.")
@options.common
def command(  # noqa: PLR0913  one for each option
    *,
    host: str,
    packages: tuple[str, ...],
    files: tuple[str, ...],
    offline: bool,
    container: str | None,
    others: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Install Python packages in your container on HOST, with the pip there.

    If HOST reaches no index of packages, the wheels that its Python lacks are fetched on this
    laptop and carried over.
    """
    wanted = _wanted(packages, files)
    with on_machine(host, where, as_json=as_json) as machine, ExitStack() as stack:
        from remotenb.install.packages import install  # noqa: PLC0415  see on_machine

        one = machine.container(container, others=others)
        shown = _Shown(stack, as_json=as_json)
        done = install(machine, one, wanted, told=shown, offline=offline)
    if as_json:
        emit(
            event="installed",
            packages=[str(each) for each in wanted],
            container=one.name,
            python=done.python,
            index=done.index or None,
            carried=None if done.carried is None else list(done.carried),
        )
    return 0


def _wanted(packages: tuple[str, ...], files: tuple[str, ...]) -> list[Requirement]:
    from remotenb.install.lacking import parse, parse_file  # noqa: PLC0415  msgspec

    wanted = [parse(one) for one in packages]
    for name in files:
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise LaptopRefused(f"cannot read {name}: {reason}", hint="check -r") from None
        wanted += parse_file(text, name)
    if not wanted:
        raise UsageError("nothing to install was named", hint="name packages, or a file with -r")
    return wanted


class _Shown:
    """What pip says goes to stderr as it comes."""

    def __init__(self, stack: ExitStack, *, as_json: bool) -> None:
        self._stack = stack
        self._as_json = as_json
        self._bytes: Bytes | None = None

    def found(self, python: Python, where: str) -> None:
        """Say which way it goes."""
        way = f"from {python.index}" if python.index else "with what this laptop fetches"
        if not self._as_json:
            click.echo(plain(f"{where}: Python {python.version}, {way}"), err=True)

    def agree(self, plan: Plan) -> bool:
        """The bar begins; the folder is a new one."""
        self._bytes = Bytes(
            f"{plan.lacking_files} wheels", plan.lacking_bytes, as_json=self._as_json
        )
        self._stack.enter_context(self._bytes)
        return True

    def moved(self, count: int) -> None:
        """The bar grows."""
        if self._bytes is not None:
            self._bytes.moved(count)

    def said(self, text: str) -> None:
        """For people."""
        self._stack.close()  # the bar has reached its end
        click.echo(plain(text), nl=False, err=True)
