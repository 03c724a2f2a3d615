"""Passwords and second factors: asked of a person, who sees what the server says.

A kept password answers a prompt that is a password's; every other prompt goes to the person.
Wrong ones are counted over all methods together, since the account that they lock is the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remotenb.laptop.credentials import Entry
from remotenb.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.laptop.credentials import Credentials
    from remotenb.model import Host
    from remotenb.secret import Secret
    from remotenb.ssh.transport import Round

_PASSWORD = re.compile(r"(\([^()]*\) ?)?password( for \S+)? ?: ?", re.IGNORECASE)
"""Of the account as it is; not "New password:", "Current password:", "One-time password"."""


class NoAnswer(Exception):
    """A prompt that is not answered."""


class Answers:
    """What one login has asked, and what it may keep when it succeeds."""

    def __init__(self, host: Host, credentials: Credentials) -> None:
        self._host = host
        self._credentials = credentials
        self._entry = Entry("password", host.login)
        self._kept: Secret | None = None
        self._looked = False
        self._typed: Secret | None = None
        self._banner_shown = False
        self.wrong = 0
        """Passwords and rounds of answers that were refused."""
        self.by_person = False
        """Whether a password or an answer was given at all."""
        self.factors = False
        """Whether something other than a password was asked for."""
        self.elsewhere = False
        """In this try nothing is typed: somebody is asked on another device, as a telephone."""
        self.denied = False
        """There, it was denied."""

    @property
    def possible(self) -> bool:
        """Whether there is anybody, or anything, to answer; and no try too many."""
        if self.denied or self.wrong >= self._host.password_prompts:
            return False
        return self._credentials.person is not None or bool(self._from_keyring())

    def password(self, banner: str) -> Secret:
        """The account's password; raises :class:`NoAnswer`."""
        self._show(banner)
        self.by_person = True
        secret = self._from_keyring()
        if secret is None:
            secret = self._typed = self._credentials.ask(f"{self._host.login}'s password: ")
        if not secret:
            raise NoAnswer
        return secret

    def answer(self, said: Round, banner: str) -> Sequence[str]:
        """The answers to one round; raises :class:`NoAnswer`."""
        self._show(banner)
        self.by_person = True
        for text in (said.title, said.instructions):
            self._tell(text)
        self.elsewhere = not said.prompts and bool(one_line(said.title + said.instructions))
        return [self._one(prompt, echo=echo) for prompt, echo in said.prompts]

    def refused(self, *, cut_off: bool) -> None:
        """The last password or the last answers were not taken."""
        if self.elsewhere and cut_off:
            return  # it waited for the other device as long as it may
        self.wrong += 1
        self.denied = self.elsewhere
        if self._kept is not None:
            self._credentials.wrong(self._entry)
            self._kept = None
        self._typed = None
        if self._credentials.person and self.wrong < self._host.password_prompts:
            self._credentials.person.tell(f"{self._host.login} did not take that; try again.")

    def succeeded(self) -> None:
        """What was typed is right, and may be kept."""
        if self._typed:
            self._credentials.proven(self._entry, self._typed)

    def _one(self, prompt: str, *, echo: bool) -> str:
        text = plain(prompt)
        if not echo and _PASSWORD.fullmatch(text.strip()):
            return self.password_for(text).reveal()
        self.factors = True
        if self._credentials.person is None:
            raise NoAnswer
        if "new" in text.lower() and not echo:  # a changed password: what was typed is the old one
            self._typed = None
        return self._credentials.person.answer(self._named(text), echo=echo)

    def password_for(self, prompt: str) -> Secret:
        """The password, asked for in the server's words."""
        secret = self._from_keyring()
        if secret is None:
            secret = self._typed = self._credentials.ask(self._named(prompt))
        if secret is None:
            raise NoAnswer
        return secret

    def _from_keyring(self) -> Secret | None:
        """What is kept, looked up once: where it was refused there is none."""
        if not self._looked:
            self._looked = True
            self._kept = self._credentials.find(self._entry)
        return self._kept

    def _named(self, prompt: str) -> str:
        """Whose prompt it is, as ssh tells it: behind jump hosts there may be several."""
        login = f"({self._host.login})"
        return prompt if prompt.startswith(login) else f"{login} {prompt}"

    def _show(self, banner: str) -> None:
        """What sshd says before a login, once."""
        if not self._banner_shown:
            self._banner_shown = True
            self._tell(banner)

    def _tell(self, text: str) -> None:
        if self._credentials.person and one_line(text):
            self._credentials.person.tell(text)
