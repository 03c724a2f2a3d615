"""What our transport does better than paramiko's."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from paramiko import ECDSAKey, Message
from paramiko.common import cMSG_USERAUTH_REQUEST
from paramiko.ssh_exception import AuthenticationException

from remotenb.ssh.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator


class Prompt(Transport):
    """Its server answers "no" before the request has even been sent to its end."""

    def is_active(self) -> bool:
        return True

    def _send_message(self, data: Message) -> None:
        if data.asbytes()[:1] == cMSG_USERAUTH_REQUEST:
            answer = Message()
            answer.add_list(["publickey"])
            answer.add_boolean(False)
            answer.rewind()
            assert self.auth_handler is not None
            self.auth_handler._parse_userauth_failure(answer)  # type: ignore[attr-defined]


@pytest.fixture
def transport() -> Iterator[Prompt]:
    """One that has agreed on its keys, as far as it knows."""
    near, far = socket.socketpair()
    with closing(near), closing(far):
        made = Prompt(near)
        made.initial_kex_done = True
        made.active = True  # type: ignore[attr-defined]
        made.auth_timeout = 1.0
        made.session_id = b"x"
        yield made


def test_an_answer_that_comes_at_once_is_not_missed(transport: Prompt) -> None:
    start = time.monotonic()
    for _ in range(2):
        with pytest.raises(AuthenticationException, match="failed"):
            transport.auth_publickey("alice", ECDSAKey.generate())
    assert time.monotonic() - start < 0.9
