"""ssh_config read without an ssh: as ``ssh -G`` reads it, over configs that hypothesis writes.

What differs, and why, stands in docs/reference/ssh-config.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from remotenb.errors import HostUnknown, LinkError, SshConfigError
from remotenb.ssh import reader
from remotenb.ssh.algorithms import NEWER, allowed
from remotenb.ssh.config import resolve
from remotenb.ssh.keywords import KNOWN, split
from remotenb.ssh.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.model import Host

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh to compare with")

PATTERNS = ("box", "b*", "b?x", "*", "!box", "* !box", "other", "box other", "10.0.0.*", "BOX")
CRITERIA = (
    "all",
    "!all",
    "host box",
    "host=b*,!bo*",
    "host 10.0.0.*,*.example",
    "host BOX",
    "!host box",
    "originalhost box",
    "originalhost b*,!c",
    "user alice",
    "!user bob,carol",
    "localuser *",
    "localuser nobody-here",
    "canonical",
    "final",
    "final all",
    "!final host box",
    "final host 10.*",
    "exec true",
    "exec false",
    'exec "test %h = 10.0.0.5"',
    'exec "test %n%r%p = boxalice22" user alice',
    "host box exec true # why not",
    "final originalhost box",
)
VALUES = {
    "User": ("alice", "bob"),
    "HostName": ("10.0.0.5", "%h.example", "box", "fe80::1%%lo"),
    "Port": ("22", "2222"),
    "IdentityFile": ("/k/a", "/k/id_%h_%r", '"/k/double"', "none", "'/k/quoted'", "/k/%n%p%%"),
    "CertificateFile": ("/k/c", "/k/%k-cert.pub"),
    "IdentitiesOnly": ("yes", "no", "true"),
    "IdentityAgent": ("none", "/run/agent-%r", "SSH_AUTH_SOCK", "$TESTS_AGENT", "${TESTS_AGENT}/s"),
    "ProxyJump": ("none", "NONE", "gate", "carol@gate:2222,inner"),
    "ProxyCommand": ("none", "nc %h %p", 'nc -x "a b" %h %p # part of it'),
    "StrictHostKeyChecking": ("yes", "no", "ask", "accept-new", "off"),
    "UserKnownHostsFile": ("/k/known", "/k/one /k/two", "none", "/dev/null", '"/k/a"  /k/c'),
    "GlobalKnownHostsFile": ("/k/global", "/dev/null"),
    "KnownHostsCommand": ("/usr/bin/keys %H", "none"),
    "RevokedHostKeys": ("/k/revoked",),
    "HashKnownHosts": ("yes", "no"),
    "HostKeyAlias": ("cluster",),
    "ConnectTimeout": ("5", "1m30s", "none", "0"),
    "PreferredAuthentications": ("password", "publickey,keyboard-interactive", "gssapi-with-mic"),
    "PubkeyAuthentication": ("yes", "no", "host-bound"),
    "PasswordAuthentication": ("no",),
    "ChallengeResponseAuthentication": ("no",),
    "NumberOfPasswordPrompts": ("1", "5"),
    "BatchMode": ("yes",),
    "AddressFamily": ("inet", "inet6", "any"),
    "BindAddress": ("127.0.0.2",),
    "BindInterface": ("lo",),
    "Compression": ("yes", "no"),
    "Ciphers": ("aes256-ctr", "-aes128*", "+aes128-cbc", "^aes256-ctr", "aes256-ctr,aes128-ctr"),
    "MACs": ("hmac-sha2-512", "-hmac-sha1*", "+hmac-md5"),
    "KexAlgorithms": ("curve25519-sha256", "-diffie-*", "ecdh-sha2-nistp256"),
    "HostKeyAlgorithms": ("ssh-ed25519", "-ssh-*", "rsa-sha2-512,rsa-sha2-256"),
    "PubkeyAcceptedKeyTypes": ("ssh-ed25519",),
    "CanonicalizeHostname": ("no", "yes", "always"),
    "CanonicalizeMaxDots": ("0",),
    "PKCS11Provider": ("/usr/lib/pkcs11.so", "none"),
    "ServerAliveInterval": ("30",),
    "ForwardAgent": ("yes",),
    "SendEnv": ("LANG LC_*",),
    "SetEnv": ("A=b",),
    "RekeyLimit": ("1G 1h",),
    "ControlMaster": ("auto",),
    "RemoteCommand": ("tmux a",),
    "LocalForward": ("8888 localhost:8888",),
    "IgnoreUnknown": ("Nonsense*",),
    "Protocol": ("2",),
}
WRONG = {
    "Usr alice": "no option Usr",
    "Port nope": "port cannot be nope",
    "Port 0": "port cannot be 0",
    "Port": "Port has no value",
    "User alice bob": "one word",
    "IdentitiesOnly maybe": "identitiesonly cannot be maybe",
    "Compression # yes": "has no value",
    'IdentityFile "/k/x': "a quote is not closed",
    "StrictHostKeyChecking perhaps": "cannot be perhaps",
    "AddressFamily inet7": "cannot be inet7",
    "ConnectTimeout soon": "not a time",
    "ConnectTimeout NONE": "not a time",
    "NumberOfPasswordPrompts many": "not a number",
    "NumberOfPasswordPrompts -1": "not a number",
    "Match": "Match has no value",
    "Match nonsense x": "Match nonsense",
    "Match host": "Match host has no value",
    "Match host box user a all": "stands alone",
}

geteuid: Callable[[], int] = getattr(os, "geteuid", lambda: -1)
"""Windows has none."""

heads = st.sampled_from([f"Host {one}" for one in PATTERNS] + [f"Match {one}" for one in CRITERIA])
joints = st.sampled_from([" ", "=", " = ", "\t", "   "])
settings_ = st.sampled_from([(k, v) for k, values in VALUES.items() for v in values])
lines = st.builds(
    lambda pair, joint, end, indent: f"{indent}{pair[0]}{joint}{pair[1]}{end}",
    settings_,
    joints,
    st.sampled_from(["", "  ", "\r", "\t"]),
    st.sampled_from(["", "  ", "\t"]),
)
texts = st.lists(
    st.one_of(lines, lines, lines, heads, st.just("# a comment"), st.just("Include {more}")),
    max_size=14,
)


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTS_AGENT", "/run/from-environment")
    return home


def effective(host: Host) -> tuple[object, ...]:
    """The host, and which algorithms its lists allow; ssh tells defaults where we have none."""
    made: Any = Transport  # the stubs leave out its tables
    ours = (
        allowed(host.ciphers, made._preferred_ciphers, made._cipher_info, "ciphers"),
        set(allowed(host.macs, made._preferred_macs, made._mac_info, "macs")),
        # an older ssh tells no list with the newest, unless it is the list of all that it knows
        {*allowed(host.kex_algorithms, made._preferred_kex, made._kex_info, "kex")} - NEW,
        set(allowed(host.host_key_algorithms, made._preferred_keys, (), "keys")),
    )
    plain = replace(
        host,
        jumps=(),
        ciphers="",
        macs="",
        kex_algorithms="",
        host_key_algorithms="",
        public_key_algorithms="",
    )
    return plain, *ours, tuple(effective(jump) for jump in host.jumps)


def outcome(file: Path, *, without_ssh: bool, name: str = "box") -> object:
    """What is made of the config: the host, or which kind of error."""
    path = os.environ["PATH"]
    try:
        if without_ssh:
            os.environ["PATH"] = os.devnull
            shell = {"SHELL": "/bin/sh"}
            os.environ.update(shell)
        return effective(resolve(name, config_file=file))
    except LinkError as error:
        return type(error)
    finally:
        os.environ["PATH"] = path


NEW = {NEWER}
DEFAULTS = "Host *\n IdentityFile /k/last\n UserKnownHostsFile /k/known\n"
"""ssh tells its own, under the home that the system has for its user."""


def write(place: Path, text: list[str], more: list[str]) -> Path:
    (place / "more").write_bytes("\n".join(more).replace("Include {more}", "").encode())
    file = place / "config"
    file.write_bytes("\n".join([*text, DEFAULTS]).replace("{more}", str(place / "mor*")).encode())
    return file


def told(outcome: object) -> list[str]:
    """In pieces that a failing test can show apart."""
    return re.split(r", (?=[a-z_]+=)", repr(outcome))


@given(texts, texts)
@example(["ConnectTimeout none", "ConnectTimeout 5"], [])
@example(
    ["Match user alice", "Port 2222", "Include {more}", "Host *", "User alice"], ["Match final"]
)
@example(["ProxyJump none", "ProxyCommand nc %h %p", "ProxyJump gate"], [])
@example(["ProxyCommand none", "ProxyJump gate"], [])
@example(["HostName fe80::1%%lo", "Match final host fe*", "User alice"], [])
def test_any_config_means_the_same_with_and_without_an_ssh(
    place: Path, text: list[str], more: list[str]
) -> None:
    file = write(place, text, more)
    note(f"{file.read_text()}\n--- more:\n{(place / 'more').read_text()}")
    ours, theirs = (told(outcome(file, without_ssh=one)) for one in (True, False))
    assert ours == theirs


@pytest.mark.parametrize("without_ssh", [True, False])
@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_wrong_is_named_with_its_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, line: str, *, without_ssh: bool
) -> None:
    (place / "more").write_text(f"# one\n\n  {line}\n")
    (place / "config").write_text(f"Host *\n User a\nInclude {place}/more\n")
    if without_ssh:
        monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(SshConfigError) as raised:
        resolve("box", config_file=place / "config")
    assert f"{place / 'more'} line 3: " in raised.value.message
    assert WRONG[line] in raised.value.message
    assert raised.value.hint


def test_a_slip_of_the_pen_is_told_what_was_meant(place: Path) -> None:
    (place / "config").write_text("Hostnam x\n")
    with pytest.raises(SshConfigError) as raised:
        resolve("box", config_file=place / "config")
    assert raised.value.hint == "did you mean hostname?"


def test_what_only_ssh_can_judge_is_said_with_its_line_where_there_is_none(place: Path) -> None:
    (place / "config").write_text("User a\nMatch localnetwork 10.0.0.0/8\n User b\n")
    with pytest.raises(SshConfigError, match="line 2: Match localnetwork is not known here"):
        reader.read("box", None, None, place / "config")


@pytest.mark.parametrize("without_ssh", [True, False])
def test_an_include_that_goes_in_a_circle_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, without_ssh: bool
) -> None:
    if without_ssh:
        monkeypatch.setenv("PATH", os.devnull)
    (place / "circle").write_text(f"Include {place}/circle\n")
    with pytest.raises(SshConfigError, match="levels of Include") as raised:
        resolve("box", config_file=place / "circle")
    assert str(place / "circle") in raised.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="chmod hides nothing there")
def test_an_included_file_that_one_may_not_read_is_named() -> None:
    code = (
        "import sys; from pathlib import Path; from remotenb.ssh.config import resolve\n"
        "try: resolve('box', config_file=Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file, hidden = Path(folder, "config"), Path(folder, "hidden")
        file.write_text(f"Include {hidden}\n")
        hidden.touch(mode=0)
        for path in (os.environ["PATH"], f"{folder}/nothing"):
            prefix = [shutil.which(nobody[0]) or "", *nobody[1:]] if nobody else []
            done = subprocess.run(
                [*prefix, sys.executable, "-c", code, str(file)],
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
                env={"PATH": path, "HOME": folder, "PYTHONPATH": str(Path.cwd())},
            )
            assert str(hidden) in done.stdout
            assert "ermission denied" in done.stdout


def test_every_option_that_this_ssh_has_is_known() -> None:
    told = subprocess.run(
        ["ssh", "-G", "-F", os.devnull, "box"],
        check=True,
        capture_output=True,
        text=True,
        timeout=9,
    )
    has = {line.split()[0].lower() for line in told.stdout.splitlines()} - {"host"}
    assert has - KNOWN == set()


@given(st.text(alphabet="ab \\t'\"\\#=", max_size=12))
def test_any_text_is_words_or_a_quote_that_is_not_closed(text: str) -> None:
    words = split(text)
    assert words is None or all(isinstance(word, str) for word in words)


@pytest.mark.parametrize("value", ["%x", "%", "a%%%q"])
def test_a_token_that_there_is_not_is_an_error_and_not_a_name(place: Path, value: str) -> None:
    (place / "config").write_text(f"CertificateFile /k/{value}\n")
    with pytest.raises(SshConfigError, match="has no token"):
        resolve("box", config_file=place / "config")


def test_a_variable_that_is_not_set_is_an_error_and_not_a_name(place: Path) -> None:
    (place / "config").write_text("IdentityFile ${TESTS_UNSET}/id\n")
    with pytest.raises(SshConfigError, match="TESTS_UNSET"):
        resolve("box", config_file=place / "config")


def test_a_proxy_that_wants_to_pass_its_descriptor_is_said_to_be_impossible(place: Path) -> None:
    (place / "config").write_text("ProxyCommand nc -F %h %p\nProxyUseFdpass yes\n")
    with pytest.raises(SshConfigError, match="ProxyUseFdpass"):
        resolve("box", config_file=place / "config")


def test_algorithms_of_which_none_is_left_are_an_error_that_names_ours() -> None:
    with pytest.raises(SshConfigError, match="ciphers of ssh_config allows none") as raised:
        allowed("chacha20-poly1305@openssh.com", ("aes128-ctr",), (), "ciphers")
    assert "aes128-ctr" in raised.value.hint


HOSTS = "127.0.0.1 localhost\n10.0.0.5 box.clinic.example box.clinic.example.\n"


@pytest.mark.skipif(geteuid() != 0, reason="a hosts file of one's own wants root")
@pytest.mark.parametrize("mode", ["yes", "always"])
def test_a_name_is_made_whole_by_the_domain_in_which_it_is_found(place: Path, mode: str) -> None:
    (place / "hosts").write_text(HOSTS)
    (place / "config").write_text(
        f"CanonicalizeHostname {mode}\nCanonicalDomains nowhere.example clinic.example\n"
        "Host *.clinic.example\n User naomi\nMatch canonical host box.*\n Port 2222\n" + DEFAULTS
    )
    code = (
        "import sys, shutil; from pathlib import Path; from remotenb.ssh.config import resolve\n"
        "host = resolve('box', config_file=Path(sys.argv[1]))\n"
        "print(bool(shutil.which('ssh')), host.login)"
    )
    for path in (os.environ["PATH"], os.devnull):
        mount = (
            f"mount --bind {place}/hosts /etc/hosts && export PATH={path} && exec {sys.executable}"
        )
        argv = [
            "unshare",
            "-m",
            "sh",
            "-c",
            f'{mount} -c "$1" "$2"',
            "-",
            code,
            str(place / "config"),
        ]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)
        assert done.stdout.split() == [
            str(path != os.devnull),
            "naomi@box.clinic.example:2222",
        ]


@pytest.mark.parametrize("without_ssh", [True, False])
def test_a_name_that_is_found_in_no_domain_is_unknown_or_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, without_ssh: bool
) -> None:
    text = "CanonicalizeHostname yes\nCanonicalDomains nowhere.invalid\n"
    (place / "config").write_text(f"{text}CanonicalizeFallbackLocal no\n")
    (place / "stays").write_text(text)
    if without_ssh:
        monkeypatch.setenv("PATH", os.devnull)
    assert resolve("box", config_file=place / "stays").hostname == "box"
    with pytest.raises(HostUnknown, match="CanonicalDomains"):
        resolve("box", config_file=place / "config")
