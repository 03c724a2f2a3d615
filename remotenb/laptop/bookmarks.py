r"""Hosts that PuTTY and MobaXterm have saved, out of their text. Pure.

PuTTY: a file for each session (``key=value``), or the registry's export. MobaXterm: the sections
``[Bookmarks…]`` of MobaXterm.ini or an .mxtsessions file, ``name=#109#0%host%port%user%…`` is SSH;
and its tunnels, ``[PortForwarding]``: ``0.name=Local;user@host:22;to:80;8080;0;key;listens on;…``,
as other programs that import them read it. Passwords that they may have saved are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SSH_PORT = 22
MOBAXTERM_SSH = "#109#"
_KEY_FIELD, _GATEWAY_FIELD, _USER_FIELD = 14, 8, 3
_SECTION = re.compile(r"\[(.+)\]")
_PUTTY_KEY = re.compile(r"(?i)\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions\\(.+)\]")
_REG_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"=(?:"((?:[^"\\]|\\.)*)"|dword:([0-9a-fA-F]{1,8}))')
_PUTTY_TUNNEL = re.compile(r"4?6?([LRD])([^=,]*)(?:=([^,]*))?")
_MOBAXTERM_TUNNEL = re.compile(
    r"(?P<kind>[LRD])(?:ocal|emote|ynamic);(?:(?P<user>[^;]+)@)?(?P<host>[^;@]+):(?P<port>\d+);"
    r"(?P<to>[^;]*);(?P<source>\d+)(?:;[^;]*;(?P<key>[^;]*))?(?:;.*)?"
)
_NO_KEY = "no ssh key selected"
_ITSELF = {"localhost", "127.0.0.1", "::1"}
_WHY_NOT = {
    "L": "leads to another machine",
    "R": "leads from there to this laptop",
    "D": "is a SOCKS proxy",
}


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A saved host."""

    name: str
    hostname: str
    user: str | None = None
    port: int = SSH_PORT
    identity_file: str | None = None
    forwards: tuple[int, ...] = ()
    """Ports of the host itself that a tunnel led to."""
    gateway: str | None = None
    """What it is behind; ssh_config's ProxyJump says that."""
    left_out: tuple[str, ...] = ()
    """Tunnels that remotenb has no word for, each with the reason."""

    @property
    def settings(self) -> dict[str, object]:
        """What remotenb's config says of it."""
        members: dict[str, object] = {"address": self.hostname}
        if self.user:
            members["user"] = self.user
        if self.port != SSH_PORT:
            members["ssh_port"] = self.port
        if self.identity_file:
            members["identity_file"] = self.identity_file
        if self.forwards:
            members["forwards"] = list(self.forwards)
        return members


def from_file(text: str) -> list[Bookmark]:
    """What is in an export of either program; nothing where it is none."""
    if _PUTTY_KEY.search(text):
        return list(from_registry(text))
    return from_mobaxterm(text)


def from_registry(text: str) -> Iterator[Bookmark]:
    """PuTTY's sessions in a .reg file."""
    name, values = "", dict[str, str]()
    for line in [*text.splitlines(), "[]"]:
        if line.startswith("["):
            if name and (one := from_putty(unquote(name), values)):
                yield one
            found = _PUTTY_KEY.fullmatch(line.strip())
            name, values = found[1] if found else "", {}
        elif match := _REG_VALUE.fullmatch(line.strip()):
            key, word, number = match.groups()
            values[key] = str(int(number, 16)) if number else re.sub(r"\\(.)", r"\1", word)


def from_session(name: str, text: str) -> Bookmark | None:
    """One file of ``~/.putty/sessions``."""
    pairs = (line.partition("=") for line in text.splitlines())
    return from_putty(unquote(name), {key: value for key, equals, value in pairs if equals})


def from_putty(name: str, values: Mapping[str, str]) -> Bookmark | None:
    """One session; None where it is no SSH to a host."""
    user, _, hostname = values.get("HostName", "").strip().rpartition("@")
    if values.get("Protocol", "ssh") != "ssh" or not hostname:
        return None
    tunnels = map(_PUTTY_TUNNEL.fullmatch, values.get("PortForwardings", "").split(","))
    ports, left_out = _forwards([one.groups("") for one in tunnels if one], hostname)
    proxy = values.get("ProxyHost", "") if values.get("ProxyMethod", "0") != "0" else ""
    return Bookmark(
        _name(name),
        one_line(hostname),
        one_line(user or values.get("UserName", "")) or None,
        _port(values.get("PortNumber", "")),
        values.get("PublicKeyFile", "").strip() or None,
        ports,
        one_line(proxy) or None,
        left_out,
    )


def _forwards(
    tunnels: Iterable[Sequence[str]], hostname: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ports of the host itself, and the other tunnels with the reason against each.

    A tunnel is what it is (L, R or D), where it begins, and where it leads.
    """
    ports, others = list[int](), list[str]()
    for kind, source, to in tunnels:
        host, _, port = to.rpartition(":")
        itself = host.strip("[]").lower() in {*_ITSELF, hostname.lower()}
        if kind == "L" and itself and (number := _port(port, 0)):
            ports.append(number)
        else:
            said = one_line(f"{kind}{source}={to}" if to else kind + source)
            others.append(f"{said} {_WHY_NOT[kind]}")
    return tuple(dict.fromkeys(ports)), tuple(others)


def from_mobaxterm(text: str) -> list[Bookmark]:
    """The bookmarks for SSH with their tunnels; a tunnel to a host without one makes one."""
    hosts = list[Bookmark]()
    tunnels = list[Bookmark]()
    for section, name, value in _ini(text):
        _, is_ssh, rest = value.partition(MOBAXTERM_SSH)
        if section.startswith("bookmarks") and is_ssh:
            hosts += _bookmark(name, rest.split("#", 1)[0].split("%"))
        elif section == "portforwarding" and (match := _MOBAXTERM_TUNNEL.fullmatch(value)):
            tunnels.append(_tunnel(match))
    for one in tunnels:
        at = next((n for n, host in enumerate(hosts) if _same(host, one)), None)
        if at is None:
            hosts.append(one)
        else:
            hosts[at] = _with(hosts[at], one)
    return hosts


def _ini(text: str) -> Iterator[tuple[str, str, str]]:
    """Each line with its section, in lower case."""
    section = ""
    for line in text.splitlines():
        if found := _SECTION.fullmatch(line.strip()):
            section = found[1].lower()
        name, equals, value = line.partition("=")
        if equals:
            yield section, name, value.strip()


def _tunnel(match: re.Match[str]) -> Bookmark:
    """The host that a tunnel of MobaXterm's goes to, and what it leads to there."""
    hostname = one_line(match["host"].strip().strip("[]"))
    to = "" if match["kind"] == "D" else match["to"]
    ports, left_out = _forwards([(match["kind"], match["source"], to)], hostname)
    key = (match["key"] or "").strip()
    return Bookmark(
        _name(hostname),
        hostname,
        one_line(match["user"] or "") or None,
        _port(match["port"]),
        None if key.lower() == _NO_KEY else _path(key),
        ports,
        left_out=left_out,
    )


def _same(one: Bookmark, other: Bookmark) -> bool:
    """Whether both go to one account of one host."""
    users = {one.user, other.user} - {None}
    return (one.hostname, one.port) == (other.hostname, other.port) and len(users) < 2  # noqa: PLR2004  one account


def _with(host: Bookmark, tunnel: Bookmark) -> Bookmark:
    return replace(
        host,
        user=host.user or tunnel.user,
        identity_file=host.identity_file or tunnel.identity_file,
        forwards=tuple(dict.fromkeys(host.forwards + tunnel.forwards)),
        left_out=host.left_out + tunnel.left_out,
    )


def _bookmark(name: str, fields: list[str]) -> Iterator[Bookmark]:
    """What a line says; nothing where it has no host, or no place for a user."""
    padded = [field.strip() for field in fields] + [""] * _KEY_FIELD
    user = padded[_USER_FIELD]
    if len(fields) > _USER_FIELD and padded[1]:
        yield Bookmark(
            _name(name),
            one_line(padded[1]),
            # [name] stands for saved credentials, <default> for whoever one is
            None if user[:1] in {"[", "<"} else one_line(user) or None,
            _port(padded[2]),
            _path(padded[_KEY_FIELD]),
            gateway=one_line(padded[_GATEWAY_FIELD].replace("__PIPE__", ", ")) or None,
        )


def _name(text: str) -> str:
    """A name as the config and the command line take it."""
    return re.sub(r"[^\w.-]+", "-", one_line(text)).strip("-") or "unnamed"


def _path(text: str) -> str | None:
    """MobaXterm writes its own drive in a word."""
    return text.replace("_CurrentDrive_:", "C:") or None


def _port(text: str, default: int = SSH_PORT) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    return number if 0 < number < 65536 else default  # noqa: PLR2004  TCP's range
