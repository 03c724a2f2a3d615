"""Keys that only an agent has: on a token (PKCS#11, FIDO), and those that a certificate is for.

The PKCS#11 token is SoftHSM's: a real library, with its key in a file. The FIDO key is of software,
in an agent of the test's own; sshd verifies what it signs as it does that of a real one.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remotenb.errors import AuthenticationFailed, KeyUnusable
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from tests.agents import agent
from tests.rig import sshd

if TYPE_CHECKING:
    from tests.rig.lab import Lab

assert sys.platform != "win32"  # unix sockets

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"


def run(*argv: str, environment: dict[str, str] | None = None) -> str:
    return subprocess.run(
        argv, check=True, timeout=60, capture_output=True, text=True, env=environment
    ).stdout


def keygen(*options: str) -> str:
    return run("ssh-keygen", "-q", "-N", "", *options)


def token(folder: Path) -> tuple[str, dict[str, str]]:
    """A token with one key: its public half, and the environment that finds it."""
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    environment = {"SOFTHSM2_CONF": str(folder / "softhsm.conf"), "PATH": "/usr/bin:/bin"}
    key = folder / "made"
    keygen("-t", "rsa", "-b", "2048", "-m", "PKCS8", "-f", str(key))
    named = ("--token", "lab", "--label", "alice", "--id", "01")
    made = ("--init-token", "--free", "--label", "lab", "--so-pin", PIN, "--pin", PIN)
    run("softhsm2-util", *made, environment=environment)
    imported = ("--import", str(key), *named, "--pin", PIN)
    run("softhsm2-util", *imported, environment=environment)
    key.unlink()
    return (folder / "made.pub").read_text(), environment


@pytest.mark.skipif(
    not (LIBRARY.exists() and shutil.which("softhsm2-util")), reason="needs softhsm2"
)
def test_a_key_on_a_token_logs_in_through_the_agent_and_by_its_public_half_alone(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, variables = token(tmp_path)
    lab.box.write("/etc/ssh/token.pub", public)
    lab.box.sshd("AuthorizedKeysFile /etc/ssh/token.pub\n")
    (tmp_path / "alice.pub").write_text(public)
    (tmp_path / "pin").write_text(f"#!/bin/sh\necho {PIN}\n")
    (tmp_path / "pin").chmod(0o700)
    host = replace(
        resolve("gpu-box", config_file=lab.ssh_config),
        identity_files=(tmp_path / "alice.pub",),
        identities_only=True,
        identity_agent=None,
        token_library=str(LIBRARY),
    )
    with agent(tmp_path / "agent", **variables) as environment:
        monkeypatch.setenv("SSH_AUTH_SOCK", environment["SSH_AUTH_SOCK"])
        with pytest.raises(KeyUnusable, match="public half") as raised:
            open_link(host).close()
        assert f"ssh-add -s {LIBRARY}" in raised.value.hint
        asks = {"SSH_ASKPASS": str(tmp_path / "pin"), "SSH_ASKPASS_REQUIRE": "force"}
        run("ssh-add", "-s", str(LIBRARY), environment={**environment, **asks})
        with open_link(host) as link:
            assert link.script("echo in", timeout=10).out == b"in\n"


def packet(*parts: bytes) -> bytes:
    return struct.pack(">I", sum(map(len, parts))) + b"".join(parts)


class TouchedKey:
    """A security key whose owner touches it at once: OpenSSH's sk-ssh-ed25519."""

    kind, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes_raw()
        self.blob = packet(self.kind) + packet(public) + packet(self.application)

    def sign(self, data: bytes) -> bytes:
        flags_and_counter = b"\x01" + struct.pack(">I", 7)
        digests = [hashlib.sha256(one).digest() for one in (self.application, data)]
        signature = self._key.sign(digests[0] + flags_and_counter + digests[1])
        return packet(self.kind) + packet(signature) + flags_and_counter

    def answer(self, request: bytes) -> bytes:
        """As an agent does: its one key, or a signature."""
        if request[:1] == b"\x0b":
            return packet(b"\x0c", struct.pack(">I", 1), packet(self.blob), packet(b"my key"))
        size = struct.unpack(">I", request[1:5])[0]
        data = request[5 + size + 4 : -4]
        return packet(b"\x0e", packet(self.sign(data)))


def serve(server: socket.socket, key: TouchedKey) -> None:
    sock, _ = server.accept()
    with sock, sock.makefile("rb") as requests:
        while head := requests.read(4):
            sock.sendall(key.answer(requests.read(struct.unpack(">I", head)[0])))


def test_a_fido_key_logs_in_through_the_agent(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = TouchedKey()
    line = f"{key.kind.decode()} {base64.b64encode(key.blob).decode()} touched\n"
    lab.box.write("/etc/ssh/token.pub", line)
    lab.box.sshd("AuthorizedKeysFile /etc/ssh/token.pub\n")
    host = replace(
        resolve("gpu-box", config_file=lab.ssh_config),
        identity_files=(),
        identities_only=False,
        identity_agent=None,
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent"))
        server.listen()
        server.settimeout(20)
        thread = threading.Thread(target=serve, args=(server, key), daemon=True)
        thread.start()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        open_link(host).close()
        thread.join(20)
    assert not thread.is_alive()


def test_a_certificate_serves_where_the_agent_has_its_key(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("authority", "key"):
        keygen("-t", "ed25519", "-f", str(tmp_path / name))
    keygen("-s", str(tmp_path / "authority"), "-I", "a", "-n", "alice", str(tmp_path / "key.pub"))
    lab.box.write("/etc/ssh/authority.pub", (tmp_path / "authority.pub").read_text())
    lab.box.sshd(sshd.CERTIFICATES + "AuthorizedKeysFile none\n")
    host = replace(
        resolve("gpu-box", config_file=lab.ssh_config),
        identity_files=(),
        identities_only=False,
        identity_agent=None,
        certificate_files=(tmp_path / "key-cert.pub",),
    )
    with agent(tmp_path / "agent", tmp_path / "key") as environment:
        run("ssh-add", "-q", "-d", str(tmp_path / "key-cert.pub"), environment=dict(environment))
        monkeypatch.setenv("SSH_AUTH_SOCK", environment["SSH_AUTH_SOCK"])
        open_link(host).close()
        with pytest.raises(AuthenticationFailed):
            open_link(replace(host, certificate_files=())).close()
