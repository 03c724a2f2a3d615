"""Secrets by kind and name: out of the keyring, else from a person, who may let them be kept.

What is kept is noted in the state folder by name, for ``secrets list``; whoever loses that note
loses the list, not the secrets.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from remotenb.errors import KeyringUnusable
from remotenb.laptop import notes
from remotenb.laptop.clock import timestamp
from remotenb.laptop.keyrings import Keyring
from remotenb.secret import Secret
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

Kind = Literal["passphrase", "password", "registry", "sudo"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NOTES = "secrets"

_CALLED = {
    "passphrase": "the passphrase of {}",
    "password": "the password of {}",
    "registry": "the login to the registry {}",
    "sudo": "the sudo password of {}",
}


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """What a secret is for."""

    kind: Kind
    name: str
    """passphrase: the key file; password, sudo: ``user@host[:port]``; registry: its host."""

    def __str__(self) -> str:
        return _CALLED[self.kind].format(self.name)

    @property
    def service(self) -> str:
        """Its service in the keyring: one of its own, since Windows keeps one name for each."""
        return f"remotenb {self.kind} {self.name}"

    @property
    def note(self) -> Path:
        """Where it is noted whether it is kept."""
        return notes.file_for(NOTES, self.service)


class Asker(Protocol):
    """Whoever sits at the terminal."""

    def agree(self, question: str) -> bool:
        """Show a question that wants yes or no."""

    def secret(self, prompt: str) -> Secret | None:
        """Ask for something that is not shown while it is typed; None when nothing was."""

    def answer(self, prompt: str, *, echo: bool) -> str:
        """Ask what a server asks; its text is made fit for the terminal."""

    def tell(self, text: str) -> None:
        """Show what a server says."""


class Credentials:
    """The secrets of one command. ``person`` is None where nobody may be asked."""

    def __init__(
        self,
        person: Asker | None,
        warn: Callable[[str, str, str], object],
        *,
        retry: bool = False,
    ) -> None:
        """``warn`` takes a code, a message and a hint, as a reporter's ``warning`` does.

        A ``retry`` that nobody sees may use a kept passphrase, and no other secret.
        """
        self.person = None if retry else person
        self.retry = retry
        self.warn = warn
        self._warned = False
        self._keyring = Keyring(may_ask=self.person is not None)

    def unattended(self) -> Credentials:
        """The same where nobody may be asked."""
        return Credentials(None, self.warn, retry=self.retry)

    def find(self, entry: Entry) -> Secret | None:
        """What the keyring has; None also where the keyring cannot be used."""
        if (self.retry and entry.kind != "passphrase") or not _wanted(entry):
            return None
        try:
            value = self._keyring.get(entry.service, entry.name)
        except KeyringUnusable as error:
            logger.info("%s: %s", entry, error.message)
            return None
        return None if value is None else Secret(value)

    def ask(self, prompt: str) -> Secret | None:
        """What a person types; None where there is nobody, or nothing was typed."""
        return self.person.secret(prompt) if self.person else None

    def proven(self, entry: Entry, secret: Secret) -> None:
        """What a person typed was right: keep it if they agree, which they are asked once."""
        if self.person is None or not _wanted(entry):
            return
        try:
            self._keyring.get(entry.service, entry.name)  # only to see whether it works
            question = f"Keep {entry} in this system's keyring (yes/no)? "
            if self.person.agree(question):
                self.keep(entry, secret)
            else:
                _note(entry, kept=False)
        except KeyringUnusable as error:
            if not self._warned:
                self.warn("keyring_unusable", error.message, error.hint)
            self._warned = True

    def keep(self, entry: Entry, secret: Secret) -> None:
        """Keep it without a question; raises :class:`KeyringUnusable`."""
        self._keyring.set(entry.service, entry.name, secret.reveal())
        _note(entry, kept=True)

    def forget(self, entry: Entry) -> None:
        """Keep it no longer, and ask again; raises :class:`KeyringUnusable`."""
        if _wanted(entry):
            self._keyring.delete(entry.service, entry.name)
        with suppress(OSError):
            entry.note.unlink(missing_ok=True)

    def wrong(self, entry: Entry) -> None:
        """What was kept has been refused: it is not offered again."""
        try:
            self.forget(entry)
        except KeyringUnusable as error:
            logger.info("%s: %s", entry, error.message)


def kept() -> list[tuple[Entry, str]]:
    """What this user had kept on this laptop, and since when (RFC 3339)."""
    return sorted((entry, str(facts["since"])) for entry, facts in _noted() if facts["kept"])


def noted() -> list[Entry]:
    """What is kept, and what a person did not want to be asked about again."""
    return sorted(entry for entry, _ in _noted())


def _noted() -> list[tuple[Entry, dict[str, object]]]:
    found: list[tuple[Entry, dict[str, object]]] = []
    for path in notes.all_of(NOTES):
        facts = notes.read(path)
        kind = next((one for one in KINDS if one == facts.get("kind")), None)
        if kind is not None:
            known: dict[str, object] = {"kept": False, "since": "", **facts}
            found.append((Entry(kind, one_line(str(facts.get("name")), 4096)), known))
    return found


def _wanted(entry: Entry) -> bool:
    """False once a person has said that it is not to be kept."""
    with suppress(OSError):
        return notes.read(entry.note).get("kept") is not False
    return True


def _note(entry: Entry, *, kept: bool) -> None:
    facts = {"kind": entry.kind, "name": entry.name, "kept": kept, "since": timestamp()}
    try:
        notes.write(entry.note, facts)
    except OSError as error:
        logger.info("it cannot be noted that %s is kept: %s", entry, error)
