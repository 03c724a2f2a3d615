"""Every exception of paramiko's and of sockets becomes an error of ours."""

from __future__ import annotations

import inspect
import socket

import pytest
from paramiko import ECDSAKey, ssh_exception
from paramiko.ssh_exception import SSHException

from remotenb.errors import (
    AuthenticationFailed,
    FarSideError,
    HostKeyChanged,
    HostUnknown,
    HostUnreachable,
    LinkError,
    LinkLost,
    ProtocolFailed,
    SshConfigError,
)
from remotenb.model import Host
from remotenb.ssh.failures import MEANINGS, meaning_of, reported

HOST = Host(name="box", hostname="box.example", user="alice")
KEY = ECDSAKey.generate()

MADE: dict[str, Exception] = {
    "BadAuthenticationType": ssh_exception.BadAuthenticationType("no", ["publickey"]),
    "PartialAuthentication": ssh_exception.PartialAuthentication(["password"]),
    "ChannelException": ssh_exception.ChannelException(2, "Connect failed"),
    "BadHostKeyException": ssh_exception.BadHostKeyException("box", KEY, KEY),
    "ProxyCommandFailure": ssh_exception.ProxyCommandFailure("nc", "it ended"),
    "NoValidConnectionsError": ssh_exception.NoValidConnectionsError({("::1", 22): OSError("x")}),
}
"""Those whose constructor wants more than a text."""

CLASSES = [
    kind
    for kind in vars(ssh_exception).values()
    if inspect.isclass(kind) and issubclass(kind, Exception) and "paramiko" in kind.__module__
]

EXPECTED: dict[str, type[LinkError]] = {
    "SSHException": ProtocolFailed,
    "AuthenticationException": AuthenticationFailed,
    "PasswordRequiredException": AuthenticationFailed,
    "BadAuthenticationType": AuthenticationFailed,
    "PartialAuthentication": AuthenticationFailed,
    "UnableToAuthenticate": AuthenticationFailed,
    "ChannelException": HostUnreachable,
    "BadHostKeyException": HostKeyChanged,
    "IncompatiblePeer": ProtocolFailed,
    "ProxyCommandFailure": HostUnreachable,
    "NoValidConnectionsError": HostUnreachable,
    "CouldNotCanonicalize": HostUnknown,
    "ConfigParseError": SshConfigError,
    "MessageOrderError": ProtocolFailed,
}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_of_paramiko_becomes_an_error_of_ours(kind: type[Exception]) -> None:
    error = MADE.get(kind.__name__) or kind("it said {this}")
    with pytest.raises((LinkError, FarSideError)) as raised, reported(HOST):
        raise error
    assert type(raised.value) is EXPECTED[kind.__name__]
    assert raised.value.__cause__ is error
    assert raised.value.message
    assert raised.value.hint
    assert "\n" not in raised.value.message


def test_the_walk_meets_all_that_paramiko_has() -> None:
    assert {kind.__name__ for kind in CLASSES} == set(EXPECTED)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (SSHException("Error reading SSH protocol banner"), ProtocolFailed),
        (SSHException("Timeout opening channel."), LinkLost),
        (SSHException("SSH session not active"), LinkLost),
        (SSHException(""), ProtocolFailed),
        (EOFError(), ProtocolFailed),
        (ConnectionResetError(104, "Connection reset by peer"), LinkLost),
        (BrokenPipeError(32, "Broken pipe"), LinkLost),
        (TimeoutError("timed out"), LinkLost),
        (OSError("Socket is closed"), LinkLost),
        (socket.gaierror(-2, "Name or service not known"), LinkLost),
    ],
    ids=str,
)
def test_what_a_broken_connection_raises_is_passing(
    error: Exception, ours: type[LinkError]
) -> None:
    meant = meaning_of(error, HOST)
    assert type(meant) is ours
    assert meant.passing


def test_the_message_names_the_host() -> None:
    assert "box.example port 22" in meaning_of(EOFError(), HOST).message
    assert (
        "alice@box.example" in meaning_of(ssh_exception.AuthenticationException("x"), HOST).message
    )


def test_the_precise_meanings_stand_before_the_general_ones() -> None:
    for place, one in enumerate(MEANINGS):
        hidden = [b for b in MEANINGS[:place] if issubclass(one.kind, b.kind) and not b.says]
        assert not hidden, one


def test_an_error_of_ours_and_a_bug_pass_through() -> None:
    with pytest.raises(HostUnknown), reported(HOST):
        raise HostUnknown("x")
    with pytest.raises(ZeroDivisionError), reported(HOST):
        raise ZeroDivisionError
