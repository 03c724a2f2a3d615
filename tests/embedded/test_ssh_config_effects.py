"""What ssh_config says is done: where from and how it is dialled, which algorithms, which keys."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remotenb.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnknown,
    HostUnreachable,
    LinkError,
    SshConfigError,
)
from remotenb.ssh.dial import dial
from remotenb.ssh.link import open_link
from remotenb.ssh.redial import redial
from tests.agents import agent
from tests.embedded.peers import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remotenb.model import Host
    from tests.embedded.conftest import Box


def refused(host: Host) -> LinkError:
    with pytest.raises(LinkError) as raised:
        open_link(host).close()
    assert raised.value.hint
    return raised.value


@contextmanager
def taken(family: socket.AddressFamily, address: str) -> Iterator[tuple[int, Callable[[], str]]]:
    """A port of ``address``, and what tells from where the next connection came."""
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(TIMEOUT_S)

        def came_from() -> str:
            sock, peer = server.accept()
            sock.close()
            return str(peer[0])

        yield server.getsockname()[1], came_from


def dialled(host: Host) -> list[socket.socket]:
    """By the first dial, and by one after an outage."""
    return [dial(host), redial(host, stop=threading.Event())]


def test_the_address_family_that_is_wanted_is_dialled_and_no_other(box: Box) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with taken(socket.AF_INET6, "::1") as (port, came_from):
        host = replace(box.host, hostname="::1", port=port, address_family="inet6")
        for sock in dialled(host):
            assert (sock.family, came_from()) == (socket.AF_INET6, "::1")
            sock.close()
    for hostname, family in (("::1", "inet"), ("127.0.0.1", "inet6")):
        with pytest.raises(HostUnknown):
            dial(replace(box.host, hostname=hostname, address_family=family))  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has all of 127.0.0.0/8, and SO_BIND…")
def test_the_address_and_the_interface_that_are_wanted_are_dialled_from(box: Box) -> None:
    with taken(socket.AF_INET, "127.0.0.1") as (port, came_from):
        for sock in dialled(replace(box.host, port=port, bind_address="127.0.0.2")):
            assert came_from() == "127.0.0.2"
            sock.close()
        for sock in dialled(replace(box.host, port=port, bind_interface="lo")):
            assert came_from() == "127.0.0.1"
            sock.close()
    for wrong in ({"bind_address": "192.0.2.1"}, {"bind_interface": "none0"}):
        with pytest.raises(HostUnreachable, match="as ssh_config wants it") as raised:
            dial(replace(box.host, **wrong))  # type: ignore[arg-type]
        assert next(iter(wrong.values())) in raised.value.message


def test_compression_and_algorithms_are_those_of_ssh_config(box: Box) -> None:
    chosen = replace(
        box.host,
        compression=True,
        ciphers="aes256-ctr,3des-cbc",
        macs="-*-etm@openssh.com",
        kex_algorithms="curve25519-sha256",
    )
    with open_link(chosen) as link:
        transport = link.transport
        assert link.script("head -c 300000 /dev/zero | wc -c", timeout=10).out.strip() == b"300000"
        assert transport.local_cipher == "aes256-ctr"
        assert transport.local_compression == "zlib@openssh.com"
        assert transport.local_mac == "hmac-sha2-256"
    with open_link(box.host) as link:
        assert link.transport.local_cipher == "aes128-gcm@openssh.com"
        assert link.transport.local_compression == "none"
    assert (
        type(refused(replace(box.host, ciphers="chacha20-poly1305@openssh.com"))) is SshConfigError
    )


def test_a_key_whose_type_is_left_out_is_not_shown_and_that_is_said(box: Box) -> None:
    error = refused(replace(box.host, public_key_algorithms="ecdsa-sha2-nistp256,rsa-sha2-512"))
    assert type(error) is AuthenticationFailed
    assert "PubkeyAcceptedAlgorithms" in error.message
    open_link(replace(box.host, public_key_algorithms="-rsa-*")).close()


def test_a_token_is_named_with_its_way_through_the_agent(box: Box) -> None:
    host = replace(box.host, token_library="/usr/lib/token.so", identity_files=())
    assert "ssh-add -s /usr/lib/token.so" in refused(host).message


def host_key(box: Box) -> str:
    """The line that known_hosts has of the box."""
    return box.host.user_known_hosts[0].read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.skipif(sys.platform == "win32", reason="the command is a shell script")
def test_known_hosts_may_come_from_a_command_which_is_told_the_key(
    box: Box, tmp_path: Path
) -> None:
    line = host_key(box)
    command = tmp_path / "known"
    command.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\necho "{line}"\n')
    command.chmod(0o755)
    empty = tmp_path / "empty"
    host = replace(
        box.host, user_known_hosts=(empty,), known_hosts_command=f"{command} %H %t '%K' a%%b"
    )
    open_link(host).close()
    name, key_type, blob = line.split()[:3]
    assert (tmp_path / "asked").read_text().splitlines() == [f"{name} {key_type} {blob} a%b"]
    other = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()
    command.write_text(f'#!/bin/sh\necho "{name} {key_type} {other}"\n')
    changed = refused(replace(host, strict_host_key="accept-new"))
    assert type(changed) is HostKeyChanged
    assert "KnownHostsCommand" in changed.hint
    command.write_text(f'#!/bin/sh\necho "{line}"; exit 1\n')
    assert type(refused(replace(host, strict_host_key="yes"))) is HostKeyUnknown
    assert not empty.exists()


def test_a_key_of_revoked_host_keys_is_refused_and_so_is_all_when_they_cannot_be_read(
    box: Box, tmp_path: Path
) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(f"# why\n\n{' '.join(host_key(box).split()[1:3])} its comment\n")
    error = refused(replace(box.host, revoked_host_keys=revoked))
    assert type(error) is HostKeyChanged
    assert f"{revoked}:3" in error.message
    revoked.write_bytes(b"SSHKRL\n\0" + bytes(40))
    assert "is a KRL" in refused(replace(box.host, revoked_host_keys=revoked)).message
    revoked.unlink()
    assert type(refused(replace(box.host, revoked_host_keys=revoked))) is SshConfigError


@pytest.mark.skipif(not shutil.which("ssh-agent"), reason="there is no ssh-agent")
def test_an_agent_that_is_named_for_a_jump_host_is_not_asked_for_the_next(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(tmp_path / "empty"), agent(tmp_path / "full", box.host.identity_files[0]):
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "full"))
        by_agent = replace(box.host, identity_files=(), identities_only=False, identity_agent=None)
        jump = replace(box.host, identity_agent=str(tmp_path / "empty"), name="gate")
        open_link(replace(by_agent, jumps=(jump,))).close()
    assert os.environ["SSH_AUTH_SOCK"] == str(tmp_path / "full")
