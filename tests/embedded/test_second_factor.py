"""A second factor on a telephone: nothing is typed, and somebody says yes or no, or nothing.

The server is asyncssh's; what the telephone does is the test's.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import asyncssh
import pytest

from remotenb.errors import AuthenticationFailed
from remotenb.ssh.link import open_link
from tests.embedded.peers import TIMEOUT_S
from tests.people import Person, with_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from asyncssh.auth import KbdIntChallenge

    from remotenb.model import Host
    from tests.embedded.conftest import Box

PUSHED = "Duo push sent to +XX-XXXX-42\x1b[2J. Approve it there."


class Telephone(asyncssh.SSHServer):
    """Each login is shown on it; ``says`` is what is answered there, None for nothing."""

    says: bool | None = True
    asked = 0
    connections: ClassVar[list[asyncssh.SSHServerConnection]]

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        type(self).connections.append(conn)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002  asyncssh's
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self,
        username: str,  # noqa: ARG002  asyncssh's
        lang: str,  # noqa: ARG002
        submethods: str,  # noqa: ARG002
    ) -> KbdIntChallenge:
        type(self).asked += 1
        return "", PUSHED, "", []

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:  # noqa: ARG002
        if self.says is None:  # sshd's LoginGraceTime has passed
            self._connection.abort()
        return bool(self.says)


@contextmanager
def serving(kind: type[Telephone], key: Path) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=kind, server_host_keys=[str(key)]
        )

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(TIMEOUT_S)

    async def end() -> None:
        server.close()
        for connection in kind.connections:
            connection.abort()
            await connection.wait_closed()
        await server.wait_closed()

    try:
        yield server.get_port()
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()


@pytest.fixture
def telephone(box: Box, tmp_path: Path) -> Iterator[tuple[type[Telephone], Host]]:
    class Own(Telephone):
        connections: ClassVar[list[asyncssh.SSHServerConnection]] = []

    key = tmp_path / "host_key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key))
    with serving(Own, key) as port:
        host = replace(
            box.host,
            port=port,
            identity_files=(),
            user_known_hosts=(tmp_path / "known",),
            strict_host_key="accept-new",
        )
        yield Own, host


def test_what_is_approved_on_the_telephone_needs_no_typing(
    telephone: tuple[type[Telephone], Host],
) -> None:
    _, host = telephone
    person = Person()
    open_link(host, credentials=with_person(person)).close()
    assert person.asked == []
    assert person.told == ["Duo push sent to +XX-XXXX-42. Approve it there."]


@pytest.mark.parametrize(("says", "words"), [(False, "did not take"), (None, "ended the login")])
def test_what_is_denied_there_or_not_answered_is_told_and_not_asked_again(
    telephone: tuple[type[Telephone], Host],
    says: bool | None,  # noqa: FBT001  of the telephone
    words: str,
) -> None:
    own, host = telephone
    own.says = says
    with pytest.raises(AuthenticationFailed) as raised:
        open_link(host, credentials=with_person(Person(["x"] * 9))).close()
    assert own.asked == 1
    assert words in raised.value.message
    assert "telephone" in raised.value.hint
