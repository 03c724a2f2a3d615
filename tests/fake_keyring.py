"""A keyring that is FAKE: a plain file, named by an environment variable, for tests alone.

``PYTHON_KEYRING_BACKEND=tests.fake_keyring.FileKeyring`` chooses it. ``FAKE_KEYRING_FAULT`` makes
it fail in one of the ways in which real ones do.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

FILE = "FAKE_KEYRING_FILE"
FAULT = "FAKE_KEYRING_FAULT"
ENVIRONMENT = {"PYTHON_KEYRING_BACKEND": f"{__name__}.FileKeyring"}


class WindowsError1783(Exception):
    """What pywin32-ctypes raises, as far as one can tell it from here."""

    winerror = 1783


class FileKeyring(KeyringBackend):
    """Not safe, not locked: what a test can look into."""

    priority = 0.5  # below what is chosen without being named

    def get_password(self, service: str, username: str) -> str | None:
        _fault("get")
        return _read().get(f"{service}|{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        _fault("set")
        _file().write_text(json.dumps({**_read(), f"{service}|{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        _fault("delete")
        all_of_them = _read()
        if all_of_them.pop(f"{service}|{username}", None) is None:
            raise PasswordDeleteError("not there")
        _file().write_text(json.dumps(all_of_them))


def _file() -> Path:
    return Path(os.environ[FILE])


def _read() -> dict[str, str]:
    found: dict[str, str] = json.loads(_file().read_text()) if _file().exists() else {}
    return found


def _fault(verb: str) -> None:
    match os.environ.get(FAULT, ""):
        case "locked":
            raise KeyringLocked("Failed to unlock the collection!")
        case "hangs":
            threading.Event().wait(60)
        case "windows" if verb == "set":
            raise WindowsError1783("CredWrite", "The stub received bad data.")
        case "dbus":
            raise RuntimeError("\x1b[31mno dbus")
        case _:
            pass
