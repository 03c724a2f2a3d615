"""Whoever sits at the terminal, as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, field

from remotenb.laptop.credentials import Credentials
from remotenb.secret import Secret
from remotenb.text import plain


@dataclass
class Person:
    """Answers as the test says, and remembers what was asked and told."""

    types: list[str] = field(default_factory=list)
    agrees: bool = True
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    """Of each answer, whether it could be seen."""

    def agree(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees

    def secret(self, prompt: str) -> Secret | None:
        self.asked.append(prompt)
        return Secret(self.types.pop(0)) if self.types else None

    def answer(self, prompt: str, *, echo: bool) -> str:
        self.asked.append(plain(prompt))
        self.seen.append(echo)
        return self.types.pop(0) if self.types else ""

    def tell(self, text: str) -> None:
        self.told.append(plain(text))


def with_person(person: Person) -> Credentials:
    """Credentials of somebody who is there, without a keyring that works."""
    return Credentials(person, lambda *_warning: None)
