"""A ProxyCommand in the place of the TCP connection.

paramiko's own selects on pipes and splits the line as a POSIX shell would, neither of which works
on Windows; here two threads copy between the command's pipes and one socket of a pair.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from paramiko import SSHException

from remotenb.errors import HostUnreachable, UsageError
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.model import Host

logger = logging.getLogger(__name__)

BLOCK = 1 << 16
END_TIMEOUT_S = 2.0
_UNSAFE = re.compile(r"""[\s'"`$\\;&<>|(){}]|^-""")
"""What OpenSSH refuses in a name that becomes part of a command line."""


class Piped(socket.socket):
    """Our end of what a command carries, and how the command fares."""

    over = False
    """The command says nothing more."""
    cut = False
    """It was ended by us."""

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Begin to listen to what it complains of."""
        self._process = process
        self._said = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def failure(self, host: Host) -> HostUnreachable:
        """Why no SSH came through it: how it ended, or that it says nothing."""
        hint = f"does it work by itself? ssh {host.name}"
        self._listener.join(2 * END_TIMEOUT_S)
        code = None if self.cut else _ended(self._process)
        if code is None:
            words = f"said nothing in {host.connect_timeout:g} s"
            return HostUnreachable(f"the ProxyCommand of {host.name} {words}", hint=hint)
        last = self._said or "it said no more"
        return HostUnreachable(
            f"the ProxyCommand of {host.name} ended (exit code {code}): {last}", hint=hint
        )

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  it is a pipe
        with self._process.stderr as err:
            for line in err:
                self._said = one_line(line.decode("utf-8", "replace"), 200) or self._said
                logger.info("ProxyCommand: %s", self._said)


def connect(host: Host) -> Piped:
    """A socket that ``host``'s ProxyCommand carries; closing it ends the command.

    Raises :class:`HostUnreachable` when it cannot be run.
    """
    command = expanded(str(host.proxy_command), host)
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command, run as ssh runs it
            _argv(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=_flags(),
        )
    except OSError as error:
        raise HostUnreachable(
            f"the ProxyCommand cannot be started: {one_line(str(error))}",
            hint="mend ProxyCommand in ssh_config",
        ) from None
    near, theirs = socket.socketpair()
    ours = Piped(fileno=near.detach())
    ours.watch(process)
    threading.Thread(target=_down, args=(process, theirs, ours), daemon=True).start()
    threading.Thread(target=_up, args=(process, theirs, ours), daemon=True).start()
    return ours


@contextmanager
def reported(piped: Piped | None, host: Host) -> Iterator[None]:
    """Inside it, a banner that does not come is told as what became of the command."""
    try:
        yield
    except SSHException as error:
        if piped is None or "banner" not in str(error).lower():
            raise
        raise piped.failure(host) from error


def expanded(command: str, host: Host) -> str:
    """``command`` with OpenSSH's tokens replaced; raises :class:`UsageError` for unsafe names."""
    tokens = {"%": "%", "h": host.hostname, "p": str(host.port), "r": host.user}
    tokens["n"] = host.alias or host.name
    for letter in re.findall(r"%(.)", command):
        if letter in "hrn" and _UNSAFE.search(tokens[letter]):
            raise UsageError(
                f"not a name for a ProxyCommand: {tokens[letter]!r}",
                hint="a shell would read more into it; give that host another name in ssh_config",
            )
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), command)


def _argv(command: str) -> str | list[str]:
    """By the shell, as ssh does; Windows' programs split their command line themselves."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    return command if sys.platform == "win32" else [shell, "-c", f"exec {command}"]


def _flags() -> int:
    """A session in the background has no console: one of the command's own would pop up."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        if not ctypes.windll.kernel32.GetConsoleWindow():
            return subprocess.CREATE_NO_WINDOW
    return 0


def _down(process: subprocess.Popen[bytes], sock: socket.socket, ours: Piped) -> None:
    assert process.stdout is not None  # noqa: S101  it is a pipe
    with suppress(OSError), process.stdout as out:
        while data := os.read(out.fileno(), BLOCK):
            sock.sendall(data)
    ours.over = True
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def _up(process: subprocess.Popen[bytes], sock: socket.socket, ours: Piped) -> None:
    """Until the link is closed; then the command is ended, if it does not end by itself."""
    assert process.stdin is not None  # noqa: S101  it is a pipe
    with suppress(OSError), process.stdin as into:
        while data := sock.recv(BLOCK):
            into.write(data)
            into.flush()
    ours.cut = ours.fileno() < 0 and not ours.over
    if ours.cut:
        process.terminate()
    if _ended(process) is None:
        process.kill()
        process.wait()
    sock.close()


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit code; None where it goes on."""
    try:
        return process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
