"""A name becomes a host: by the user's own ssh, and without one, alike."""

from __future__ import annotations

import shutil
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platformdirs import user_state_path

from remotenb.errors import KeyUnusable, SshConfigError, UsageError
from remotenb.ssh.config import parse_destination, resolve
from remotenb.ssh.options import split_files
from remotenb.ssh.reader import aliases

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.model import Host


@pytest.fixture(params=["ssh", "without"])
def resolved(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Host]:
    """Writes an ssh_config and resolves a name in it, in each of the two ways."""
    if request.param == "without":
        monkeypatch.setenv("PATH", str(home / "no-programs"))
    elif shutil.which("ssh") is None:
        pytest.skip("there is no ssh on this machine")

    def with_config(text: str, name: str = "box", **options: Any) -> Host:
        file = home / "ssh_config"
        file.write_text(text, encoding="utf-8")
        return resolve(name, config_file=file, **options)

    return with_config


def test_an_empty_config_gives_the_defaults(home: Path, resolved: Callable[..., Host]) -> None:
    host = resolved("", "box.example")
    assert (host.name, host.hostname, host.user, host.port) == (
        "box.example",
        "box.example",
        getuser(),
        22,
    )
    assert home / ".ssh/id_ed25519" in host.identity_files
    assert (host.identities_only, host.jumps, host.proxy_command) == (False, (), None)
    assert (host.strict_host_key, host.host_key_alias, host.connect_timeout) == ("ask", None, 10.0)
    assert host.user_known_hosts[0].name == "known_hosts"


def test_an_alias_is_taken_apart(resolved: Callable[..., Host]) -> None:
    host = resolved("Host box\n HostName 10.0.0.5\n User alice\n Port 2222\n")
    assert (host.name, host.hostname, host.user, host.port) == ("box", "10.0.0.5", "alice", 2222)
    assert host.key_name == "[10.0.0.5]:2222"


def test_user_and_port_in_the_name_win_over_the_config(resolved: Callable[..., Host]) -> None:
    text = "Host box\n HostName 10.0.0.5\n User alice\n Port 2222\n"
    host = resolved(text, "bob@box:23", user="carol", port=24)
    assert (host.user, host.port, host.hostname) == ("bob", 23, "10.0.0.5")
    assert (resolved(text, user="carol", port=24).user, resolved(text, port=24).port) == (
        "carol",
        24,
    )


def test_the_first_value_wins_and_patterns_match(resolved: Callable[..., Host]) -> None:
    host = resolved("Host b*\n User first\nHost *\n User second\n Port 23\nHost c\n Port 24\n")
    assert (host.user, host.port) == ("first", 23)


def test_include_is_followed(home: Path, resolved: Callable[..., Host]) -> None:
    (home / "more").write_text("Host box\n HostName from.include\n", encoding="utf-8")
    assert resolved(f"Include {home}/mor*\nHost *\n User x\n").hostname == "from.include"


def test_an_include_that_includes_itself_ends_as_an_error(
    home: Path, resolved: Callable[..., Host]
) -> None:
    (home / "circle").write_text(f"Include {home}/circle\n", encoding="utf-8")
    with pytest.raises(SshConfigError):
        resolved(f"Include {home}/circle\n")


def test_an_include_inside_a_host_block_ends_with_it(
    home: Path, resolved: Callable[..., Host]
) -> None:
    (home / "more").write_text("Host other\n User wrong\n", encoding="utf-8")
    assert resolved(f"Host box\n Include {home}/more\n User alice\n").user == "alice"


def test_key_options_are_read(home: Path, resolved: Callable[..., Host]) -> None:
    lines = "IdentityFile ~/.ssh/work\n IdentityFile ~/.ssh/more\n CertificateFile ~/.ssh/c\n"
    host = resolved(f"Host box\n {lines} IdentitiesOnly yes\n IdentityAgent none\n")
    assert host.identity_files == (home / ".ssh/work", home / ".ssh/more")
    assert host.certificate_files == (home / ".ssh/c",)
    assert (host.identities_only, host.identity_agent) == (True, "none")


@pytest.mark.parametrize("yes", ["yes", "Yes", "true"])
def test_every_spelling_of_yes_that_ssh_takes_is_taken(
    resolved: Callable[..., Host], yes: str
) -> None:
    host = resolved(f"Host box\n IdentitiesOnly {yes}\n HashKnownHosts {yes}\n")
    assert (host.identities_only, host.hash_known_hosts) == (True, True)


def test_a_key_named_on_the_command_line_comes_first(
    home: Path, resolved: Callable[..., Host]
) -> None:
    (home / "own").touch()
    host = resolved("Host box\n IdentityFile ~/.ssh/work\n", identity_file=Path("~/own"))
    assert host.identity_files == (home / "own", home / ".ssh/work")


def test_a_key_that_is_named_and_not_there_is_said_to_be_missing(
    resolved: Callable[..., Host],
) -> None:
    with pytest.raises(KeyUnusable, match="no key file"):
        resolved("Host box\n", identity_file=Path("~/absent"))


def test_a_key_files_name_may_have_spaces(home: Path, resolved: Callable[..., Host]) -> None:
    file = home / "my key"
    file.touch()
    assert resolved(f'Host box\n IdentityFile "{file}"\n').identity_files == (file,)


def test_files_that_are_not_there_yet_may_lie_in_a_home_with_a_space(
    home: Path, resolved: Callable[..., Host]
) -> None:
    place = home / "ann lee"
    known = f'"{place}/known_hosts" "{place}/known_hosts2"'
    host = resolved(f'Host box\n UserKnownHostsFile {known}\n IdentityFile "{place}/my key"\n')
    assert host.user_known_hosts == (place / "known_hosts", place / "known_hosts2")
    assert host.identity_files == (place / "my key",)


def test_the_first_words_of_windows_paths_begin_a_file_too() -> None:
    home = r"C:\\Users\\Ann Lee"
    printed = rf"{home}/.ssh/known_hosts {home}/.ssh/known_hosts2"
    assert split_files(printed) == [f"{home}/.ssh/known_hosts", f"{home}/.ssh/known_hosts2"]
    printed = r"__PROGRAMDATA__\\ssh/ssh_known_hosts __PROGRAMDATA__\\ssh/ssh_known_hosts2"
    assert split_files(printed) == printed.split()


@pytest.mark.parametrize("token", ["%h", "%r"])
def test_tokens_in_a_key_files_name_are_replaced(
    home: Path, resolved: Callable[..., Host], token: str
) -> None:
    meaning = {"%h": "real.example", "%r": "alice"}[token]
    text = f"Host box\n HostName real.example\n User alice\n IdentityFile ~/.ssh/id_{token}\n"
    assert resolved(text).identity_files == (home / f".ssh/id_{meaning}",)


def test_known_hosts_options_are_read(home: Path, resolved: Callable[..., Host]) -> None:
    files = f"UserKnownHostsFile {home}/a {home}/b\n GlobalKnownHostsFile {home}/g\n"
    host = resolved(f"Host box\n {files} HostKeyAlias cluster\n StrictHostKeyChecking yes\n")
    assert host.user_known_hosts == (home / "a", home / "b")
    assert host.global_known_hosts == (home / "g",)
    assert (host.key_name, host.strict_host_key) == ("cluster", "yes")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("no", "accept-new"), ("off", "accept-new"), ("accept-new", "accept-new"), ("ask", "ask")],
)
def test_no_host_key_checking_still_checks_what_is_known(
    resolved: Callable[..., Host], value: str, meaning: str
) -> None:
    assert resolved(f"Host box\n StrictHostKeyChecking {value}\n").strict_host_key == meaning


def test_known_hosts_of_dev_null_are_kept_in_a_file_of_our_own(
    resolved: Callable[..., Host],
) -> None:
    state = user_state_path("remotenb", appauthor=False)
    host = resolved("Host box\n UserKnownHostsFile /dev/null\n StrictHostKeyChecking no\n")
    assert host.user_known_hosts == (state / "known_hosts",)
    assert host.strict_host_key == "accept-new"


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("1m", 60.0), ("0", 10.0)])
def test_connect_timeout_is_read_in_seconds(
    resolved: Callable[..., Host], value: str, seconds: float
) -> None:
    assert resolved(f"Host box\n ConnectTimeout {value}\n").connect_timeout == seconds


def hops(host: Host) -> list[str]:
    return [f"{jump.user}@{jump.hostname}:{jump.port}" for jump in host.jumps]


def test_proxy_jump_is_a_chain_nearest_first(resolved: Callable[..., Host]) -> None:
    text = "Host box\n ProxyJump bob@door:2222,inner\nHost inner\n HostName 10.0.0.9\n User eve\n"
    assert hops(resolved(text)) == ["bob@door:2222", "eve@10.0.0.9:22"]


def test_a_jump_hosts_own_jump_host_comes_before_it(resolved: Callable[..., Host]) -> None:
    text = (
        "Host box\n ProxyJump login\nHost login\n ProxyJump door\n"
        "Host door\n HostName door.example\nHost *\n User alice\n"
    )
    assert hops(resolved(text)) == ["alice@door.example:22", "alice@login:22"]


def test_a_jump_through_everything_but_itself_is_no_loop(resolved: Callable[..., Host]) -> None:
    assert hops(resolved("Host * !door\n ProxyJump door\nHost *\n User alice\n")) == [
        "alice@door:22"
    ]


def test_a_circle_of_jumps_is_an_error_that_says_so(resolved: Callable[..., Host]) -> None:
    with pytest.raises(SshConfigError, match="circle") as raised:
        resolved("Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "a")
    assert "ProxyJump" in raised.value.hint


def test_proxy_jump_none_and_proxy_command_none_are_none(resolved: Callable[..., Host]) -> None:
    assert resolved("Host box\n ProxyJump none\n").jumps == ()
    assert resolved("Host box\n ProxyCommand none\n").proxy_command is None


def test_a_proxy_command_is_kept(resolved: Callable[..., Host]) -> None:
    assert resolved("Host box\n ProxyCommand nc -x proxy box 22\n").proxy_command == (
        "nc -x proxy box 22"
    )


@pytest.mark.parametrize(
    "text",
    ["Host box\n Port nope\n", "Match nonsense\n", "Host box\n Port\n"],
    ids=["port", "match", "no value"],
)
def test_a_config_that_ssh_refuses_is_an_error_of_ours(
    resolved: Callable[..., Host], text: str
) -> None:
    with pytest.raises(SshConfigError) as raised:
        resolved(text)
    assert (raised.value.code, bool(raised.value.hint)) == (3, True)


def test_names_to_complete_are_found_past_circles_and_lines_that_are_wrong(home: Path) -> None:
    (home / "one").write_text(f"\ufeffHost a b*\nNonsense\nInclude {home}/t*\nHost c\n", "utf-8")
    (home / "two").write_text(f"Include {home}/one {home}/two\nHost !x d\n", "utf-8")
    assert aliases(home / "one") == ["a", "c", "d"]


def test_dev_null_is_a_config_without_a_word(home: Path) -> None:
    host = resolve("box", config_file=Path("/dev/null"))
    assert (host.hostname, host.jumps) == ("box", ())


def test_a_config_file_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(SshConfigError, match="absent"):
        resolve("box", config_file=home / "absent")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("box", ("box", None, None)),
        ("alice@box", ("box", "alice", None)),
        ("alice@10.0.0.5:2222", ("10.0.0.5", "alice", 2222)),
        ("ssh://alice@box:22", ("box", "alice", 22)),
        ("[fe80::1%eth0]:22", ("fe80::1%eth0", None, 22)),
        ("2001:db8::1", ("2001:db8::1", None, None)),
        ("alice@[::1]", ("::1", "alice", None)),
    ],
)
def test_a_destination_is_user_host_and_port(text: str, parts: tuple[object, ...]) -> None:
    assert parse_destination(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "-oProxyCommand=x",
        "-l@box",
        "box:0",
        "box:65536",
        "box:",
        "a b",
        "box:x",
        "a/b",
    ],
)
def test_what_is_no_destination_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_destination(text)


@given(st.text() | st.text(alphabet="a@:[]-.1%"))
def test_any_text_is_a_destination_or_a_usage_error(text: str) -> None:
    try:
        name, user, _port = parse_destination(text)
        assert not name.startswith("-")
        assert not (user or "").startswith("-")
    except UsageError as error:
        assert error.hint  # noqa: PT017  either outcome is right
