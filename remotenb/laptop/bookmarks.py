r"""Hosts that PuTTY and MobaXterm have saved, out of their text. Pure.

PuTTY: a file for each session (``key=value``), or the registry's export. MobaXterm: the sections
``[Bookmarks…]`` of MobaXterm.ini or an .mxtsessions file; ``name=#109#0%host%port%user%…`` is SSH.
Passwords that they may have saved are not looked at. How MobaXterm writes down its tunnels is
published nowhere: they are counted, so that it can be said that they stay behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SSH_PORT = 22
MOBAXTERM_SSH = "#109#"
_KEY_FIELD, _GATEWAY_FIELD, _USER_FIELD = 14, 8, 3
_SECTION = re.compile(r"\[(.+)\]")
_PUTTY_KEY = re.compile(r"(?i)\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions\\(.+)\]")
_REG_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"=(?:"((?:[^"\\]|\\.)*)"|dword:([0-9a-fA-F]{1,8}))')
_FORWARD = re.compile(r"4?6?L(?:[^=:,]*:)?\d+=(?:localhost|127\.0\.0\.1|\[::1\]):(\d+)")
_ANY_FORWARD = re.compile(r"4?6?(?P<kind>[LRD])(?P<from>[^=,]*)(?:=(?P<to>[^,]*))?")
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
    """Ports of the host's loopback that a tunnel led to."""
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
    return list(from_mobaxterm(text))


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
    ports, left_out = _forwards(values.get("PortForwardings", ""))
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


def _forwards(text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ports of the host's own loopback, and the other tunnels with the reason against each."""
    ports, others = list[int](), list[str]()
    for one in filter(None, text.split(",")):
        found = _FORWARD.fullmatch(one)
        if found and 0 < int(found[1]) < 65536:  # noqa: PLR2004  TCP's
            ports.append(int(found[1]))
        elif kind := _ANY_FORWARD.fullmatch(one):
            others.append(f"{one_line(one.rstrip('='))} {_WHY_NOT[kind['kind']]}")
    return tuple(dict.fromkeys(ports)), tuple(others)


def from_mobaxterm(text: str) -> Iterator[Bookmark]:
    """The bookmarks for SSH."""
    section = ""
    for line in text.splitlines():
        if found := _SECTION.fullmatch(line.strip()):
            section = found[1]
        name, _, value = line.partition("=")
        _, is_ssh, rest = value.strip().partition(MOBAXTERM_SSH)
        if section.lower().startswith("bookmarks") and is_ssh:
            fields = rest.split("#", 1)[0].split("%")
            if len(fields) > _USER_FIELD and fields[1].strip():
                yield _bookmark(name, fields)


def tunnels_of_mobaxterm(text: str) -> int:
    """How many of MobaXterm's tunnels are in its file."""
    section, count = "", 0
    for line in text.splitlines():
        if found := _SECTION.fullmatch(line.strip()):
            section = found[1].lower()
        elif "tunnel" in section and "=" in line:
            count += 1
    return count


def _bookmark(name: str, fields: list[str]) -> Bookmark:
    padded = [field.strip() for field in fields] + [""] * _KEY_FIELD
    user = padded[_USER_FIELD]
    return Bookmark(
        _name(name),
        one_line(padded[1]),
        # [name] stands for saved credentials, <default> for whoever one is
        None if user[:1] in {"[", "<"} else one_line(user) or None,
        _port(padded[2]),
        padded[_KEY_FIELD].replace("_CurrentDrive_:", "C:") or None,
        gateway=one_line(padded[_GATEWAY_FIELD].replace("__PIPE__", ", ")) or None,
    )


def _name(text: str) -> str:
    """A name as the config and the command line take it."""
    return re.sub(r"[^\w.-]+", "-", one_line(text)).strip("-") or "unnamed"


def _port(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    return number if 0 < number < 65536 else SSH_PORT  # noqa: PLR2004  TCP's range
