"""A name becomes a :class:`Host`: what the user's own ssh would do with it.

Where there is an ``ssh`` it is the judge: ``ssh -G`` knows Match, Include, tokens and the
system's files. Without one (some Windows) the files are read by :mod:`remotenb.ssh.reader`,
which also names the line that ssh complains of.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.errors import HostUnknown, KeyUnusable, SshConfigError, UsageError
from remotenb.ssh import reader
from remotenb.ssh.algorithms import NEWER, OLDER
from remotenb.ssh.options import host_of
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.model import Host
    from remotenb.ssh.reader import Options

MAX_JUMPS = 8
"""More hops than this is a loop."""
ASK_TIMEOUT_S = 20.0

_DESTINATION = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:@/\[\]]+)|"
    r"(?P<bare6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*))(?::(?P<port>\d{1,5}))?"
)


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

    Raises :class:`SshConfigError` that names the line, or :class:`HostUnknown`.
    """
    if _depth > MAX_JUMPS:
        raise _circle(destination)
    alias, its_user, its_port = parse_destination(destination)
    user, port = its_user or user, its_port or port
    if config_file is not None and (config_file.is_dir() or not config_file.exists()):
        raise SshConfigError(
            f"cannot read the ssh_config file {config_file}", hint="check the path after -F"
        )
    if identity_file is not None and not identity_file.expanduser().is_file():
        raise KeyUnusable(f"there is no key file {identity_file}", hint="check identity_file")
    ask = _ask_ssh if shutil.which("ssh") else reader.read
    options = ask(alias, user, port, config_file)
    jumps: tuple[Host, ...] = ()
    for hop in _hops(options):
        jump = resolve(hop, config_file=config_file, _depth=_depth + 1)
        # what leads to the first hop comes before it; the others are reached from their forerunner
        jumps = (*(jumps or jump.jumps), replace(jump, jumps=()))
    return host_of(name or destination, alias, options, jumps, identity_file)


def _ask_ssh(alias: str, user: str | None, port: int | None, config_file: Path | None) -> Options:
    argv = ["ssh", "-G"]
    argv += ["-F", str(config_file)] if config_file else []
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    asked = _run([*argv, "--", alias])  # "--" ends the options
    if asked.returncode != 0:
        raise _complaint(asked.stderr, alias, user, port, config_file)
    options: Options = {}
    for line in asked.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword.lower(), []).append(value)
    _with_what_ssh_does_not_know(options)
    return options


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  an argv, no shell
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_TIMEOUT_S,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise SshConfigError(
            f"{' '.join(argv[:2])} did not answer in {ASK_TIMEOUT_S:g} s",
            hint="a Match exec in ssh_config may hang",
        ) from None


def _with_what_ssh_does_not_know(options: Options) -> None:
    """An older ssh leaves out the newest key exchange, which nobody forbade."""
    names = _first(options, "kexalgorithms").split(",")
    if set(names) >= OLDER and NEWER not in names and not _program_has(NEWER):
        options["kexalgorithms"] = [",".join([*names, NEWER])]


def _program_has(name: str) -> bool:
    """Whether ssh knows that algorithm; asking it (-Q) would cost as much as -G did."""
    try:
        return name.encode() in Path(shutil.which("ssh") or os.devnull).read_bytes()
    except OSError:
        return True


def _complaint(
    said: str, alias: str, user: str | None, port: int | None, config_file: Path | None
) -> SshConfigError | HostUnknown:
    """Why ssh does not take the config: in our words, if we see it in the same line."""
    lines = [one_line(line) for line in said.splitlines() if line.strip()]
    text = next((line for line in lines if re.search(r"line [0-9]+", line)), (lines or [""])[0])
    if "Could not resolve" in text:
        return HostUnknown(f"{alias} is in none of the CanonicalDomains", hint="check ssh_config")
    if "jumphost loop" in text:
        return _circle(alias)
    try:
        reader.read(alias, user, port, config_file)
    except SshConfigError as error:
        theirs, ours = (re.findall(r"line ([0-9]+)", one) for one in (text, error.message))
        if not theirs or theirs == ours:
            return error
    except HostUnknown as error:
        return error
    return SshConfigError(text or "ssh -G failed", hint="mend that line of ssh_config")


def _hops(options: Options) -> Sequence[str]:
    jump = _first(options, "proxyjump", "none")
    return () if jump.lower() == "none" else [hop for hop in map(str.strip, jump.split(",")) if hop]


def _circle(name: str) -> SshConfigError:
    return SshConfigError(
        f"ProxyJump goes in a circle at {name}", hint="look at ProxyJump in ssh_config"
    )


def _first(options: Options, keyword: str, default: str = "") -> str:
    return options.get(keyword, [default])[0] or default
