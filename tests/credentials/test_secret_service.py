"""The same with a real Secret Service: gnome-keyring on a D-Bus of its own, as on a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNLOCKED = 'printf %s secret | gnome-keyring-daemon --unlock --components=secrets >&2 && exec "$@"'
NEVER_UNLOCKED = 'gnome-keyring-daemon --start --components=secrets >&2 && exec "$@"'

ONCE_AROUND = """
from remotenb.laptop.credentials import Credentials, Entry
from remotenb.secret import Secret

entry = Entry("password", "alice@gpu-box")
mine = Credentials(None, print)
assert mine.find(entry) is None
mine.keep(entry, Secret("pässword"))
assert Credentials(None, print).find(entry) == Secret("pässword")
mine.forget(entry)
mine.forget(entry)
assert mine.find(entry) is None
print("all right")
"""
LOCKED = """
from remotenb.laptop.credentials import Credentials, Entry
from remotenb.errors import KeyringUnusable
from remotenb.secret import Secret

try:
    Credentials(None, print).keep(Entry("password", "alice@gpu-box"), Secret("x"))
except KeyringUnusable as error:
    print(error.message)
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("gnome-keyring-daemon") or not shutil.which("dbus-run-session"),
    reason="needs gnome-keyring and dbus-run-session",
)


def on_a_desktop(home: Path, begin: str, code: str) -> str:
    """What ``code`` prints there."""
    (home / "run").mkdir(mode=0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PYTHONPATH": str(Path(__file__).parent.parent.parent),
        "PYTHONUTF8": "1",
    }
    argv = ["dbus-run-session", "--", "sh", "-c", begin, "sh", sys.executable, "-c", code]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done
    return done.stdout


def test_a_real_keyring_keeps_gives_and_forgets(tmp_path: Path) -> None:
    assert on_a_desktop(tmp_path, UNLOCKED, ONCE_AROUND) == "all right\n"


def test_a_locked_keyring_shows_no_dialog_where_nobody_is_asked(tmp_path: Path) -> None:
    unlocked = on_a_desktop(tmp_path, UNLOCKED, ONCE_AROUND)  # the keyring's file is there now
    shutil.rmtree(tmp_path / "run")
    assert unlocked == "all right\n"
    assert on_a_desktop(tmp_path, NEVER_UNLOCKED, LOCKED) == "the system's keyring is locked\n"
