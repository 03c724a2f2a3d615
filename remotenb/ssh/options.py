"""From what ssh_config says of a host to a :class:`Host`: tokens, files, times, switches."""

from __future__ import annotations

import os
import re
from getpass import getuser
from pathlib import Path
from typing import Literal

from remotenb.errors import SshConfigError
from remotenb.model import Host
from remotenb.ssh import tokens
from remotenb.ssh.keywords import TIME
from remotenb.ssh.reader import Options, system_folder, token_values

_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def host_of(
    name: str, alias: str, options: Options, jumps: tuple[Host, ...], identity_file: Path | None
) -> Host:
    """The host that ``options`` tell of; ``alias`` is what ssh would have been asked for.

    Raises :class:`SshConfigError`.
    """
    says = _Says(alias, options)
    home_keys = tuple(Path("~/.ssh").expanduser() / key for key in _KEYS)
    identities = says.files("identityfile") or home_keys
    user_files = says.files("userknownhostsfile")
    if not user_files and "userknownhostsfile" not in options:
        user_files = tuple(Path(f"~/.ssh/known_hosts{n}").expanduser() for n in ("", "2"))
    global_files = tuple(system_folder() / f"ssh_known_hosts{n}" for n in ("", "2"))
    proxy = says.unless_none("proxycommand")
    if proxy and says.yes("proxyusefdpass"):
        raise SshConfigError(
            f"ProxyUseFdpass is not possible here ({name})",
            hint="remotenb talks to a ProxyCommand by its stdin and stdout",
        )
    return Host(
        name=name,
        alias=alias,
        hostname=says.first("hostname", alias),
        user=says.user,
        port=int(says.first("port", "22")),
        identity_files=(identity_file.expanduser(), *identities) if identity_file else identities,
        certificate_files=says.files("certificatefile"),
        identities_only=says.yes("identitiesonly"),
        identity_agent=says.agent(),
        # a known_hosts of /dev/null means "do not bother me": a file of our own serves then
        user_known_hosts=user_files or (own_known_hosts(),),
        global_known_hosts=says.files("globalknownhostsfile") or global_files,
        known_hosts_command=says.unless_none("knownhostscommand"),
        revoked_host_keys=next(iter(says.files("revokedhostkeys")), None),
        strict_host_key=_strict(says.first("stricthostkeychecking", "ask")),
        hash_known_hosts=says.yes("hashknownhosts"),
        host_key_alias=says.unless_none("hostkeyalias"),
        connect_timeout=_seconds(says.first("connecttimeout", "none")) or 10.0,
        jumps=jumps,
        proxy_command=proxy,
        auth_methods=says.auth_methods(),
        password_prompts=says.prompts(),
        batch_mode=says.yes("batchmode"),
        address_family=_family(says.first("addressfamily", "any")),
        bind_address=says.unless_none("bindaddress"),
        bind_interface=says.unless_none("bindinterface"),
        compression=says.yes("compression"),
        ciphers=says.first("ciphers"),
        macs=says.first("macs"),
        kex_algorithms=says.first("kexalgorithms"),
        host_key_algorithms=says.first("hostkeyalgorithms"),
        public_key_algorithms=says.first("pubkeyacceptedalgorithms")
        or says.first("pubkeyacceptedkeytypes"),
        token_library=says.unless_none("pkcs11provider"),
    )


class _Says:
    """What the options say, keyword by keyword."""

    def __init__(self, alias: str, options: Options) -> None:
        self._options = options
        self._alias = alias

    @property
    def user(self) -> str:
        """The account over there."""
        return self.first("user") or getuser()

    def first(self, keyword: str, default: str = "") -> str:
        """The first value, without quotes."""
        value = self._options.get(keyword, [default])[0] or default
        return value[1:-1] if re.fullmatch(r'"[^"]*"', value) else value

    def unless_none(self, keyword: str) -> str | None:
        """The first value; None for none."""
        value = self.first(keyword, "none")
        return None if value.lower() == "none" else value

    def yes(self, keyword: str) -> bool:
        """A switch that is off unless said otherwise."""
        return self.first(keyword, "no").lower() in {"yes", "true"}

    def files(self, keyword: str) -> tuple[Path, ...]:
        """The files after a keyword, whose value may be several lines or several words."""
        words = [word for value in self._options.get(keyword, []) for word in split_files(value)]
        kept = [w for w in words if w.lower() != "none" and w not in {"/dev/null", os.devnull}]
        return tuple(self._path(word, keyword) for word in kept)

    def agent(self) -> str | None:
        """``none``, a socket, or None for the environment's own; as ssh has it, in three ways."""
        text = self.first("identityagent")
        if text in {"", "SSH_AUTH_SOCK"}:
            return None
        if text.lower() == "none":
            return "none"
        if text.startswith("$") and not text.startswith("${"):
            return os.environ.get(text[1:], "none")
        return str(self._path(text, "identityagent"))

    def _path(self, word: str, keyword: str) -> Path:
        word = tokens.with_environment(word, os.environ, keyword)
        if "%" in word:
            word = tokens.expand(word, self._tokens(), keyword)
        return Path(word).expanduser()

    def _tokens(self) -> dict[str, str]:
        return token_values(
            alias=self._alias,
            hostname=self.first("hostname", self._alias),
            user=self.user,
            port=self.first("port", "22"),
            key_alias=self.first("hostkeyalias"),
        )

    def auth_methods(self) -> tuple[str, ...]:
        """The user's order of what is switched on."""
        switches = {
            "publickey": "pubkeyauthentication",  # also unbound and host-bound, which are on too
            "keyboard-interactive": "kbdinteractiveauthentication",
            "password": "passwordauthentication",
        }
        preferred = self.first("preferredauthentications", ",".join(switches)).lower().split(",")
        return tuple(
            one
            for one in preferred
            if one in switches and self.first(switches[one], "yes").lower() not in {"no", "false"}
        )

    def prompts(self) -> int:
        """How often a password is asked for."""
        text = self.first("numberofpasswordprompts", "3")
        return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 3


def _seconds(text: str) -> float | None:
    """OpenSSH's time: seconds, or numbers with units, as 1m30s; None for none."""
    if not TIME.fullmatch(text):
        return None
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
    parts = re.findall(r"([0-9]+)([smhdw]?)", text.lower())
    return float(sum(int(number) * units[unit] for number, unit in parts)) or None


_BEGINS_A_FILE = re.compile(r"[/~%$\\]|[a-z]:[/\\]|__|none$", re.IGNORECASE)
"""The last but one is Windows' ``__PROGRAMDATA__``."""


def split_files(value: str) -> list[str]:
    """``ssh -G`` prints lists without quotes: what begins no path is more of the one before it."""
    if '"' in value:
        return [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', value)]
    if " " in value and Path(value).expanduser().exists():
        return [value]
    files: list[str] = []
    for word in value.split(" "):
        if files and _BEGINS_A_FILE.match(files[-1]) and not _BEGINS_A_FILE.match(word):
            files[-1] += f" {word}"
        else:
            files.append(word)
    return [file.strip() for file in files if file.strip()]


def own_known_hosts() -> Path:
    """Our own known_hosts, for those whose ssh_config keeps none."""
    from platformdirs import user_state_path  # noqa: PLC0415  rarely needed

    return user_state_path("remotenb", appauthor=False) / "known_hosts"


def _strict(value: str) -> Literal["yes", "ask", "accept-new"]:
    """``no`` and ``off`` act as ``accept-new``: a key that changed is refused, always."""
    match value.lower():
        case "yes" | "true":
            return "yes"
        case "no" | "off" | "false" | "accept-new":
            return "accept-new"
        case _:
            return "ask"


def _family(value: str) -> Literal["any", "inet", "inet6"]:
    match value.lower():
        case "inet":
            return "inet"
        case "inet6":
            return "inet6"
        case _:
            return "any"
