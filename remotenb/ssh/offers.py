"""Which keys are shown, and in which order: agents, files, and those that a person unlocks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import KeyUnusable
from remotenb.laptop import notes
from remotenb.laptop.credentials import Entry
from remotenb.ssh import keys
from remotenb.ssh.agent import AgentHangs, AgentKeys
from remotenb.ssh.known_lines import fingerprint
from remotenb.ssh.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from paramiko import AgentKey, PKey

    from remotenb.laptop.credentials import Credentials
    from remotenb.model import Host
    from remotenb.secret import Secret
    from remotenb.ssh.refusal import Tried

logger = logging.getLogger(__name__)

PASSPHRASE_TRIES = 3
NOTES = "logins"


@dataclass(frozen=True, slots=True)
class Offer:
    """A key to be shown; ``get`` reads or unlocks it, and is None where it cannot be."""

    name: str
    id: str
    """The same next time: its file, or its fingerprint where an agent has it."""
    blob: bytes | None
    locked: bool
    get: Callable[[], PKey | None]


class Offers:
    """The keys for one login. What cannot be used is told to ``tried``."""

    def __init__(
        self, host: Host, credentials: Credentials, unlocked: dict[Path, PKey], tried: Tried
    ) -> None:
        self._host = host
        self._credentials = credentials
        self._unlocked = unlocked
        self._tried = tried
        self._agent = AgentKeys(host.identity_agent, attended=credentials.person is not None)
        self._first = ""
        self._passphrases: list[tuple[Entry, Secret]] = []

    def close(self) -> None:
        """Let go of the agent."""
        self._agent.close()

    def keep(self) -> None:
        """The login is through: passphrases that a person typed may be kept."""
        for entry, passphrase in self._passphrases:
            self._credentials.proven(entry, passphrase)

    def __iter__(self) -> Iterator[Offer]:
        """What worked last; ssh_config's files; the agent's others; what needs a person."""
        agent = self._agent_offers()
        files = [self._file_offer(file, agent) for file in self._host.identity_files]
        offers = [one for one in files if one is not None]
        if not self._host.identities_only:
            offers += agent.values()
        offers.sort(key=lambda one: one.locked)
        self._first = offers[0].id if offers else ""
        worked = notes.read(_note(self._host)).get("key")
        return iter(sorted(offers, key=lambda one: one.id != worked))

    def _agent_offers(self) -> dict[bytes, Offer]:
        try:
            found = self._agent.keys()
        except AgentHangs as error:
            self._tried.refused("the agent", error)
            return {}
        return {key.asbytes(): self._of_agent(key) for key in found}

    def _of_agent(self, key: AgentKey) -> Offer:
        name = f"agent's {key.comment or key.get_name()}"
        blob = key.asbytes()
        return Offer(name, fingerprint(blob), blob, locked=False, get=lambda: self._certified(key))

    def _file_offer(self, file: Path, agent: dict[bytes, Offer]) -> Offer | None:
        blob = keys.public_blob(file)
        name = str(file)
        if blob in agent:
            return Offer(name, name, blob, locked=False, get=agent[blob].get)
        if file in self._unlocked:
            return Offer(name, name, blob, locked=False, get=lambda: self._again(file))
        if not file.is_file():
            return None
        try:
            key = self._certified(keys.load(file))
        except keys.Locked:
            return Offer(name, name, blob, locked=True, get=lambda: self._unlock(file))
        except keys.Unusable as error:
            library = self._host.token_library
            hint = f"its key is on a token? ssh-add -s {library}" if library else error.hint
            self._cannot_use(file, error.why, hint)
            return None
        return Offer(name, name, key.asbytes(), locked=False, get=lambda: key)

    def _again(self, file: Path) -> PKey:
        """A key that was unlocked before; its certificate may be new."""
        return self._certified(self._unlocked[file])

    def _certified(self, key: PKey) -> PKey:
        beside = [one.with_name(f"{one.name}-cert.pub") for one in self._host.identity_files]
        for file in (*self._host.certificate_files, *beside):
            try:
                key = keys.with_certificate(key, file)
            except keys.Unusable as error:
                self._tried.refusals.append(Refusal(str(file), error.why))
                self._tried.certificate_hint = error.hint
        return key

    def _unlock(self, file: Path) -> PKey | None:
        entry = Entry("passphrase", str(file.absolute()))
        for passphrase, typed in self._passphrases_of(entry, file):
            try:
                key = self._unlocked[file] = keys.unlock(file, passphrase)
            except keys.WrongPassphrase:
                if not typed:
                    self._credentials.wrong(entry)
                continue
            if typed:
                self._passphrases.append((entry, passphrase))
            return self._certified(key)
        why = "its passphrase was not given"
        if self._credentials.person is None:
            why = "it has a passphrase, and there is no terminal to ask for it"
        self._cannot_use(file, why, f"put it into your agent: ssh-add {file}")
        return None

    def _passphrases_of(self, entry: Entry, file: Path) -> Iterator[tuple[Secret, bool]]:
        """What is kept, then what a person types; and whether it was typed."""
        if kept := self._credentials.find(entry):
            yield kept, False
        for _ in range(PASSPHRASE_TRIES):
            typed = self._credentials.ask(f"Passphrase for {file}: ")
            if typed is None:
                return
            yield typed, True

    def _cannot_use(self, file: Path, why: str, hint: str) -> None:
        error = KeyUnusable(f"the key {file}: {why}", hint=hint)
        self._tried.unusable = self._tried.unusable or error
        self._tried.refusals.append(Refusal(str(file), why))

    def remember(self, offer: Offer) -> None:
        """So that it is the first next time, if it is not anyway; losing that costs some tries."""
        note, facts = _note(self._host), {"login": self._host.login, "key": offer.id}
        try:
            if offer.id == self._first:
                note.unlink(missing_ok=True)
            elif notes.read(note) != facts:
                notes.write(note, facts)
        except OSError as error:
            logger.info("the key that worked cannot be noted: %s", error)


def _note(host: Host) -> Path:
    """Where it stands which key worked last."""
    return notes.file_for(NOTES, host.login)
