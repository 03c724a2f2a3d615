"""Secrets are kept in the keyring alone, after they were right, and if one agrees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from keyring.backends import Windows

from remotenb.errors import KeyringUnusable
from remotenb.laptop import keyrings, notes
from remotenb.laptop.credentials import Credentials, Entry, kept
from remotenb.secret import Secret
from tests import fake_keyring
from tests.logins import terminal

if TYPE_CHECKING:
    from tests.credentials.conftest import User

BOX = Entry("password", "alice@gpu-box:2222")
SECRET = Secret("open sesame")


def test_what_was_right_is_kept_after_one_question_and_found_by_the_next_command(
    user: User,
) -> None:
    user.credentials().proven(BOX, SECRET)
    assert user.person.asked == [
        "Keep the password of alice@gpu-box:2222 in this system's keyring (yes/no)? "
    ]
    assert user.credentials(there=False).find(BOX) == SECRET
    ((entry, since),) = kept()
    assert (entry, since.endswith("Z")) == (BOX, True)


def test_what_one_does_not_want_kept_is_nowhere_and_not_offered_again(user: User) -> None:
    user.person.agrees = False
    for _ in range(2):
        user.credentials().proven(BOX, SECRET)
    assert len(user.person.asked) == 1
    assert (user.file.exists(), kept()) == (False, [])
    assert user.credentials().find(BOX) is None


def test_with_nobody_there_nothing_is_kept(user: User) -> None:
    user.credentials(there=False).proven(BOX, SECRET)
    assert not user.file.exists()


def test_a_kept_secret_that_was_refused_is_forgotten_and_offered_anew(user: User) -> None:
    user.credentials().proven(BOX, SECRET)
    user.credentials().wrong(BOX)
    assert user.credentials().find(BOX) is None
    user.credentials().proven(BOX, SECRET)
    assert len(user.person.asked) == 2


def test_the_list_may_be_lost_and_the_secret_is_found_all_the_same(user: User) -> None:
    user.credentials().proven(BOX, SECRET)
    BOX.note.unlink()
    assert kept() == []
    assert user.credentials().find(BOX) == SECRET


def test_no_note_and_no_repr_has_a_secret(user: User) -> None:
    user.credentials().proven(BOX, SECRET)
    for file in notes.folder("secrets").iterdir():
        assert SECRET.reveal() not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
    assert SECRET.reveal() not in repr(SECRET) + str(BOX)


@pytest.mark.parametrize("fault", ["locked", "dbus", "windows"])
def test_a_keyring_that_fails_is_told_once_and_stops_nothing(
    user: User, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv(fake_keyring.FAULT, fault)
    credentials = user.credentials()
    assert credentials.find(BOX) is None
    credentials.proven(BOX, SECRET)
    credentials.proven(Entry("registry", "nvcr.io"), SECRET)
    ((code, message, hint),) = user.warned
    assert code == "keyring_unusable"
    assert {"locked": "locked", "dbus": "no dbus", "windows": "1280"}[fault] in message
    assert hint
    assert "\x1b" not in message
    assert (user.file.exists(), kept()) == (False, [])


def test_a_keyring_that_hangs_costs_one_wait_with_an_end(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fake_keyring.FAULT, "hangs")
    monkeypatch.setattr(keyrings, "ANSWER_TIMEOUT_S", 0.3)
    credentials = user.credentials(there=False)
    begun = time.monotonic()
    for _ in range(5):
        assert credentials.find(BOX) is None
    assert 0.3 <= time.monotonic() - begun < 1.0


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("keyring.backends.fail.Keyring", "switched off"),
        ("keyring.backends.null.Keyring", "switched off"),
        ("keyring.backends.chainer.ChainerBackend", "no keyring on this laptop"),
        (None, "no keyring on this laptop"),
        ("no.such.Keyring", "there is no keyring no.such.Keyring"),
    ],
)
def test_where_there_is_no_keyring_it_is_told_and_nothing_is_written(
    user: User, monkeypatch: pytest.MonkeyPatch, backend: str | None, says: str
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if backend is None:
        monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    else:
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
    user.credentials().proven(BOX, SECRET)
    ((_, message, _),) = user.warned
    assert says in message
    assert user.person.asked == []
    assert SECRET.reveal() not in "".join(
        file.read_text() for file in user.file.parent.rglob("*") if file.is_file()
    )


def test_a_secret_that_windows_cannot_hold_is_not_even_sent_there() -> None:
    vault = Windows.WinVaultKeyring.__new__(Windows.WinVaultKeyring)
    with pytest.raises(KeyringUnusable, match="1280 characters"):
        keyrings._set(vault, "service", "name", "x" * 1281)


def run(*args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "remotenb", "secrets", *args]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)


@pytest.fixture
def three(user: User, monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    monkeypatch.setenv("PYTHONPATH", str(Path(fake_keyring.__file__).parent.parent))
    entries = [
        BOX,
        Entry("passphrase", str(Path.home() / "id")),
        Entry("registry", "nvcr.io"),
    ]
    for entry in entries:
        user.credentials().keep(entry, SECRET)
    return sorted(entries)


def test_the_list_has_names_and_no_secret(three: list[Entry]) -> None:
    listed = run("list", "--json")
    assert [(one["kind"], one["name"]) for one in json.loads(listed.stdout)] == [
        (one.kind, one.name) for one in three
    ]
    shown = run("list")
    assert "nvcr.io" in shown.stdout
    assert SECRET.reveal() not in listed.stdout + listed.stderr + shown.stdout + shown.stderr


def test_a_secret_is_forgotten_by_host_by_registry_by_file_and_by_alias(
    three: list[Entry], user: User, tmp_path: Path
) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("Host box\n  HostName gpu-box\n  User alice\n  Port 2222\n")
    for name in ("box", "nvcr.io", "~/id"):
        done = run("forget", name, "--json", "-F", str(config))
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["event"] == "done"
    assert json.loads(run("list", "--json").stdout) == []
    assert json.loads(user.file.read_text()) == {}


def test_all_secrets_are_forgotten_at_once_and_then_there_is_none(
    three: list[Entry], user: User
) -> None:
    assert run("forget", "--all").returncode == 0
    assert json.loads(user.file.read_text()) == {}
    assert run("forget", "--all").returncode == 0
    unknown = run("forget", "nvcr.io")
    assert (unknown.returncode, "no secret of nvcr.io" in unknown.stderr) == (2, True)


def test_forgetting_says_when_the_keyring_does_not_let_it(
    three: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fake_keyring.FAULT, "locked")
    done = run("forget", "nvcr.io", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (5, "KeyringUnusable")
    monkeypatch.delenv(fake_keyring.FAULT)
    assert len(json.loads(run("list", "--json").stdout)) == len(three)


def test_a_sudo_password_is_kept_by_its_own_command_alone(user: User, tmp_path: Path) -> None:
    sudo = Entry("sudo", "alice@gpu-box")
    config = tmp_path / "ssh_config"
    config.write_text("Host box\n  HostName gpu-box\n  User alice\n")
    argv = [sys.executable, "-m", "remotenb", "secrets", "keep", "box", "--sudo", "-F", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(Path(fake_keyring.__file__).parent.parent)}
    talk = terminal.run(argv, {"sudo password": ["open sesame"]}, environment)
    assert (talk.code, len(talk.prompts)) == (0, 1), talk
    assert "sesame" not in talk.screen
    assert user.credentials(there=False).find(sudo) == SECRET
    assert Credentials(user.person, print, retry=True).find(sudo) is None
    assert run("keep", "box", "--json", "-F", str(config)).returncode == 2


def test_credentials_are_imported_without_the_keyring_library() -> None:
    code = "import sys, remotenb.laptop.credentials; print('keyring' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
