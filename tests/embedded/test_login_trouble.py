"""What stands in the way of a login: jump hosts, proxies, certificates, agents, banners."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remotenb.embedded import EmbeddedServer
from remotenb.errors import AuthenticationFailed, HostKeyChanged, HostUnreachable, LinkError
from remotenb.ssh.link import open_link
from tests.embedded.conftest import environment, played
from tests.embedded.peers import TIMEOUT_S, closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remotenb.model import Host
    from tests.embedded.conftest import Box


def refused(host: Host) -> LinkError:
    with pytest.raises(LinkError) as raised:
        open_link(host).close()
    assert raised.value.hint
    assert "\n" not in raised.value.message
    return raised.value


def keygen(*options: str) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen, which Wine has not")
    argv = ["ssh-keygen", "-q", *options]
    subprocess.run(argv, check=True, timeout=20, capture_output=True)


@pytest.fixture
def jump(tmp_path: Path) -> Iterator[Host]:
    with played(EmbeddedServer(tmp_path, environment=environment())) as host:
        yield replace(host, name="gate")


def test_a_jump_host_that_is_down_is_named(box: Box, jump: Host) -> None:
    with closed_port() as port:
        error = refused(replace(box.host, jumps=(replace(jump, port=port),)))
    assert type(error) is HostUnreachable
    assert f"port {port} refuses" in error.message


def test_a_host_key_that_changed_on_the_jump_host_is_refused_by_its_name(
    box: Box, jump: Host, tmp_path: Path
) -> None:
    keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / "other"))
    known = tmp_path / "known"
    known.write_text(f"gate {(tmp_path / 'other.pub').read_text()}")
    changed = replace(
        jump, host_key_alias="gate", user_known_hosts=(known,), strict_host_key="accept-new"
    )
    error = refused(replace(box.host, jumps=(changed,)))
    assert type(error) is HostKeyChanged
    assert "gate" in error.message


def test_a_certificate_that_is_not_valid_yet_is_told_with_the_clock(
    box: Box, tmp_path: Path
) -> None:
    key, authority = tmp_path / "key", tmp_path / "authority"
    for file in (key, authority):
        keygen("-t", "ed25519", "-N", "", "-f", str(file))
    for span, words in (("20990101:20990201", "not valid yet"), ("2001:2002", "any more")):
        dates = ":".join((one + "0101")[:8] for one in span.split(":"))
        keygen("-s", str(authority), "-I", "x", "-n", "x", "-V", dates, f"{key}.pub")
        certificate = tmp_path / "key-cert.pub"
        host = replace(box.host, identity_files=(key,), certificate_files=(certificate,))
        error = refused(host)
        assert type(error) is AuthenticationFailed
        assert words in error.message
        assert ("clock" in error.hint) is (words == "not valid yet")
        works = replace(box.host, certificate_files=(certificate,))
        open_link(works).close()


AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)


@pytest.mark.skipif(AF_UNIX is None, reason="the agent is a Unix socket")
@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"\x00\x00\x00\x05\x0c\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\x05",
        b"HTTP/1.1 400\r\n\r\n",
    ],
    ids=["hangs up", "billions of keys", "a failure", "not an agent"],
)
def test_an_agent_that_lies_stops_no_login(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: bytes
) -> None:
    path = tmp_path / "agent"
    with socket.socket(AF_UNIX or 0) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(TIMEOUT_S)

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.recv(5)
                sock.sendall(lie)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        host = replace(box.host, identity_agent=None, identities_only=False)
        open_link(host).close()
        thread.join(TIMEOUT_S)
    assert os.environ["SSH_AUTH_SOCK"] == str(path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paramiko's socket
def test_a_dead_agent_stops_no_login(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    open_link(replace(box.host, identity_agent=None, identities_only=False)).close()
