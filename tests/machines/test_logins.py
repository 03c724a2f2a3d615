"""Every login that a real sshd asks for: passwords, second factors, several steps; prompts counted.

The second factor is real too: PAM's google-authenticator, whose code changes each 30 s.
"""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotenb.errors import AuthenticationFailed, LoginNeedsPerson, StillBooting
from remotenb.laptop.credentials import Credentials
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from remotenb.ssh.remembered import Remembered
from tests import fake_keyring
from tests.machines.conftest import LAB4
from tests.people import Person, with_person
from tests.rig import sshd

if TYPE_CHECKING:
    from remotenb.model import Host
    from remotenb.secret import Secret
    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

PASSWORD = "correct horse"
OTP_KEY = "JBSWY3DPEHPK3PXP"
WITH_PAM = "UsePAM yes\nKbdInteractiveAuthentication yes\n"
NO_KEY: tuple[Path, ...] = ()


def code() -> str:
    """The code of this half minute (RFC 6238)."""
    counter = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.digest(base64.b32decode(OTP_KEY), counter, "sha1")
    start = digest[-1] & 15
    return str(int.from_bytes(digest[start : start + 4], "big") % (1 << 31)).zfill(10)[-6:]


@dataclass
class Server:
    """gpu-box as alice's administrator set it up."""

    box: Box
    host: Host

    def wants(self, config: str, *auth: str) -> None:
        """Restart sshd with this configuration and PAM."""
        self.box.set_pam(*auth)
        self.box.sshd(config)

    def refusals(self) -> int:
        """Passwords and answers that sshd has counted as wrong, as its log has it."""
        log = self.box.run(["cat", "/var/log/sshd.log"]).stdout
        return log.count("Failed password") + log.count("PAM: Authentication failure")


@pytest.fixture
def server(lab: Lab) -> Server:
    lab.box.set_password("alice", PASSWORD)
    secret = f'{OTP_KEY}\n" RATE_LIMIT 30 30\n" TOTP_AUTH\n'
    lab.box.write(sshd.OTP_SECRET, secret, mode=0o600)
    lab.box.run(["sh", "-c", ": >/var/log/sshd.log"])
    host = resolve("gpu-box", config_file=lab.ssh_config)
    return Server(lab.box, replace(host, identity_files=()))


@pytest.fixture
def key(lab: Lab) -> tuple[Path, ...]:
    return (lab.key,)


def logs_in(host: Host, *types: str) -> Person:
    """Whoever typed that and was let in; all that was typed was asked for."""
    person = Person(list(types))
    with open_link(host, credentials=with_person(person)) as link:
        assert link.script("echo on", timeout=10).out == b"on\n"
    assert person.types == []
    return person


def turned_away(host: Host, *types: str) -> tuple[Person, AuthenticationFailed]:
    person = Person(list(types))
    with pytest.raises(AuthenticationFailed) as raised:
        open_link(host, credentials=with_person(person)).close()
    assert raised.value.hint
    assert "\n" not in raised.value.message
    return person, raised.value


def test_a_password_is_asked_for_once_in_the_words_of_ssh(server: Server) -> None:
    server.wants("PasswordAuthentication yes\n")
    person = logs_in(server.host, PASSWORD)
    assert person.asked == ["alice@10.77.0.2's password: "]
    wrong_first = logs_in(server.host, "wrong", PASSWORD)
    assert len(wrong_first.asked) == 2
    assert wrong_first.told == ["alice@10.77.0.2 did not take that; try again."]


def test_a_machine_that_boots_is_told_from_one_that_knows_no_such_key(
    server: Server, key: tuple[Path, ...]
) -> None:
    host = replace(server.host, identity_files=key)
    server.box.nologin()
    with pytest.raises(StillBooting, match="lets nobody in: System is booting up"):
        open_link(host).close()
    server.box.nologin(on=False)
    open_link(host).close()


def test_three_wrong_passwords_are_the_last_that_the_account_sees(server: Server) -> None:
    server.wants(WITH_PAM + "PasswordAuthentication yes\n", sshd.PAM_PASSWORD)
    person, error = turned_away(server.host, *["wrong"] * 9)
    assert len(person.asked) == 3
    assert "did not take your password (3 times)" in error.message
    assert "locked" in error.hint
    assert server.refusals() == 3


def test_a_server_that_bears_fewer_tries_is_not_asked_again(server: Server) -> None:
    server.wants("PasswordAuthentication yes\nMaxAuthTries 1\n")
    person, error = turned_away(server.host, *["wrong"] * 9)
    assert (len(person.asked), "once" in error.message) == (1, True)


def test_a_second_factor_is_asked_for_as_the_server_does_and_may_not_be_seen(
    server: Server, key: tuple[Path, ...]
) -> None:
    server.wants(WITH_PAM, sshd.PAM_PASSWORD, sshd.PAM_CODE)
    person = logs_in(server.host, PASSWORD, code())
    assert person.asked == [
        "(alice@10.77.0.2) Password: ",
        "(alice@10.77.0.2) Verification code: ",
    ]
    assert person.seen == [False]

    server.wants(WITH_PAM + "AuthenticationMethods publickey,keyboard-interactive\n", sshd.PAM_CODE)
    both = logs_in(replace(server.host, identity_files=key), code())
    assert both.asked == ["(alice@10.77.0.2) Verification code: "]


def test_a_second_factor_that_is_wrong_is_told_and_stops_in_time(server: Server) -> None:
    server.wants(WITH_PAM, sshd.PAM_PASSWORD, sshd.PAM_CODE)
    person, error = turned_away(server.host, *[PASSWORD, "000000"] * 9)
    assert len(person.asked) == 6
    assert "did not take your answers (3 times)" in error.message


def test_a_key_and_then_a_password(server: Server, key: tuple[Path, ...]) -> None:
    server.wants("PasswordAuthentication yes\nAuthenticationMethods publickey,password\n")
    host = replace(server.host, identity_files=key)
    assert logs_in(host, PASSWORD).asked == ["alice@10.77.0.2's password: "]
    with pytest.raises(LoginNeedsPerson, match="wants a password, and nobody is there"):
        open_link(host).close()


def test_a_server_that_is_too_slow_for_us_says_so(server: Server) -> None:
    server.wants(WITH_PAM + "LoginGraceTime 2\n", sshd.PAM_PASSWORD)

    class Slow(Person):
        def secret(self, prompt: str) -> Secret | None:
            server.box.run(["sh", "-c", "while pgrep -f '[s]shd: alice' >/dev/null; do :; done"])
            return super().secret(prompt)

    with pytest.raises(AuthenticationFailed, match="while it waited for an answer") as raised:
        open_link(server.host, credentials=with_person(Slow([PASSWORD]))).close()
    assert "LoginGraceTime" in raised.value.hint


def test_an_expired_password_is_told_by_whatever_tells_it(server: Server) -> None:
    server.box.set_password("alice", PASSWORD, expired=True)
    server.wants(WITH_PAM + "PasswordAuthentication no\n", sshd.PAM_PASSWORD)
    changed = logs_in(server.host, PASSWORD, PASSWORD, "battery staple 9", "battery staple 9")
    assert "required to change your password" in changed.asked[1]
    assert [text.splitlines()[-1] for text in changed.asked[1:]] == [
        "Current password: ",
        "(alice@10.77.0.2) New password: ",
        "(alice@10.77.0.2) Retype new password: ",
    ]
    server.box.set_password("alice", PASSWORD, expired=True)
    server.wants("UsePAM yes\nPasswordAuthentication yes\n", sshd.PAM_PASSWORD)
    person = Person([PASSWORD])
    with (
        open_link(server.host, credentials=with_person(person)) as link,
        pytest.raises(AuthenticationFailed, match="has expired"),
    ):
        link.script("echo on", timeout=10)


def test_nobody_is_asked_where_nobody_is_and_it_is_told_what_was_wanted(server: Server) -> None:
    server.wants("PasswordAuthentication yes\n")
    with pytest.raises(LoginNeedsPerson, match="wants a password, and nobody is there"):
        open_link(server.host).close()
    person = Person([PASSWORD])
    with pytest.raises(LoginNeedsPerson):
        open_link(replace(server.host, batch_mode=True), credentials=with_person(person)).close()
    assert person.asked == []
    assert server.refusals() == 0


def test_the_users_order_and_switches_are_obeyed(server: Server) -> None:
    server.wants(WITH_PAM + "PasswordAuthentication yes\n", sshd.PAM_PASSWORD)
    by_default = logs_in(server.host, PASSWORD)
    first = replace(server.host, auth_methods=("password", "keyboard-interactive"))
    by_wish = logs_in(first, PASSWORD)
    assert by_default.asked == ["(alice@10.77.0.2) Password: "]
    assert by_wish.asked == ["alice@10.77.0.2's password: "]
    person, _ = turned_away(replace(server.host, password_prompts=1), "wrong", "wrong")
    assert len(person.asked) == 1
    person, _ = turned_away(replace(server.host, auth_methods=("publickey",)), PASSWORD)
    assert person.asked == []


def test_a_retry_gives_no_password_and_sends_none(server: Server) -> None:
    server.wants("PasswordAuthentication yes\n")
    memory, person = Remembered(), Person([PASSWORD, PASSWORD])
    with open_link(server.host, credentials=with_person(person), remembered=memory):
        pass
    server.box.run(["sh", "-c", ": >/var/log/sshd.log"])
    retry = Credentials(person, lambda *_: None, retry=True)
    with pytest.raises(LoginNeedsPerson):
        open_link(server.host, credentials=retry, remembered=memory).close()
    assert len(person.asked) == 1
    assert "assword" not in server.box.run(["cat", "/var/log/sshd.log"]).stdout


def test_the_key_that_worked_is_the_first_next_time(server: Server, lab: Lab) -> None:
    wrong = tuple(lab.key.with_name(f"wrong{n}") for n in range(3))
    for file in wrong:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]
        subprocess.run(argv, check=True, timeout=20)
    host = replace(server.host, identity_files=(*wrong, lab.key))
    for refused_before in (3, 3):
        open_link(host).close()
        log = server.box.run(["cat", "/var/log/sshd.log"]).stdout
        assert log.count("Failed publickey") == refused_before
    open_link(replace(host, identity_files=(lab.key,))).close()


def test_a_banner_is_shown_before_the_question_and_without_its_escape_sequences(
    server: Server,
) -> None:
    server.box.write("/etc/banner", "\x1b]0;owned\x07\x1b[31mAuthorised people only\x1b[0m\n")
    server.wants("PasswordAuthentication yes\nBanner /etc/banner\n")
    assert logs_in(server.host, PASSWORD).told == ["Authorised people only\n"]


def test_a_session_by_password_waits_for_a_person_after_a_drop_and_sends_no_password(
    server: Server, laptop: Laptop, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.json"
    login = server.host.login
    keyring.write_text(json.dumps({f"remotenb password {login}|{login}": PASSWORD}))
    environment = {
        **fake_keyring.ENVIRONMENT,
        fake_keyring.FILE: str(keyring),
        "PYTHONPATH": str(Path(fake_keyring.__file__).parent.parent),
    }
    config = tmp_path / "ssh_config"
    known = server.host.user_known_hosts[0]
    config.write_text(
        f"Host gpu-box\n HostName {server.host.hostname}\n User alice\n IdentityFile none\n"
        f" UserKnownHostsFile {known}\n"
    )
    server.wants("PasswordAuthentication yes\n")
    options = ("gpu-box", "-F", str(config), "--image", LAB4)
    with laptop.connected(*options, environment=environment) as connected:
        server.box.run(["sh", "-c", ": >/var/log/sshd.log"])
        server.box.signal_sshd("KILL", user="alice")
        connected.wait_for("dropped", 10)
        waiting = connected.wait_for("waiting", 20)
        assert "by password or second factor" in waiting["for"]
        assert "connect gpu-box asks again" in waiting["hint"]
        log = server.box.run(["cat", "/var/log/sshd.log"]).stdout
        assert "assword" not in log
