"""A channel that is handed to a command, past an engine: which here is a plain shell."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from remotenb import far

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

assert sys.platform != "win32"  # unix sockets

TEXT = far.source("handing.py")
SAYS = """
import os, sys
print(os.read(0, 9).decode(), sys.argv[1], os.getcwd(), os.stat(0).st_ino, flush=True)
print("trouble", file=sys.stderr)
sys.exit(7)
"""
ENGINE = ("sh", "-c", 'cat | { cd / && "$0" -I -c "$@"; }', sys.executable)
"""As an engine: the command's stdin is another one."""


def handed(seen: str, folder: Path) -> tuple[str, bool]:
    """What :data:`SAYS` prints; and whether its stdin is our own channel."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"frames")
        ours.shutdown(socket.SHUT_WR)
        code = f"{TEXT}\ngive(*sys.argv[1:])"
        shared = json.dumps([["/nowhere", "/n"], [str(folder), seen]])
        argv = [sys.executable, "-I", "-c", code, TEXT, shared, *ENGINE, SAYS, "a wish"]
        done = subprocess.run(
            argv, check=False, stdin=theirs.fileno(), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (7, "trouble\n")
        said, inode = done.stdout.rsplit(" ", 1)
        return said, int(inode) == os.fstat(theirs.fileno()).st_ino


def test_the_command_has_the_channel_itself_and_nothing_is_left_of_the_door(tmp_path: Path) -> None:
    assert handed(str(tmp_path), tmp_path) == ("frames a wish /", True)
    assert list(tmp_path.iterdir()) == []


def test_where_the_command_does_not_see_the_folder_the_engine_copies(tmp_path: Path) -> None:
    assert handed("/nowhere", tmp_path) == ("frames a wish /", False)
    assert list(tmp_path.iterdir()) == []


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="another account wants root")


@contextmanager
def impostor(folder: Path) -> Iterator[None]:
    """A door of another account's."""
    folder.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "door"))
        (folder / "door").chmod(0o777)
        os.seteuid(65534)
        try:
            door.listen(1)
        finally:
            os.seteuid(0)
        yield


@as_root
def test_a_door_of_anothers_in_a_folder_that_others_may_write_to_is_not_gone_through(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "door.of.bob"
    with impostor(folder):
        argv = [sys.executable, "-I", "-c", f"{TEXT}\ntake({str(folder)!r})"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert "PermissionError" in done.stderr


@as_root
def test_a_folder_of_anothers_is_no_place_to_meet(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    assert handed(str(tmp_path), tmp_path) == ("frames a wish /", False)
