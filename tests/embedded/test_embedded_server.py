"""The SSH server that ``demo`` and these tests talk to leaves nothing and survives its guests."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remotenb.embedded import EmbeddedServer
from tests.embedded.conftest import environment, played

if TYPE_CHECKING:
    from pathlib import Path

PLAY = """
import gc, logging, os, pathlib, sys
logging.getLogger("paramiko").addHandler(logging.NullHandler())
from remotenb.embedded import EmbeddedServer
from remotenb.errors import RemotenbError
from remotenb.ssh.link import open_link

folder = pathlib.Path(sys.argv[1])
path = f"{folder}/programs:{os.environ['PATH']}"
with EmbeddedServer(folder, environment={"PATH": path}) as host:
    link = open_link(host)
    for _ in range(int(sys.argv[2])):
        try:
            print(link.script("echo on", timeout=5).out)
        except RemotenbError as error:
            print(type(error).__name__)
    sys.stdout.flush()
    if sys.argv[3] == "leave":
        link.close()
if sys.argv[3] == "stay":
    print("ended" if link.wait(5) else "still open")
    link.close()
gc.collect()
"""
"""In a process of its own: what is not closed is told at its end, on stderr."""


def play(folder: Path, *arguments: str, shell: str = 'exec /bin/sh "$@"') -> tuple[str, str]:
    """Stdout and stderr of ``PLAY``, in a folder whose login shell is ``shell``."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "sh").write_text(f"#!/bin/sh\n{shell}\n", encoding="utf-8")
    (programs / "sh").chmod(0o755)
    argv = [sys.executable, "-W", "always::ResourceWarning", "-c", PLAY, str(folder), *arguments]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, done
    return done.stdout, done.stderr


@pytest.mark.parametrize("guest", ["stay", "leave"])
def test_its_end_closes_every_connection_and_leaves_no_warning(tmp_path: Path, guest: str) -> None:
    out, err = play(tmp_path, "1", guest)
    assert out.splitlines() == ["b'on\\n'", *(["ended"] if guest == "stay" else [])]
    assert err == ""


def test_a_command_that_does_not_read_its_stdin_ends_only_itself(tmp_path: Path) -> None:
    out, _ = play(tmp_path, "5", "leave", shell="exit 1")
    assert out.split() == ["ShellUnusable"] * 5


def test_it_listens_on_the_loopback_and_its_key_is_the_users_alone(tmp_path: Path) -> None:
    with played(EmbeddedServer(tmp_path, environment=environment())) as host:
        assert host.hostname == "127.0.0.1"
        assert (tmp_path / "id_ed25519").stat().st_mode & 0o077 == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host.hostname, host.port), 5)
