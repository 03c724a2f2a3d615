"""Host keys as OpenSSH treats them: known, unknown, changed, revoked.

paramiko's own store knows neither ``@revoked`` nor where a line stands, so it is given
nothing, and every key is judged here. A key of a type that no line has counts as changed:
the known types are asked for first, so that a server that has one of them shows it.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import logging
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import MissingHostKeyPolicy

from remotenb.errors import HostKeyChanged, HostKeyUnknown, SshConfigError
from remotenb.ssh import keywords, tokens
from remotenb.ssh.reader import token_values
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paramiko import PKey, SSHClient

    from remotenb.model import Host

logger = logging.getLogger(__name__)


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
            return _hash(name, self.names) == self.names
        wanted = name.lower()
        patterns = self.names.lower().split(",")
        if any(p[:1] == "!" and _like(wanted, p[1:]) for p in patterns):
            return False
        return any(_like(wanted, p) for p in patterns if p[:1] != "!")


def _like(name: str, pattern: str) -> bool:
    """OpenSSH's patterns have * and ? only; a bracket is just a bracket."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _hash(name: str, like: str = "") -> str:
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


class Trust(Enum):
    """What the known_hosts files say of a key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


class KnownHosts:
    """The known_hosts files of one host, read once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        files = (*host.user_known_hosts, *host.global_known_hosts)
        every = [key for file in files for key in read(file)]
        self._keys = [key for key in every if key.matches(host.key_name)]
        # a key known for the host without its port is good enough, as for ssh
        portless = "" if host.host_key_alias else host.hostname
        self._portless = [key for key in every if not key.marker and key.matches(portless)]
        self._revoked = _revoked(host.revoked_host_keys) if host.revoked_host_keys else {}
        self._by_command: dict[bytes, list[KnownKey]] = {}

    def key_types(self) -> tuple[str, ...]:
        """The key types we know of this host: to be asked for first, as OpenSSH does."""
        return tuple(dict.fromkeys(k.type for k in self._keys if not k.marker))

    def judge(self, blob: bytes, key_type: str = "") -> tuple[Trust, KnownKey | None]:
        """What to think of the key, and the line that decides: of its own type if there is one."""
        if blob in self._revoked:
            return Trust.REVOKED, self._revoked[blob]
        keys = [*self._keys, *self._from_command(blob, key_type)]
        for known in keys:
            if known.marker == "@revoked" and known.blob == blob:
                return Trust.REVOKED, known
        plain = [k for k in keys if not k.marker]
        for known in (*plain, *self._portless):
            if known.blob == blob:
                return Trust.KNOWN, known
        plain.sort(key=lambda known: known.type != key_type)
        return (Trust.CHANGED, plain[0]) if plain else (Trust.UNKNOWN, None)

    def _from_command(self, blob: bytes, key_type: str) -> list[KnownKey]:
        """What KnownHostsCommand says when it is asked of this key."""
        command = self._host.known_hosts_command
        if command and blob not in self._by_command:
            said = _asked(command, self._host, blob, key_type)
            found = lines_of(said, Path(_COMMAND))
            name = self._host.key_name
            self._by_command[blob] = [key for key in found if key.matches(name)]
        return self._by_command.get(blob, [])

    def remember(self, key: PKey) -> Path:
        """Append the key to the user's first file, made 0600 if it is new.

        Raises :class:`OSError` when it cannot be written.
        """
        file = self._host.user_known_hosts[0]
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self._host.key_name
        entry = _hash(name) if self._host.hash_known_hosts else name
        line = f"{entry} {key.get_name()} {key.get_base64()}\n"
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as out:
            size = out.seek(0, os.SEEK_END)
            if size and (out.seek(size - 1), out.read(1))[1] != b"\n":
                out.write(b"\n")
            out.write(line.encode())
        return file


_COMMAND = "KnownHostsCommand"
COMMAND_TIMEOUT_S = 20.0


def _asked(command: str, host: Host, blob: bytes, key_type: str) -> str:
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
    argv = [tokens.expand(word, values, _COMMAND) for word in keywords.split(command) or ()]
    try:
        done = subprocess.run(  # noqa: S603  the user's own command, by no shell, as ssh runs it
            argv,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.info("%s: %s", _COMMAND, one_line(str(error)))
        return ""
    return done.stdout.decode("utf-8", "replace")


def _revoked(file: Path) -> dict[bytes, KnownKey]:
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


Ask = Callable[[str], bool]
"""Show a question to a person; False when there is nobody, or the answer is no."""


class HostKeyPolicy(MissingHostKeyPolicy):
    """Called by paramiko for each key, as its own store is left empty."""

    def __init__(self, host: Host, known: KnownHosts, *, ask: Ask | None) -> None:
        self._host = host
        self._known = known
        self._ask = ask

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002  paramiko's signature
        """Return if the key is right; raise if not."""
        trust, line = self._known.judge(key.asbytes(), key.get_name())
        if trust is Trust.KNOWN:
            return
        if line is not None:
            raise _changed(self._host, key, trust, line)
        if self._host.strict_host_key == "accept-new" or self._person_agrees(key):
            self._remember(key)
            return
        raise _unknown(self._host, key)

    def _person_agrees(self, key: PKey) -> bool:
        if self._host.strict_host_key == "yes" or self._ask is None:
            return False
        return self._ask(
            f"The authenticity of {self._host.key_name} can't be established.\n"
            f"Its {_type(key)} key is {fingerprint(key.asbytes())}\n"
            "Is that right, and shall it be remembered? (yes/no) "
        )

    def _remember(self, key: PKey) -> None:
        try:
            self._known.remember(key)
        except OSError as error:
            file = self._host.user_known_hosts[0]
            raise HostKeyUnknown(
                f"cannot remember the host key of {self._host.key_name} in {file}: "
                f"{error.strerror}",
                hint=f"make {file} writable, or name another with UserKnownHostsFile",
            ) from None


def _type(key: PKey) -> str:
    return key.get_name().removeprefix("ssh-").removeprefix("ecdsa-sha2-").upper()


def _unknown(host: Host, key: PKey) -> HostKeyUnknown:
    return HostKeyUnknown(
        f"the host key of {host.key_name} is unknown: {_type(key)} {fingerprint(key.asbytes())}",
        hint=f"if that is the key its administrator gave you, log in once with: ssh {host.name}",
    )


def _changed(host: Host, key: PKey, trust: Trust, line: KnownKey) -> HostKeyChanged:
    where = f"{line.file}:{line.line}"
    if trust is Trust.REVOKED:
        return HostKeyChanged(
            f"the host key of {host.key_name} is revoked ({where}): "
            f"{_type(key)} {fingerprint(key.asbytes())}",
            hint="do not connect; ask the server's administrator",
        )
    cure = f'ssh-keygen -R "{host.key_name}" -f "{line.file}"'
    if str(line.file) == _COMMAND:
        cure = "look at KnownHostsCommand in ssh_config"
    return HostKeyChanged(
        f"the host key of {host.key_name} has changed: it is {_type(key)} "
        f"{fingerprint(key.asbytes())}, but {where} has {fingerprint(line.blob)}",
        hint=f"somebody may be listening in. If the server was really reinstalled: {cure}",
    )
