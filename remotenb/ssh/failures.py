"""The one place where paramiko's and the socket's errors become ours."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from paramiko import SSHException
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    ConfigParseError,
    CouldNotCanonicalize,
    IncompatiblePeer,
    NoValidConnectionsError,
    ProxyCommandFailure,
)

from remotenb import errors
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.errors import RemotenbError
    from remotenb.model import Host

logger = logging.getLogger(__name__)


class _Meaning(NamedTuple):
    kind: type[Exception]
    says: str
    """Found in the error's text, in lower case; empty matches any."""
    ours: type[RemotenbError]
    message: str
    hint: str


_TRY_SSH = "does this work: ssh {name}"

MEANINGS = (
    _Meaning(
        BadHostKeyException,
        "",
        errors.HostKeyChanged,
        "the host key of {key_name} is wrong: {said}",
        "ask the server's administrator",
    ),
    _Meaning(
        AuthenticationException,
        "",
        errors.AuthenticationFailed,
        "{login} let nobody in: {said}",
        _TRY_SSH,
    ),
    _Meaning(
        IncompatiblePeer,
        "",
        errors.ProtocolFailed,
        "{at} and remotenb have no algorithm in common: {said}",
        "its sshd is very old, or very strict",
    ),
    _Meaning(
        ProxyCommandFailure,
        "",
        errors.HostUnreachable,
        "the ProxyCommand failed: {said}",
        _TRY_SSH,
    ),
    _Meaning(ConfigParseError, "", errors.SshConfigError, "ssh_config: {said}", "mend ssh_config"),
    _Meaning(CouldNotCanonicalize, "", errors.HostUnknown, "{said}", "check the spelling"),
    _Meaning(
        ChannelException,
        "",
        errors.HostUnreachable,
        "{name} was not to be reached through its jump host: {said}",
        "is the name right, and does the jump host allow forwarding (AllowTcpForwarding)?",
    ),
    _Meaning(
        NoValidConnectionsError, "", errors.HostUnreachable, "{at} does not answer", "is it up?"
    ),
    _Meaning(
        SSHException,
        "banner",
        errors.ProtocolFailed,
        "{at} sent no SSH banner",
        "is that sshd's port, and is sshd overloaded?",
    ),
    _Meaning(
        SSHException,
        "no existing session",
        errors.ProtocolFailed,
        "{at} did not finish the SSH handshake in time",
        "is sshd overloaded?",
    ),
    _Meaning(
        SSHException,
        "timeout opening channel",
        errors.LinkLost,
        "{name} does not answer any more",
        "connect again",
    ),
    _Meaning(
        SSHException,
        "session not active",
        errors.LinkLost,
        "the connection to {name} broke",
        "connect again",
    ),
    _Meaning(
        SSHException, "", errors.ProtocolFailed, "{at} ended the SSH handshake: {said}", "try again"
    ),
    _Meaning(EOFError, "", errors.ProtocolFailed, "{at} hung up", "try again; is sshd overloaded?"),
    _Meaning(
        OSError, "", errors.LinkLost, "the connection to {name} broke: {said}", "connect again"
    ),
)


def meaning_of(error: Exception, host: Host) -> RemotenbError:
    """Our error for one of paramiko's or the socket's; the most precise comes first."""
    said = one_line(str(error)).rstrip(".") or type(error).__name__
    facts = {
        "said": said,
        "at": f"{host.hostname} port {host.port}",
        "name": host.name,
        "login": host.login,
        "key_name": host.key_name,
    }
    for one in MEANINGS:
        if isinstance(error, one.kind) and one.says in said.lower():
            return one.ours(one.message.format(**facts), hint=one.hint.format(**facts))
    raise TypeError(type(error).__name__) from error


@contextmanager
def reported(host: Host) -> Iterator[None]:
    """Inside it, what paramiko and the socket raise comes out as a :class:`RemotenbError`."""
    try:
        yield
    except (SSHException, OSError, EOFError) as error:
        logger.debug("SSH to %s failed", host.login, exc_info=True)
        raise meaning_of(error, host) from error
