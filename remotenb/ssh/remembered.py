"""What a session keeps in memory so that it can log in again without a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramiko import MissingHostKeyPolicy

from remotenb.errors import HostKeyChanged
from remotenb.ssh.hostkeys import Trust
from remotenb.ssh.known_lines import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from paramiko import PKey, SSHClient

    from remotenb.model import Host
    from remotenb.ssh.hostkeys import KnownHosts


class Remembered:
    """What a session may use again without a person: in memory alone, and as long as it lasts."""

    def __init__(self) -> None:
        self.keys: dict[Path, PKey] = {}
        """Key files whose passphrase was given, decrypted."""
        self.by_person: set[str] = set()
        """Logins to which a person gave a password or an answer, so that no retry can do it."""
        self.host_keys: dict[str, PKey] = {}
        """The last key of each host that was found right."""

    def host_key_types(self, host: Host) -> tuple[str, ...]:
        """The type of the key that the host had, to be asked for again."""
        key = self.host_keys.get(host.key_name)
        return (key.get_name(),) if key else ()


class SessionHostKeys(MissingHostKeyPolicy):
    """Asks the known_hosts files first, and where they know nothing, the session's memory."""

    def __init__(
        self, host: Host, known: KnownHosts, files: MissingHostKeyPolicy, remembered: Remembered
    ) -> None:
        self._host = host
        self._known = known
        self._files = files
        self._keys = remembered.host_keys

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Return if the key is right; raise if not."""
        name = self._host.key_name
        before = self._keys.get(name)
        trust, _ = self._known.judge_key(key)
        if before is None or trust is not Trust.UNKNOWN:
            self._files.missing_host_key(client, hostname, key)
        elif before.asbytes() != key.asbytes():
            raise HostKeyChanged(
                f"the host key of {name} has changed since this session began: it is "
                f"{fingerprint(key.asbytes())}, and was {fingerprint(before.asbytes())}",
                hint="somebody may be listening in; ask the server's administrator",
            )
        self._keys[name] = key
