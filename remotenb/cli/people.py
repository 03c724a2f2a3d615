"""Asking a person: only where both ends are a terminal, and never with --json."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from remotenb.cli.output import no_spinner
from remotenb.errors import UsageError
from remotenb.images.reference import wanted
from remotenb.secret import Secret
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.machine import Machine
    from remotenb.model import Image


def people(*, as_json: bool) -> Person | None:
    """Whoever sits at the terminal; None when nobody does."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return Person()


class Person:
    """Questions go to stderr: stdout is for data."""

    def agree(self, question: str) -> bool:
        """Ask until the answer is yes or no, written out, as ssh does."""
        with no_spinner():
            while True:
                click.echo(plain(question), nl=False, err=True)
                answer = sys.stdin.readline().strip().lower()
                if answer in {"yes", "no", ""}:
                    return answer == "yes"
                question = "Please type yes or no: "

    def line(self, prompt: str) -> str:
        """Ask for a word that may be seen; empty for none."""
        return str(click.prompt(plain(prompt), default="", show_default=False, err=True)).strip()

    def secret(self, prompt: str) -> Secret | None:
        """Ask for something that is not shown."""
        answer = self.answer(prompt, echo=False)
        return Secret(answer) if answer else None

    def answer(self, prompt: str, *, echo: bool) -> str:
        """Ask in these words; nothing typed is the empty string."""
        with no_spinner():
            answer: str = click.prompt(
                plain(prompt),
                default="",
                show_default=False,
                hide_input=not echo,
                prompt_suffix="",
                err=True,
            )
        return answer

    def tell(self, text: str) -> None:
        """Show what a server says; escape sequences are taken out."""
        with no_spinner():
            click.echo(plain(text).rstrip(), err=True)

    def came(self) -> bool:
        """Wait for Enter; in a thread of its own, since it may never come."""
        click.echo("Press Enter to log in again.", err=True)
        return bool(sys.stdin.readline())

    def choose_image(self, question: str, images: Sequence[Image]) -> str | None:
        """Show the box's images by number; nothing chosen is None."""
        if not images:
            return None
        click.echo(question, err=True)
        for number, image in enumerate(images, 1):
            click.echo(f"  {number:2}  {plain(image.ref)}  ({plain(image.size)})", err=True)
        numbers = click.IntRange(0, len(images))
        chosen = click.prompt("Number (0 for none)", type=numbers, default=0, err=True)
        return images[chosen - 1].ref if chosen else None

    def fetch(self, machine: Machine, image: str) -> bool:
        """Offer to let the machine fetch an image that it lacks; whether it did."""
        from remotenb.cli.pull import pull_as_known  # noqa: PLC0415  not before it is wanted

        try:
            name = wanted(image)
        except UsageError:
            return False
        question = f"{name.familiar} is not on {machine.host.name}. Fetch it now (yes/no)? "
        if not self.agree(question):
            return False
        pull_as_known(machine, name, as_json=False)
        return True
