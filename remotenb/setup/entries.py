"""Where a machine that is ready is written down: remotenb's config, and ssh_config if wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import ConfigError
from remotenb.laptop import config_file
from remotenb.setup.outcome import Outcome
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remotenb.model import Host


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written of a host."""

    name: str
    host: Host
    address: str | None
    """None: its name is how it is reached."""
    key: Path | None
    image: str | None
    dry_run: bool = False

    @property
    def members(self) -> dict[str, object]:
        """Its settings."""
        every = {"address": self.address, "identity_file": self.key, "image": self.image}
        return {name: str(value) for name, value in every.items() if value is not None}


def in_config(entry: Entry, file: Path, known: Mapping[str, object] | None) -> Outcome:
    """Its table in ``file``, which has ``known`` of it; raises :class:`ConfigError`."""
    new = {key: value for key, value in entry.members.items() if (known or {}).get(key) != value}
    where = f"[hosts.{entry.name}] of {file}"
    if known is not None and not new:
        return Outcome("config", "there", where)
    lines = ", ".join(f"{key} = {value}" for key, value in new.items()) or "nothing but its name"
    if entry.dry_run:
        return Outcome("config", "would", f"{where}: {lines}")
    text = _read(file)
    config_file.write(file, config_file.with_host(text, entry.name, new, source=str(file)))
    return Outcome("config", "done", f"{where}: {lines}")


def in_ssh_config(entry: Entry, file: Path) -> Outcome:
    """Its Host block, before all others: ssh takes the first value that it meets."""
    text = _read(file)
    named = rf"^\s*Host\s+(.*\s)?{re.escape(entry.name)}(\s|$)"
    if re.search(named, text, re.MULTILINE | re.IGNORECASE):
        return Outcome("ssh_config", "there", f"Host {entry.name} of {file}")
    block = _block(entry)
    if entry.dry_run:
        return Outcome("ssh_config", "would", f"{file}: {one_line(block)}")
    config_file.write(file, f"{block}\n{text}")
    return Outcome("ssh_config", "done", f"Host {entry.name} of {file}")


def _block(entry: Entry) -> str:
    host = entry.host
    lines = [f"Host {entry.name}", f"    HostName {host.hostname}", f"    User {host.user}"]
    lines += [f"    Port {host.port}"] if host.port != 22 else []  # noqa: PLR2004  SSH's own port
    lines += [f'    IdentityFile "{entry.key}"'] if entry.key else []
    jumps = ",".join(f"{jump.user}@{jump.hostname}:{jump.port}" for jump in host.jumps)
    lines += [f"    ProxyJump {jumps}"] if jumps else []
    return "\n".join([*lines, ""])


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="is it readable, UTF-8?") from None
