"""The lines of known_hosts: from files, from KnownHostsCommand, from RevokedHostKeys."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import logging
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.errors import SshConfigError
from remotenb.ssh import keywords, tokens
from remotenb.ssh.reader import token_values
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.model import Host

logger = logging.getLogger(__name__)

COMMAND = "KnownHostsCommand"
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file."""

    file: Path
    line: int
    marker: str
    names: str
    type: str
    blob: bytes

    def matches(self, name: str) -> bool:
        """Whether the line speaks of ``name``: hashed, a list of names, or patterns."""
        if self.names.startswith("|1|"):
            return hashed(name, self.names) == self.names
        wanted = name.lower()
        patterns = self.names.lower().split(",")
        if any(p[:1] == "!" and _like(wanted, p[1:]) for p in patterns):
            return False
        return any(_like(wanted, p) for p in patterns if p[:1] != "!")


def _like(name: str, pattern: str) -> bool:
    """OpenSSH's patterns have * and ? only; a bracket is just a bracket."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def hashed(name: str, like: str = "") -> str:
    """``name`` hashed as HashKnownHosts does, with the salt of ``like`` or a new one."""
    try:
        salt = base64.b64decode(like.split("|")[2]) if like else os.urandom(20)
    except (IndexError, binascii.Error):
        return ""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def read(file: Path) -> Iterator[KnownKey]:
    """The lines of ``file`` that can be understood; nothing when it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    yield from lines_of(text, file)


def lines_of(text: str, file: Path) -> Iterator[KnownKey]:
    """The lines of a known_hosts that can be understood."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        try:
            names, key_type, blob = fields[:3]
            yield KnownKey(file, number, marker, names, key_type, base64.b64decode(blob))
        except (ValueError, binascii.Error):
            continue


def asked(command: str, host: Host, blob: bytes, key_type: str) -> str:
    """The output of KnownHostsCommand; nothing where it fails, as for ssh."""
    values = token_values(
        alias=host.alias or host.name,
        hostname=host.hostname,
        user=host.user,
        port=str(host.port),
        key_alias=host.host_key_alias or "",
    ) | {
        "f": fingerprint(blob),
        "H": host.key_name,
        "I": "HOSTNAME",
        "K": base64.b64encode(blob).decode(),
        "t": key_type,
    }
    argv = [tokens.expand(word, values, COMMAND) for word in keywords.split(command) or ()]
    try:
        done = subprocess.run(  # noqa: S603  the user's own command, by no shell, as ssh runs it
            argv,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.info("%s: %s", COMMAND, one_line(str(error)))
        return ""
    return done.stdout.decode("utf-8", "replace")


def revoked(file: Path) -> dict[bytes, KnownKey]:
    """The keys of RevokedHostKeys; one that cannot be read lets nobody in, as with ssh."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SshConfigError(
            f"cannot read RevokedHostKeys {file}: {error.strerror}", hint="mend it in ssh_config"
        ) from None
    if data.startswith(b"SSHKRL\n\0"):
        raise SshConfigError(
            f"RevokedHostKeys {file} is a KRL", hint="remotenb reads a list of public keys"
        )
    found: dict[bytes, KnownKey] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        fields = line.split()
        with suppress(IndexError, ValueError):  # a comment, or nonsense
            key_type, blob = fields[0], base64.b64decode(fields[1])
            found[blob] = KnownKey(file, number, "@revoked", "*", key_type, blob)
    return found


def fingerprint(blob: bytes) -> str:
    """``SHA256:...`` as ``ssh-keygen -lf`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
