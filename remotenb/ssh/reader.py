"""ssh_config read as OpenSSH reads it, for a laptop that has no ``ssh`` to ask.

What it knows: Host; Match with all, canonical, final, exec, host, originalhost, user, localuser;
Include; CanonicalizeHostname with its domains; the second pass that these want. The first value
counts. What only ssh can judge (Match localnetwork, tagged) is an error that names the line.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import socket
import subprocess
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.errors import HostUnknown, SshConfigError
from remotenb.ssh import keywords, tokens
from remotenb.ssh.keywords import Line, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Options = dict[str, list[str]]
"""Keywords in lower case, each with its values in order, as ``ssh -G`` prints them."""

MAX_DEPTH = 16
"""Of Include, as OpenSSH's."""
EXEC_TIMEOUT_S = 20.0
FILE_LIMIT = 1 << 20
_MANY = {"certificatefile", "identityfile"}
"""Each line adds one more."""
_PROXIES = {"proxycommand", "proxyjump"}
"""Whichever comes first is the only one, but for a ProxyJump of none."""
_CRITERION = re.compile(r'\s*(?:"([^"]*)"|([^\s="]+)\s*=?)\s*')


def read(alias: str, user: str | None, port: int | None, file: Path | None) -> Options:
    """What ``file``, or the user's and the system's, say of ``alias``.

    Raises :class:`SshConfigError` with the line, or :class:`HostUnknown`.
    """
    found = _Pass(alias, alias, {})
    found.options |= {"user": [user]} if user else {}
    found.options |= {"port": [str(port)]} if port else {}
    files = [file] if file else [Path("~/.ssh/config").expanduser(), system_folder() / "ssh_config"]
    found.over(files)
    hostname = tokens.expand(found.first("hostname", alias), {"h": alias}, "hostname")
    mode = found.first("canonicalizehostname", "no").lower()
    if mode in {"yes", "true", "always"}:
        hostname = _canonical(hostname, found, even_behind_others=mode == "always")
    found.options["hostname"] = [hostname]
    if found.wants_another or mode not in {"no", "false"}:
        _Pass(hostname, alias, found.options, last=True).over(files)
    return found.options


def system_folder() -> Path:
    """Where the system keeps its ssh_config."""
    data = os.environ.get("PROGRAMDATA", "C:\\ProgramData")
    return Path(data) / "ssh" if os.name == "nt" else Path("/etc/ssh")


def aliases(file: Path) -> list[str]:
    """The names that ``file`` has a Host block for, and what it includes; no patterns."""
    names, files = list[str](), [file]
    for one in files:  # which grows
        for line in _lines(one, 0, lenient=True):
            if line.keyword == "host":
                names += [word for word in line.words if not set(word) & set("*?!")]
            elif line.keyword == "include":
                files += [more for more in _included(line) if more not in files]
    return names


def _lines(file: Path, depth: int, *, lenient: bool = False) -> Iterator[Line]:
    """What ``file`` says; a line that is wrong is an error, or with ``lenient`` passed over."""
    if depth > MAX_DEPTH:
        raise SshConfigError(
            f"too many levels of Include at {file}", hint="does it include itself?"
        )
    try:
        with file.open("rb") as stream:
            text = stream.read(FILE_LIMIT).decode("utf-8-sig", "replace")
    except (FileNotFoundError, IsADirectoryError):  # passed over, as by ssh
        return
    except OSError as error:
        raise SshConfigError(
            f"cannot read {file}: {error.strerror}", hint="may you read it, and is it a file?"
        ) from None
    ignored: list[str] = []
    for number, content in enumerate(text.split("\n"), 1):
        try:
            line = keywords.parse(file, number, content, ignored)
        except SshConfigError:
            if not lenient:
                raise
            continue
        if line is not None:
            ignored += line.words[0].split(",") if line.keyword == "ignoreunknown" else []
            yield line


def _included(line: Line) -> list[Path]:
    """The files that an Include names; relative ones are beside the user's config."""
    home = Path("~/.ssh").expanduser()
    within = system_folder() if system_folder() in line.file.parents else home
    paths = [within / Path(word).expanduser() for word in line.words]
    return [Path(one) for path in paths for one in sorted(glob.glob(str(path)))]  # noqa: PTH207  an absolute pattern


class _Pass:
    """One reading of all files, for one name of the host."""

    def __init__(self, host: str, original: str, options: Options, *, last: bool = False) -> None:
        self.options = options
        self.wants_another = False
        """There is a Match final."""
        self._host = host
        self._original = original
        self._last = last

    def over(self, files: list[Path]) -> None:
        """Read them, the first one's values first."""
        for file in files:
            self._read(file, 0, active=True)

    def first(self, keyword: str, default: str = "") -> str:
        """The value of ``keyword`` up to here."""
        return self.options.get(keyword, [default])[0]

    def _read(self, file: Path, depth: int, *, active: bool, never: bool = False) -> None:
        for line in _lines(file, depth):
            if line.keyword == "host":
                active = not never and matches(self._host, line.words)
            elif line.keyword == "match":
                active = self._matches(line) and not never  # final counts in any case, as for ssh
            elif line.keyword == "include":
                for one in _included(line):
                    self._read(one, depth + 1, active=active, never=never or not active)
            elif active and not line.unset:
                self._take(line)

    def _take(self, line: Line) -> None:
        keyword, there = line.keyword, self.options
        if keyword in _MANY:
            values = there.setdefault(keyword, [])
            values += [line.value] if line.value not in values else []
        elif keyword not in there and not (keyword in _PROXIES and self._has_proxy()):
            there[keyword] = [line.value]

    def _has_proxy(self) -> bool:
        """Whether one is named already; a ProxyJump of none is none."""
        jump = self.first("proxyjump")
        return "proxycommand" in self.options or (jump != "" and jump.lower() != "none")

    def _matches(self, line: Line) -> bool:
        """Whether every criterion of a Match holds; exec is not run after one that does not."""
        words = [a or b for a, b in _CRITERION.findall(line.rest)]
        words = words[: next((n for n, one in enumerate(words) if one[:1] == "#"), None)]
        holds, alone = True, 0
        while words:
            word = words.pop(0).lower()
            name, wanted = word.removeprefix("!"), word[:1] != "!"
            if name == "all":
                if alone > 1 or words:
                    raise line.wrong("Match all stands alone")
                return holds and wanted
            alone += 1
            if name in {"final", "canonical"}:
                self.wants_another |= name == "final"
                holds &= self._last is wanted
                continue
            if name not in _CRITERIA:
                raise line.wrong(f"Match {name} is not known here", "an ssh of the laptop's is")
            if not words:
                raise line.wrong(f"Match {name} has no value")
            value = words.pop(0)
            holds = holds and _CRITERIA[name](self, value) is wanted
        if not alone:
            raise line.wrong("Match has no criterion")
        return holds

    def _hostname(self) -> str:
        """What the host is called so far."""
        if self._last or "hostname" not in self.options:
            return self.first("hostname", self._host)
        return tokens.expand(self.first("hostname"), {"h": self._host}, "hostname")

    def _succeeds(self, command: str) -> bool:
        """Run a Match exec by the shell, as ssh does."""
        command = tokens.expand(command, self._tokens(), "match exec")
        try:
            done = subprocess.run(  # noqa: S602  the user's own command, run as ssh runs it
                command,
                shell=True,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=EXEC_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise SshConfigError(
                f"a Match exec did not end in {EXEC_TIMEOUT_S:g} s", hint="mend it in ssh_config"
            ) from None
        return done.returncode == 0

    def _tokens(self) -> dict[str, str]:
        return token_values(
            alias=self._original,
            hostname=self._hostname(),
            user=self.first("user", getuser()),
            port=self.first("port", "22"),
            key_alias=self.first("hostkeyalias"),
        )


_CRITERIA: dict[str, Callable[[_Pass, str], bool]] = {
    "host": lambda one, value: _named(one._hostname(), value),  # noqa: SLF001  its own table
    "originalhost": lambda one, value: _named(one._original, value),  # noqa: SLF001
    "user": lambda one, value: matches(one.first("user", getuser()), value.split(",")),
    "localuser": lambda _one, value: matches(getuser(), value.split(",")),
    "exec": lambda one, value: one._succeeds(value),  # noqa: SLF001
}


def _named(host: str, patterns: str) -> bool:
    return matches(host.lower(), patterns.lower().split(","))


def token_values(  # noqa: PLR0913  all by name
    *, alias: str, hostname: str, user: str, port: str, key_alias: str = "", jump: str = ""
) -> dict[str, str]:
    """What OpenSSH's tokens mean for one connection."""
    laptop = socket.gethostname()
    return {
        "C": tokens.connection(laptop=laptop, hostname=hostname, port=port, user=user, jump=jump),
        "d": str(Path.home()),
        "h": hostname,
        "i": str(getattr(os, "getuid", lambda: 0)()),
        "j": jump,
        "k": key_alias or alias,
        "L": laptop.partition(".")[0],
        "l": laptop,
        "n": alias,
        "p": port,
        "r": user,
        "u": getuser(),
    }


def _canonical(host: str, found: _Pass, *, even_behind_others: bool) -> str:
    """``host`` with the first of CanonicalDomains in which it resolves."""
    behind = any(found.first(one, "none").lower() != "none" for one in _PROXIES)
    dots = int(found.first("canonicalizemaxdots", "1"))
    if (behind and not even_behind_others) or host.count(".") > dots or _is_address(host):
        return host
    domains = found.first("canonicaldomains").split()
    for domain in domains if domains != ["none"] else ():
        full = f"{host}.{domain.strip('.')}".lower()
        try:
            socket.getaddrinfo(f"{full}.", None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        return full
    if found.first("canonicalizefallbacklocal", "yes").lower() in {"no", "false"}:
        raise HostUnknown(
            f"{host} is in none of the CanonicalDomains", hint="check them in ssh_config"
        )
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
