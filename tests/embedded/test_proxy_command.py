"""A ProxyCommand in the place of the TCP connection.

Each login is made in a process of its own: what stays open there is no matter of other tests.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.embedded.peers import until

if TYPE_CHECKING:
    from pathlib import Path

    from remotenb.model import Host
    from tests.embedded.conftest import Box

LOGIN = """
import pickle, sys
from remotenb.errors import RemotenbError
from remotenb.ssh.link import open_link
try:
    with open_link(pickle.load(sys.stdin.buffer)) as link:
        print(link.script("echo works", timeout=10).out.decode())
except RemotenbError as error:
    print(type(error).__name__, error.passing, error.message)
"""

PIPE = """
import os, socket, sys, threading
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
def up():
    while data := os.read(0, 65536):
        sock.sendall(data)
    os._exit(0)
threading.Thread(target=up, daemon=True).start()
while data := sock.recv(65536):
    os.write(1, data)
"""


def login(host: Host) -> str:
    """What came of it, in words."""
    done = subprocess.run(
        [sys.executable, "-c", LOGIN],
        check=True,
        input=pickle.dumps(host),
        capture_output=True,
        timeout=40,
    )
    return done.stdout.decode().strip()


def piped(box: Box, folder: Path, *arguments: str) -> Host:
    program = folder / "pipe.py"
    program.write_text(PIPE, encoding="utf-8")
    command = " ".join([sys.executable, str(program), *arguments])
    return replace(box.host, proxy_command=command, connect_timeout=3.0)


def test_the_link_goes_through_it_and_it_ends_with_the_link(box: Box, tmp_path: Path) -> None:
    assert login(piped(box, tmp_path, "127.0.0.1", str(box.host.port))) == "works"

    def gone() -> bool:
        return not any(str(tmp_path) in " ".join(p.info["cmdline"] or ()) for p in running())

    def running() -> list[psutil.Process]:
        return list(psutil.process_iter(["cmdline"]))

    until(gone, "the ProxyCommand has ended", 10)


def test_it_gets_the_hosts_own_name_and_port(box: Box, tmp_path: Path) -> None:
    assert login(piped(box, tmp_path, "%h", "%p")) == "works"


def test_a_jump_hosts_own_proxy_command_is_used(box: Box, tmp_path: Path) -> None:
    through = piped(box, tmp_path, "127.0.0.1", str(box.host.port))
    jump = replace(through, port=1, host_key_alias=box.host.key_name)  # nothing listens on 1
    assert login(replace(box.host, jumps=(jump,))) == "works"


FAILS = """
import os, sys, time
print(*sys.argv[2:], sep="\\n", file=sys.stderr, flush=True)
if sys.argv[1] == "never":
    time.sleep(60)
os.close(0)  # a program's pipes end before it does
os.close(1)
time.sleep(0.3)
os._exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("1", "ended (exit code 1): it said no more"),
        ("3 hello nc:no-route", "ended (exit code 3): nc:no-route"),
        ("0 bye", "ended (exit code 0): bye"),
        ("never hello", "said nothing in 1 s"),
    ],
)
def test_one_that_fails_is_told_with_its_last_words_and_may_pass(
    box: Box, tmp_path: Path, arguments: str, words: str
) -> None:
    (tmp_path / "fails.py").write_text(FAILS, encoding="utf-8")
    command = f"{sys.executable} {tmp_path / 'fails.py'} {arguments}"
    patience = 1.0 if arguments.startswith("never") else 20.0  # Python's start is in it
    host = replace(box.host, name="gpu-box", proxy_command=command, connect_timeout=patience)
    assert login(host) == f"HostUnreachable True the ProxyCommand of gpu-box {words}"


def test_one_that_is_not_there_is_told_so(box: Box) -> None:
    said = login(replace(box.host, proxy_command="/no/such/program", connect_timeout=1.0))
    assert said.startswith("HostUnreachable True the ProxyCommand ")
