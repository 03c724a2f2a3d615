"""Host keys as OpenSSH treats them: known, unknown, changed, revoked.

paramiko's own store knows neither ``@revoked`` nor where a line stands, so it is given
nothing, and every key is judged here. A key of a type that no line has counts as changed:
the known types are asked for first, so that a server that has one of them shows it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import MissingHostKeyPolicy

from remotenb.errors import HostKeyChanged, HostKeyUnknown
from remotenb.ssh import hostcerts, known_lines
from remotenb.ssh.known_lines import KnownKey, fingerprint, hashed, lines_of, read

if TYPE_CHECKING:
    from paramiko import PKey, SSHClient

    from remotenb.model import Host

logger = logging.getLogger(__name__)


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
        names = {host.key_name, portless} - {""}
        authorities = [key for key in every if key.marker == "@cert-authority"]
        self._authorities = [key for key in authorities if any(map(key.matches, names))]
        self._revoked = (
            known_lines.revoked(host.revoked_host_keys) if host.revoked_host_keys else {}
        )
        self._by_command: dict[bytes, list[KnownKey]] = {}

    def key_types(self) -> tuple[str, ...]:
        """The key types we know of this host: to be asked for first, as OpenSSH does."""
        return tuple(dict.fromkeys(k.type for k in self._keys if not k.marker))

    @property
    def has_authorities(self) -> bool:
        """Whether there is somebody whose certificates count for this host."""
        return bool(self._authorities)

    def judge_key(self, key: PKey) -> tuple[Trust, KnownKey | None]:
        """As :meth:`judge`, where an authority may vouch for the key.

        Raises :class:`HostKeyUnknown` for its certificate if that does not count, as ssh does.
        """
        trust, line = self.judge(key.asbytes(), key.get_name())
        vouched = hostcerts.vouched(key, self._host.host_key_alias or self._host.hostname)
        if trust is Trust.REVOKED or vouched is None:
            return trust, line
        known = next((one for one in self._authorities if one.blob == vouched.authority), None)
        if known is None:
            return trust, line
        refused, why = self.judge(vouched.authority)
        if refused is Trust.REVOKED:
            return refused, why
        if vouched.wrong:
            raise _does_not_count(self._host, vouched.wrong)
        return Trust.KNOWN, known

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
            said = known_lines.asked(command, self._host, blob, key_type)
            found = lines_of(said, Path(known_lines.COMMAND))
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
        entry = hashed(name) if self._host.hash_known_hosts else name
        line = f"{entry} {key.get_name()} {key.get_base64()}\n"
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as out:
            size = out.seek(0, os.SEEK_END)
            if size and (out.seek(size - 1), out.read(1))[1] != b"\n":
                out.write(b"\n")
            out.write(line.encode())
        return file


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
        trust, line = self._known.judge_key(key)
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


def _does_not_count(host: Host, why: str) -> HostKeyUnknown:
    clock = "is the clock of this laptop right?" if "yet" in why else ""
    return HostKeyUnknown(
        f"the certificate of {host.key_name} does not count: {why}",
        hint=clock or "do not connect; ask the server's administrator",
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
    if str(line.file) == known_lines.COMMAND:
        cure = "look at KnownHostsCommand in ssh_config"
    return HostKeyChanged(
        f"the host key of {host.key_name} has changed: it is {_type(key)} "
        f"{fingerprint(key.asbytes())}, but {where} has {fingerprint(line.blob)}",
        hint=f"somebody may be listening in. If the server was really reinstalled: {cure}",
    )
