"""A long command's end: its exit code, and all of its output, whatever comes first."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from paramiko import ECDSAKey, ServerInterface, Transport
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from remotenb.errors import LinkLost
from remotenb.ssh.process import Process
from tests.embedded.peers import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paramiko import Channel


class _Anybody(ServerInterface):
    """Lets everybody in, and starts nothing."""

    def check_auth_none(self, username: str) -> int:
        del username
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Channel, command: bytes) -> bool:
        del channel, command
        return True


@contextmanager
def command(play: Callable[[Channel], None]) -> Iterator[Process]:
    """A command over there, which ``play`` plays."""
    near, far = socket.socketpair()
    server, client = Transport(far), Transport(near)
    server.add_server_key(ECDSAKey.generate())
    server.start_server(threading.Event(), _Anybody())
    client.start_client(timeout=TIMEOUT_S)
    client.auth_none("alice")
    channel = client.open_session(timeout=TIMEOUT_S)
    channel.exec_command("played")
    played = server.accept(TIMEOUT_S)
    assert played is not None
    try:
        with Process(channel, "gpu-box") as process:
            play(played)
            yield process
    finally:
        client.close()
        server.close()


def says_its_code_first(channel: Channel) -> None:
    channel.send_exit_status(3)
    channel.sendall(b"the last words\n")
    channel.sendall_stderr(b"a complaint")
    channel.close()


def ends_after_its_code(channel: Channel) -> None:
    channel.send_exit_status(0)
    channel.sendall(b"half of the output\n")
    channel.get_transport().close()


def test_an_exit_code_that_comes_first_waits_for_the_output() -> None:
    with command(says_its_code_first) as process:
        assert list(process.lines()) == ["the last words"]
        assert (process.wait(), process.err) == (3, "a complaint")


def test_a_link_that_ends_after_the_exit_code_is_a_link_that_ended() -> None:
    with command(ends_after_its_code) as process, pytest.raises(LinkLost):
        process.wait()
