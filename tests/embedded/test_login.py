"""Logging in: whom to trust, which key, and what is said when it does not come off."""

from __future__ import annotations

import base64
import getpass
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotenb.embedded import EmbeddedServer
from remotenb.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnknown,
    HostUnreachable,
    KeyUnusable,
    LinkError,
    ProtocolFailed,
)
from remotenb.ssh import agent as agents
from remotenb.ssh.link import open_link
from remotenb.ssh.remembered import Remembered
from tests.embedded.conftest import environment, played
from tests.embedded.peers import TIMEOUT_S, closed_port, hang_up, listening, read_all, silent
from tests.people import Person, with_person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from remotenb.model import Host
    from tests.embedded.conftest import Box


def refused(host: Host) -> LinkError:
    with pytest.raises(LinkError) as raised:
        open_link(host).close()
    error = raised.value
    assert (error.code, bool(error.hint)) == (3, True)
    assert "\n" not in error.message
    return error


def works(host: Host) -> bool:
    with open_link(host) as link:
        return link.script("echo on", timeout=10).out == b"on\n"


def keygen(file: Path, passphrase: str = "", comment: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", comment, "-f", str(file)]
    subprocess.run(argv, check=True, timeout=20)
    return file


def encrypted(box: Box, folder: Path) -> Path:
    """The key of the box, with a passphrase."""
    file = folder / "locked"
    file.write_bytes(box.host.identity_files[0].read_bytes())
    file.chmod(0o600)
    argv = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(file)]
    subprocess.run(argv, check=True, timeout=20, capture_output=True)
    return file


def test_the_right_key_logs_in(box: Box) -> None:
    assert works(box.host)


def test_an_unknown_host_key_is_refused_where_nobody_is_asked(box: Box, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    error = refused(replace(box.host, user_known_hosts=(empty,), strict_host_key="ask"))
    assert type(error) is HostKeyUnknown
    assert "SHA256:" in error.message
    assert not empty.exists()


def test_a_person_may_agree_to_an_unknown_host_key_and_is_not_asked_again(
    box: Box, tmp_path: Path
) -> None:
    person = Person()
    known = tmp_path / "known_hosts"
    host = replace(box.host, user_known_hosts=(known,), strict_host_key="ask")
    with open_link(host, credentials=with_person(person)):
        pass
    assert len(person.asked) == 1
    assert works(host)


def test_a_changed_host_key_is_refused_and_names_file_and_line(box: Box, tmp_path: Path) -> None:
    public = keygen(tmp_path / "other").with_suffix(".pub").read_text()
    known = tmp_path / "known_hosts"
    known.write_text(f"# a comment\n[127.0.0.1]:{box.host.port} {public}", encoding="utf-8")
    error = refused(replace(box.host, user_known_hosts=(known,), strict_host_key="accept-new"))
    assert type(error) is HostKeyChanged
    assert f"{known}:2" in error.message
    assert "ssh-keygen -R" in error.hint


def test_a_wrong_key_is_named_and_so_is_the_way_to_put_it_there(box: Box, tmp_path: Path) -> None:
    wrong = keygen(tmp_path / "wrong")
    error = refused(replace(box.host, identity_files=(wrong,)))
    assert type(error) is AuthenticationFailed
    assert str(wrong) in error.message
    assert "ssh-copy-id" in error.hint


def test_the_right_key_is_found_behind_wrong_ones(box: Box, tmp_path: Path) -> None:
    wrong = tuple(keygen(tmp_path / f"wrong{n}") for n in range(3))
    assert works(replace(box.host, identity_files=(*wrong, *box.host.identity_files)))


def test_without_any_key_it_is_said_how_to_make_one(box: Box, tmp_path: Path) -> None:
    error = refused(replace(box.host, identity_files=(tmp_path / "absent",)))
    assert type(error) is AuthenticationFailed
    assert "ssh-keygen" in error.hint


def test_an_encrypted_key_without_a_terminal_is_unusable(box: Box, tmp_path: Path) -> None:
    file = encrypted(box, tmp_path)
    error = refused(replace(box.host, identity_files=(file,)))
    assert type(error) is KeyUnusable
    assert str(file) in error.message
    assert f"ssh-add {file}" in error.hint


def test_a_person_gives_the_passphrase_at_the_second_try(box: Box, tmp_path: Path) -> None:
    host = replace(box.host, identity_files=(encrypted(box, tmp_path),))
    person = Person(["wrong", "open sesame"])
    with open_link(host, credentials=with_person(person)) as link:
        assert link.alive
    assert person.types == []


@pytest.mark.parametrize("answer", ["", "wrong"])
def test_a_person_who_does_not_know_the_passphrase_is_asked_three_times_at_most(
    box: Box, tmp_path: Path, answer: str
) -> None:
    person = Person([answer] * 9 if answer else [])
    host = replace(box.host, identity_files=(encrypted(box, tmp_path),))
    with pytest.raises(KeyUnusable):
        open_link(host, credentials=with_person(person)).close()
    assert len(person.asked) == (3 if answer else 1)


def test_a_person_is_not_asked_when_another_key_is_right(box: Box, tmp_path: Path) -> None:
    files = (encrypted(box, tmp_path), *box.host.identity_files)
    person = Person()
    host = replace(box.host, identity_files=files)
    with open_link(host, credentials=with_person(person)) as link:
        assert link.alive
    assert person.asked == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("public", "public half"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"),
        ("hello\n", "not a private key"),
        ("", "not a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "not a"),
    ],
    ids=["public", "putty", "text", "empty", "damaged"],
)
def test_a_file_that_is_no_private_key_is_said_to_be_what_it_is(
    box: Box, tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "key"
    public = keygen(tmp_path / "other").with_suffix(".pub").read_text()
    file.write_text(public if content == "public" else content, encoding="utf-8")
    error = refused(replace(box.host, identity_files=(file,)))
    assert type(error) is KeyUnusable
    assert words in error.message


def test_a_key_of_a_type_that_nobody_takes_any_more_is_said_to_be_that(
    box: Box, tmp_path: Path
) -> None:
    file = tmp_path / "dsa"
    made = ["ssh-keygen", "-q", "-t", "dsa", "-N", "", "-f", str(file)]
    if subprocess.run(made, check=False, timeout=30, capture_output=True).returncode:
        pytest.skip("this ssh-keygen makes none")
    error = refused(replace(box.host, identity_files=(file,)))
    assert type(error) is KeyUnusable
    assert "a type that is not supported" in error.message


def test_a_port_that_refuses_is_unreachable(box: Box) -> None:
    with closed_port() as port:
        error = refused(replace(box.host, port=port))
    assert type(error) is HostUnreachable
    assert "refuses connections" in error.message


def test_a_port_that_says_nothing_is_given_up_in_time(box: Box) -> None:
    with listening(silent) as port:
        start = time.monotonic()
        error = refused(replace(box.host, port=port, connect_timeout=1.0))
        assert time.monotonic() - start < 4
    assert type(error) is ProtocolFailed
    assert "banner" in error.message


def test_a_server_that_hangs_up_at_once_is_said_to(box: Box) -> None:
    with listening(hang_up) as port:
        error = refused(replace(box.host, port=port))
    assert error.passing


def test_a_server_that_does_not_speak_ssh_is_said_to(box: Box) -> None:
    with listening(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        error = refused(replace(box.host, port=port, connect_timeout=2.0))
    assert type(error) is ProtocolFailed


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 70, "xn--", "a..b"])
def test_a_name_that_does_not_resolve_is_unknown(box: Box, name: str) -> None:
    error = refused(replace(box.host, hostname=name))
    assert type(error) is HostUnknown
    assert name in error.message


def test_the_link_goes_through_a_chain_of_jump_hosts(box: Box, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = EmbeddedServer(tmp_path / "a", environment=environment())
    second = EmbeddedServer(tmp_path / "b", environment=environment())
    with played(first) as near, played(second) as far, closed_port() as port:
        assert works(replace(box.host, jumps=(near, far)))
        error = refused(replace(box.host, port=port, jumps=(near, far)))
        assert type(error) is HostUnreachable
        wrong = replace(near, identity_files=(keygen(tmp_path / "wrong"),))
        assert type(refused(replace(box.host, jumps=(wrong,)))) is AuthenticationFailed


def logs_in_again(host: Host, memory: Remembered) -> bool:
    """As a retry does: nobody is asked."""
    with open_link(host, remembered=memory) as link:
        return link.alive


def test_a_passphrase_that_was_given_serves_the_session_again_and_no_other(
    box: Box, tmp_path: Path
) -> None:
    host = replace(box.host, identity_files=(encrypted(box, tmp_path),))
    memory = Remembered()
    with open_link(host, credentials=with_person(Person(["open sesame"])), remembered=memory):
        pass
    assert logs_in_again(host, memory)
    assert "sesame" not in repr(vars(memory))
    assert type(refused(host)) is KeyUnusable


def test_a_retry_never_reads_from_the_terminal(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> str:
        raise AssertionError

    monkeypatch.setattr(getpass, "getpass", never)
    monkeypatch.setattr("builtins.input", never)
    known = tmp_path / "known_hosts"
    files = (encrypted(box, tmp_path),)
    assert type(refused(replace(box.host, identity_files=files))) is KeyUnusable
    host = replace(box.host, user_known_hosts=(known,), strict_host_key="ask")
    assert type(refused(host)) is HostKeyUnknown


def nowhere(box: Box) -> Host:
    """A host whose known_hosts file keeps nothing, as some ssh_configs have it."""
    return replace(box.host, user_known_hosts=(Path("/dev/null"),), strict_host_key="ask")


def test_a_host_key_that_was_agreed_to_holds_for_the_session(box: Box) -> None:
    memory = Remembered()
    with open_link(nowhere(box), credentials=with_person(Person()), remembered=memory):
        pass
    assert logs_in_again(nowhere(box), memory)
    assert type(refused(nowhere(box))) is HostKeyUnknown


@pytest.mark.parametrize("strict", ["ask", "accept-new"])
def test_another_host_key_in_the_same_session_is_refused(
    box: Box, tmp_path: Path, strict: Literal["ask", "accept-new"]
) -> None:
    memory = Remembered()
    alias = replace(nowhere(box), host_key_alias="box", strict_host_key="accept-new")
    with open_link(alias, remembered=memory):
        pass
    with played(EmbeddedServer(tmp_path, environment=environment())) as other:
        stranger = replace(
            other,
            host_key_alias="box",
            user_known_hosts=alias.user_known_hosts,
            strict_host_key=strict,
        )
        with pytest.raises(HostKeyChanged, match="since this session began"):
            open_link(stranger, credentials=with_person(Person()), remembered=memory)
    assert logs_in_again(alias, memory)


def test_a_known_hosts_file_that_says_otherwise_meanwhile_is_believed(
    box: Box, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    host = replace(box.host, user_known_hosts=(known,), strict_host_key="accept-new")
    memory = Remembered()
    with open_link(host, remembered=memory):
        pass
    known.write_text(f"@revoked {known.read_text()}", encoding="utf-8")
    with pytest.raises(HostKeyChanged, match="revoked"):
        open_link(host, remembered=memory)


AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)


def packet(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(4, "big") + body


@contextmanager
def agent(folder: Path, *, key: bytes | None) -> Iterator[str]:
    """An agent that shows ``key`` and never signs; without one it says nothing at all."""
    path = folder / "agent"
    with socket.socket(AF_UNIX or 0) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(TIMEOUT_S)

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.settimeout(TIMEOUT_S)
                if key is not None:
                    sock.recv(5)
                    one = (1).to_bytes(4, "big")
                    sock.sendall(packet(b"\x0c", one, packet(key), packet(b"a token")))
                read_all(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(path)
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def blob(file: Path) -> bytes:
    argv = ["ssh-keygen", "-y", "-f", str(file)]
    shown = subprocess.run(argv, check=True, timeout=20, capture_output=True, text=True)
    return base64.b64decode(shown.stdout.split()[1])


@pytest.mark.skipif(AF_UNIX is None, reason="the agent is a Unix socket")
@pytest.mark.parametrize("shows", [False, True], ids=["silent", "waits-for-a-touch"])
def test_an_agent_that_does_not_answer_is_left_alone_in_time(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shows: bool
) -> None:
    monkeypatch.setattr(agents, "AGENT_TIMEOUT_S", 0.3)
    other = keygen(tmp_path / "other")
    for files in (box.host.identity_files, ()):
        folder = tmp_path / str(len(files))
        folder.mkdir()
        with agent(folder, key=blob(other) if shows else None) as path:
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            host = replace(
                box.host, identity_files=files, identity_agent=None, identities_only=False
            )
            start = time.monotonic()
            if files:
                assert works(host)
            else:
                error = refused(host)
                assert type(error) is AuthenticationFailed
                assert "the agent does not answer" in error.message
                assert "locked" in error.hint
            assert time.monotonic() - start < 5
