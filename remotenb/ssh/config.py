"""A name becomes a :class:`Host`: what the user's own ssh would do with it.

Where there is an ``ssh`` it is the judge: ``ssh -G`` knows Match, Include, tokens and the
system's files. Without one (some Windows) paramiko reads the file, and Include is expanded here.
"""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from remotenb.errors import KeyUnusable, SshConfigError, UsageError
from remotenb.model import Host
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_JUMPS = 8
"""More hops than this is a loop."""

Options = dict[str, list[str]]
"""Keywords in lower case, each with its values in order, as ``ssh -G`` prints them."""

_DESTINATION = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:@/\[\]]+)|"
    r"(?P<bare6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*))(?::(?P<port>\d{1,5}))?"
)
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def parse_destination(text: str) -> tuple[str, str | None, int | None]:
    """``[user@]host[:port]`` in its parts; raises :class:`UsageError`.

    >>> parse_destination("alice@10.0.0.5:2222")
    ('10.0.0.5', 'alice', 2222)
    >>> parse_destination("[::1]:22")
    ('::1', None, 22)
    """
    match = _DESTINATION.fullmatch(text.removeprefix("ssh://"))
    name = match and (match["v6"] or match["bare6"] or match["name"])
    if not match or not name or name.startswith("-") or (match["user"] or "").startswith("-"):
        raise UsageError(f"not a host: {text!r}", hint="say [user@]host[:port], or a name")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:  # noqa: PLR2004  TCP's range
        raise UsageError(f"not a port: {port}", hint="ports are 1 to 65535")
    return name, match["user"], port


def resolve(  # noqa: PLR0913  the same few words that ssh takes
    destination: str,
    *,
    name: str | None = None,
    user: str | None = None,
    port: int | None = None,
    identity_file: Path | None = None,
    config_file: Path | None = None,
    _depth: int = 0,
) -> Host:
    """The host that ``destination`` means; ``user`` and ``port`` in it win over the arguments.

    Raises :class:`SshConfigError` with ssh's own words when the config cannot be read.
    """
    if _depth > MAX_JUMPS:
        raise SshConfigError(
            f"ProxyJump goes in a circle at {destination}", hint="look at ProxyJump in ssh_config"
        )
    alias, its_user, its_port = parse_destination(destination)
    user, port = its_user or user, its_port or port
    if config_file is not None and (config_file.is_dir() or not config_file.exists()):
        raise SshConfigError(
            f"cannot read the ssh_config file {config_file}", hint="check the path after -F"
        )
    if identity_file is not None and not identity_file.expanduser().is_file():
        raise KeyUnusable(f"there is no key file {identity_file}", hint="check identity_file")
    asked = _ask_ssh if shutil.which("ssh") else _ask_paramiko
    options = asked(alias, user, port, config_file)
    jumps: tuple[Host, ...] = ()
    for hop in _hops(options, alias, _depth):
        jump = resolve(hop, config_file=config_file, _depth=_depth + 1)
        # what leads to the first hop comes before it; the others are reached from their forerunner
        jumps = (*(jumps or jump.jumps), replace(jump, jumps=()))
    return _host(name or destination, options, jumps, identity_file)


def _ask_ssh(alias: str, user: str | None, port: int | None, config_file: Path | None) -> Options:
    argv = ["ssh", "-G"]
    argv += ["-F", str(config_file)] if config_file else []
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    try:
        asked = subprocess.run(  # noqa: S603  an argv, no shell; "--" ends the options
            [*argv, "--", alias],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise SshConfigError(
            "ssh -G did not answer in 20 s", hint="a Match exec in ssh_config may hang"
        ) from None
    if asked.returncode != 0:
        raise SshConfigError(one_line(asked.stderr) or "ssh -G failed", hint="ssh_config is wrong")
    options: Options = {}
    for line in asked.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword.lower(), []).append(value)
    return options


def _ask_paramiko(
    alias: str, user: str | None, port: int | None, config_file: Path | None
) -> Options:
    from paramiko import SSHConfig  # noqa: PLC0415  only where there is no ssh
    from paramiko.ssh_exception import ConfigParseError  # noqa: PLC0415

    file = config_file or Path("~/.ssh/config").expanduser()
    text = "\n".join(_with_includes(file, 0)) if file.is_file() else ""
    try:
        found: Mapping[str, str | list[str]] = SSHConfig.from_text(text).lookup(alias)
    except ConfigParseError as error:
        raise SshConfigError(
            f"{file}: {one_line(str(error))}", hint="mend that line of ssh_config"
        ) from None
    options = {k: v if isinstance(v, list) else [v] for k, v in found.items()}
    if user:
        options["user"] = [user]
    if port:
        options["port"] = [str(port)]
    return options


def _with_includes(file: Path, depth: int) -> list[str]:
    """The lines of ``file`` with each Include replaced by what it names; 16 levels, as ssh."""
    if depth > 16:  # noqa: PLR2004  OpenSSH's READCONF_MAX_DEPTH
        raise SshConfigError(f"too many levels of Include at {file}", hint="look for a circle")
    lines: list[str] = []
    block = "Host *"
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.replace("=", " ", 1).split()
        if not words or words[0].lower() != "include":
            lines.append(line)
            block = line if words and words[0].lower() in {"host", "match"} else block
            continue
        for pattern in words[1:]:
            where = Path("~/.ssh").expanduser() / Path(pattern.strip('"')).expanduser()
            for found in sorted(glob.glob(str(where))):  # noqa: PTH207  an absolute pattern
                lines += _with_includes(Path(found), depth + 1)
        lines.append(block)  # the included file's own blocks end with it
    return lines


def aliases(file: Path) -> list[str]:
    """The names that ``file`` has a Host block for, and what it includes; no patterns."""
    lines = _with_includes(file, 0) if file.is_file() else []
    words = [line.replace("=", " ", 1).split() for line in lines]
    named = [name for line in words if line and line[0].lower() == "host" for name in line[1:]]
    return [name.strip('"') for name in named if not set(name) & set("*?!")]


def _hops(options: Options, alias: str, depth: int) -> Sequence[str]:
    jump = _first(options, "proxyjump", "none")
    if jump.lower() == "none":
        return ()
    hops = [hop.strip() for hop in jump.split(",") if hop.strip()]
    # a jump host that a "Host *" block sends through itself
    return [] if depth and hops == [alias] else hops


def _first(options: Options, keyword: str, default: str = "") -> str:
    return options.get(keyword, [default])[0] or default


def _files(options: Options, keyword: str) -> tuple[Path, ...]:
    """The files after a keyword, whose value may be several lines or several words."""
    words = [word for value in options.get(keyword, []) for word in _split_files(value)]
    words = [_expanded(w, options) for w in words if w.lower() != "none" and w != "/dev/null"]
    return tuple(Path(word).expanduser() for word in words)


def _expanded(word: str, options: Options) -> str:
    """OpenSSH's tokens in a file's name, which ``ssh -G`` leaves as they are."""
    tokens = {
        "%": "%",
        "d": str(Path.home()),
        "h": _first(options, "hostname"),
        "k": _first(options, "hostkeyalias") or _first(options, "hostname"),
        "p": _first(options, "port", "22"),
        "r": _first(options, "user"),
        "u": getuser(),
    }
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), word)


def _seconds(text: str) -> float | None:
    """OpenSSH's time: seconds, or numbers with units, as 1m30s; None for none."""
    if not re.fullmatch(r"([0-9]{1,6}[smhdw]?)+", text.lower()):
        return None
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
    parts = re.findall(r"([0-9]+)([smhdw]?)", text.lower())
    return float(sum(int(number) * units[unit] for number, unit in parts)) or None


def _yes(options: Options, keyword: str) -> bool:
    return _first(options, keyword, "no").lower() in {"yes", "true"}


def _port(options: Options) -> int:
    text = _first(options, "port", "22")
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:  # noqa: PLR2004  TCP's range
        raise SshConfigError(f"ssh_config: not a port: {text}", hint="mend Port in ssh_config")
    return int(text)


def _split_files(value: str) -> list[str]:
    """``ssh -G`` prints lists without quotes: keep a path with a space when it is one file."""
    if '"' in value:
        return [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', value)]
    return [value] if " " in value and Path(value).expanduser().exists() else value.split()


def _host(name: str, options: Options, jumps: tuple[Host, ...], identity_file: Path | None) -> Host:
    home_keys = tuple(Path("~/.ssh").expanduser() / key for key in _KEYS)
    identities = _files(options, "identityfile") or home_keys
    user_files = _files(options, "userknownhostsfile")
    if not user_files and "userknownhostsfile" not in options:
        user_files = (Path("~/.ssh/known_hosts").expanduser(),)
    global_files = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
    timeout = _first(options, "connecttimeout", "none")
    proxy = _first(options, "proxycommand", "none")
    alias = _first(options, "hostkeyalias", "none")
    agent = _first(options, "identityagent")
    return Host(
        name=name,
        hostname=_first(options, "hostname", name),
        user=_first(options, "user") or getuser(),
        port=_port(options),
        identity_files=(identity_file.expanduser(), *identities) if identity_file else identities,
        certificate_files=_files(options, "certificatefile"),
        identities_only=_yes(options, "identitiesonly"),
        identity_agent=agent or None,
        # a known_hosts of /dev/null means "do not bother me": a file of our own serves then
        user_known_hosts=user_files or (own_known_hosts(),),
        global_known_hosts=_files(options, "globalknownhostsfile") or global_files,
        strict_host_key=_strict(_first(options, "stricthostkeychecking", "ask")),
        hash_known_hosts=_yes(options, "hashknownhosts"),
        host_key_alias=None if alias.lower() == "none" else alias,
        connect_timeout=_seconds(timeout) or 10.0,
        jumps=jumps,
        proxy_command=None if proxy.lower() == "none" else proxy,
        auth_methods=_auth_methods(options),
        password_prompts=_prompts(options),
        batch_mode=_yes(options, "batchmode"),
    )


def _auth_methods(options: Options) -> tuple[str, ...]:
    """The user's order of what is switched on."""
    switches = {
        "publickey": "pubkeyauthentication",  # also unbound and host-bound, which are on too
        "keyboard-interactive": "kbdinteractiveauthentication",
        "password": "passwordauthentication",
    }
    preferred = _first(options, "preferredauthentications", ",".join(switches)).lower().split(",")
    return tuple(
        one
        for one in preferred
        if one in switches and _first(options, switches[one], "yes").lower() not in {"no", "false"}
    )


def _prompts(options: Options) -> int:
    text = _first(options, "numberofpasswordprompts", "3")
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 3


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
