"""The one SSH connection that everything rides on.

fabric makes it (and its chain of jump hosts); the socket, the transport, the host-key policy
and the login are ours. A :class:`Link` runs scripts and opens channels; it knows nothing of
engines, containers or Jupyter.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Self

from fabric import Config, Connection
from paramiko import SSHClient, SSHConfig

from remotenb.errors import FarSideError, LinkLost, ScriptFailed, ShellUnusable, SshConfigError
from remotenb.laptop.credentials import Credentials
from remotenb.ssh import proxy, refusal, shell
from remotenb.ssh.dial import dial
from remotenb.ssh.failures import reported
from remotenb.ssh.hostkeys import HostKeyPolicy, KnownHosts
from remotenb.ssh.login import Login
from remotenb.ssh.process import OUTPUT_LIMIT, talk
from remotenb.ssh.remembered import Remembered, SessionHostKeys
from remotenb.ssh.sessions import Sessions, exec_at_once
from remotenb.ssh.transport import Transport
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from paramiko import Channel

    from remotenb.model import Host

SUDO: tuple[str, ...] = ("sudo", "-n")
"""How sudo is called where it needs no password."""


class Link:
    """An authenticated connection to one host; made by :func:`open_link`."""

    def __init__(
        self, host: Host, connection: Connection, credentials: Credentials | None = None
    ) -> None:
        self.host = host
        self.credentials = credentials or Credentials(None, _untold, retry=True)
        self.sudo = SUDO
        self._held: list[Channel] = []
        self._connection = connection
        transport = connection.transport
        if not isinstance(transport, Transport):  # pragma: no cover  open_link sets the factory
            msg = "the transport is not ours"
            raise TypeError(msg)
        self.transport: Transport = transport
        self.sessions = Sessions(transport, host)

    def script(
        self,
        source: str,
        *argv: str,
        timeout: float,
        pipe_next: bool = False,
        in_command: bool = False,
        **variables: str,
    ) -> Completed:
        """Run ``source`` by sh over there, ``argv`` as its parameters, within ``timeout`` s.

        With ``pipe_next`` a session for what comes next is opened meanwhile. ``in_command`` sends
        it as the command itself, where everybody on that machine may read it: a round trip
        less, for sshd takes stdin only after the command. For what may run twice: without gzip
        over there it is sent again, the usual way.

        Raises :class:`ShellUnusable` if the login shell did not run it, and a
        :class:`FarSideError` after the timeout.
        """
        script = shell.Script.build(source, variables=variables, argv=argv)
        ways = [(shell.COMMAND, script.text)]
        if in_command:
            ways.insert(0, (script.in_command, b""))
        out: bytes | None = None
        err = b""
        for command, stdin in ways:
            deadline = time.monotonic() + timeout
            out, err = self._said(command, stdin, deadline, pipe_next=pipe_next)
            if out is None or script.output(out) or not self.alive:
                break
            # its shell may end as that one did; sshd ends the link for what comes after a close
            self.sessions.drop_spare()
        return self._completed(script, out, err, timeout)

    def _said(
        self, command: str, stdin: bytes, deadline: float, *, pipe_next: bool
    ) -> tuple[bytes | None, bytes]:
        """What ``command`` prints; a session that is ready is as good for what goes by stdin."""
        with reported(self.host):
            channel = self.sessions.take_spare() if stdin else None
            if channel is not None:
                stdin = f"{command}\n".encode() + stdin
            else:
                channel = self.sessions.open()
                exec_at_once(self.transport, channel, command)
            if pipe_next:  # not before: sshd may allow one session, and this is the one
                self.sessions.open_spare()
            try:
                return talk(channel, stdin, deadline)
            finally:
                channel.close()

    def pipe(self, argv: Sequence[str], first: bytes) -> Channel:
        """Run ``argv`` over there, with ``first`` on its stdin; the channel, for what follows.

        Nothing is waited for: whether it runs shows in what it prints.
        """
        line = " ".join(["exec", *(shell.quote(word) for word in argv)])
        with reported(self.host):
            channel = self.sessions.for_one_line()
            channel.sendall(line.encode("utf-8", "surrogateescape") + b"\n" + first)
        return channel

    def begin(
        self,
        source: str,
        argv: Sequence[str],
        variables: Mapping[str, str],
        *,
        term: str,
        size: tuple[int, int],
    ) -> Channel:
        """Run ``source`` by sh over there, its stdin and stdout being the channel's.

        With a ``term`` on a terminal of that kind and ``size`` (columns, lines).
        """
        line = shell.in_one_line(source, variables=variables, argv=argv)
        with reported(self.host):
            channel = self.sessions.open()
            if term:
                channel.get_pty(term, *size)
            exec_at_once(self.transport, channel, line)
        return channel

    def _completed(
        self, script: shell.Script, out: bytes | None, err: bytes, timeout: float
    ) -> Completed:
        """What came back, or the error that it shows."""
        if out is None:
            raise FarSideError(
                f"{self.host.name} did not finish a command in {timeout:g} s",
                hint="the machine may be overloaded, or its docker hangs",
            )
        if len(out) >= OUTPUT_LIMIT:
            raise ScriptFailed(
                f"{self.host.name} printed more than {OUTPUT_LIMIT >> 20} MiB",
                hint="what its login shell prints may have no end",
            )
        completed = script.output(out)
        if completed is None and not self.alive:
            raise LinkLost(f"the connection to {self.host.name} broke", hint="connect again")
        if completed is None and re.search(rb"[Pp]assword (change required|.*expired)", out + err):
            raise refusal.expired(self.host)
        if completed is None:
            raise ShellUnusable(
                f"the login shell of {self.host.login} did not run sh: "
                f"{one_line(tail(out + err, 3)) or 'no output'}",
                hint="does that account have a shell, and does its rc file let commands through?",
            )
        return Completed(*completed, err)

    def hold(self, channel: Channel) -> None:
        """Keep ``channel`` open for as long as this link."""
        self._held.append(channel)

    @property
    def alive(self) -> bool:
        """Whether the transport still works, as far as TCP has noticed."""
        return self.transport.is_active()

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the connection's end; True when it ended."""
        self.transport.join(timeout)
        return not self.alive

    def close(self) -> None:
        """End the connection, and those to the jump hosts."""
        _close(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class Completed:
    """What a script of ours left: exit code, stdout, stderr."""

    __slots__ = ("code", "err", "out")

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err


def open_link(
    host: Host,
    *,
    credentials: Credentials | None = None,
    dialled: Future[socket.socket] | None = None,
    remembered: Remembered | None = None,
) -> Link:
    """Connect and log in; ``credentials`` have secrets, and reach a person if there is one.

    Without them it is as in a retry: keys alone, and passphrases that are kept.

    ``dialled`` is the TCP connection to the first hop, begun before; ``remembered`` is what the
    session's earlier logins left, and takes what this one leaves. Raises a :class:`LinkError`.
    """
    given = credentials or Credentials(None, _untold, retry=True)
    memory = remembered or Remembered()
    hops = (*host.jumps, host)
    connection: Connection | None = None
    try:
        for hop in hops:
            connection = _connection(hop, connection, given, memory)
            with reported(hop):
                _open(connection, hop, dialled if hop is hops[0] else None)
    except BaseException:
        _close(connection)
        raise
    assert connection is not None  # noqa: S101  hops is never empty
    return Link(host, connection, given)


def _untold(*_warning: str) -> None:
    """Where nobody is asked, there is nothing to warn of."""


def _close(connection: Connection | None) -> None:
    while isinstance(connection, Connection):
        connection.client.close()
        connection = connection.gateway


def _open(connection: Connection, host: Host, dialled: Future[socket.socket] | None) -> None:
    piped = None
    if connection.gateway is None:
        piped = proxy.connect(host) if host.proxy_command else None
        connection.connect_kwargs["sock"] = piped or (dialled.result() if dialled else dial(host))
    with proxy.reported(piped, host):
        connection.open()


def _connection(
    host: Host, gateway: Connection | None, credentials: Credentials, memory: Remembered
) -> Connection:
    known = KnownHosts(host)

    def transport(sock: socket.socket, **options: object) -> Transport:
        made = Transport(sock, **options)
        try:
            made.restrict(host)
        except SshConfigError:
            sock.close()
            raise
        certified = host.host_key_algorithms if known.has_authorities else None
        made.prefer_key_types(known.key_types() or memory.host_key_types(host), certified)
        return made

    connection = Connection(
        host.hostname,
        user=host.user,
        port=host.port,
        gateway=gateway,
        # what fabric would read of ssh_config has been resolved already, and better
        config=Config(lazy=True, ssh_config=SSHConfig()),
        connect_kwargs={
            # the banner has its own end, and says what was missing; this one is for the rest
            "timeout": 2 * host.connect_timeout,
            "banner_timeout": host.connect_timeout,
            "auth_timeout": max(host.connect_timeout, 10.0),
            "channel_timeout": host.connect_timeout,
            "transport_factory": transport,
            "compress": host.compression,
            "auth_strategy": Login(host, credentials, memory),
        },
    )
    client: SSHClient = connection.client
    person = None if host.batch_mode else credentials.person
    files = HostKeyPolicy(host, known, ask=person.agree if person else None)
    client.set_missing_host_key_policy(SessionHostKeys(host, known, files, memory))
    return connection
