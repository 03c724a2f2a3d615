"""A user with a state folder and a keyring of their own; the keyring is a fake one, in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import keyring.core
import pytest

from remotenb.laptop.credentials import Credentials
from tests import fake_keyring
from tests.people import Person


@dataclass
class User:
    """One who runs commands, each with credentials of its own."""

    file: Path
    person: Person = field(default_factory=Person)
    warned: list[tuple[str, str, str]] = field(default_factory=list)

    def credentials(self, *, there: bool = True) -> Credentials:
        return Credentials(
            self.person if there else None, lambda *warning: self.warned.append(warning)
        )


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """With an empty keyring."""
    file = tmp_path / "keyring.json"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(fake_keyring.FILE, str(file))
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    for name, value in fake_keyring.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return User(file)
