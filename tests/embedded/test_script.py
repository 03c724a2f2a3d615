"""Scripts over the link: what they leave is told exactly, and they end in time."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from remotenb.embedded import EmbeddedServer
from remotenb.errors import FarSideError, LinkError, ShellUnusable
from remotenb.ssh.link import open_link
from tests.embedded.conftest import environment, played
from tests.embedded.peers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paramiko import Channel

    from remotenb.ssh.link import Link
    from tests.embedded.conftest import Box


@pytest.fixture
def link(box: Box) -> Iterator[Link]:
    """A connection of its own for each test: what breaks one breaks no other."""
    with open_link(box.host) as opened:
        yield opened


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_the_exit_code_is_told(link: Link, code: int) -> None:
    assert link.script(f"exit {code}", timeout=10).code == code


def test_stdout_and_stderr_are_told_apart(link: Link) -> None:
    done = link.script("echo out; echo err >&2", timeout=10)
    assert (done.out, done.err) == (b"out\n", b"err\n")


def test_output_that_is_no_text_comes_as_it_is(link: Link) -> None:
    assert link.script(r"printf '\377\376\000\001\r\n'", timeout=10).out == b"\xff\xfe\0\x01\r\n"


def test_parameters_and_variables_of_any_size_arrive(link: Link) -> None:
    long = "x'y\n" * 100_000
    done = link.script('printf %s "$1" | wc -c; printf %s "$A" | wc -c', long, timeout=20, A=long)
    assert done.out.split() == [b"400000", b"400000"]


def test_output_larger_than_sshs_usual_window_is_whole(link: Link) -> None:
    done = link.script("head -c 6000000 /dev/zero", timeout=30)
    assert (done.code, len(done.out)) == (0, 6_000_000)


def test_much_on_stderr_stops_nothing_and_its_end_is_kept(link: Link) -> None:
    done = link.script("head -c 6000000 /dev/zero >&2; echo end >&2; echo out", timeout=30)
    assert (done.code, done.out) == (0, b"out\n")
    assert done.err.endswith(b"end\n")
    assert len(done.err) <= 1 << 16


def test_output_without_an_end_is_cut_off_and_not_blamed_on_the_shell(link: Link) -> None:
    with pytest.raises(FarSideError) as raised:
        link.script("yes | head -c 20000000", timeout=30)
    assert not isinstance(raised.value, ShellUnusable)


def test_a_script_that_does_not_end_is_given_up_in_time(link: Link) -> None:
    start = time.monotonic()
    with pytest.raises(FarSideError, match=r"did not finish a command in 0.4 s") as raised:
        link.script("echo before; sleep 3", timeout=0.4)
    assert time.monotonic() - start < 2
    assert (raised.value.code, bool(raised.value.hint)) == (4, True)
    assert link.script("echo on", timeout=10).out == b"on\n"


def test_many_scripts_at_once_do_not_mix(link: Link) -> None:
    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(lambda n: link.script(f"echo {n}", timeout=30).out, range(24)))
    assert done == [b"%d\n" % n for n in range(24)]


def shell_that(tmp_path: Path, *lines: str) -> EmbeddedServer:
    """A box whose login shell is this script."""
    if os.name == "nt":
        pytest.skip("a login shell is Linux's")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    (programs / "sh").chmod(0o755)
    return EmbeddedServer(tmp_path, environment=environment(programs))


def test_noise_of_a_login_shell_is_left_out(tmp_path: Path) -> None:
    noise = 'echo "Welcome to gpu-box"; printf "no newline"; echo warning >&2'
    box = shell_that(tmp_path, noise, 'exec /bin/sh "$@"')
    with played(box) as host, open_link(host) as link:
        done = link.script("echo out; exit 3", timeout=10)
        assert (done.code, done.out) == (3, b"out\n")


def test_a_login_shell_that_lets_nobody_in_is_said_in_its_own_words(tmp_path: Path) -> None:
    words = "cat >/dev/null; echo This account is currently not available.; exit 1"
    with played(shell_that(tmp_path, words)) as host, open_link(host) as link:
        with pytest.raises(ShellUnusable, match="currently not available") as raised:
            link.script("echo out", timeout=10)
        assert raised.value.code == 4


def test_a_script_in_the_command_itself_is_the_same(link: Link) -> None:
    odd = "it's \n$HOME \\ !x"
    done = link.script('printf %s "$1$A"; exit 3', odd, timeout=10, in_command=True, A="ü")
    assert (done.code, done.out) == (3, (odd + "ü").encode())


def test_where_nothing_unpacks_it_the_script_goes_by_stdin(tmp_path: Path) -> None:
    box = shell_that(tmp_path, 'exec /bin/sh "$@"')
    (tmp_path / "programs" / "gzip").symlink_to("/bin/false")
    with played(box) as host, open_link(host) as link:
        assert link.script("echo out", timeout=10, in_command=True).out == b"out\n"
        assert len(link.transport.channels_seen) == 2


def test_after_its_end_the_link_says_so(box: Box) -> None:
    link = open_link(box.host)
    assert link.alive
    assert not link.wait(0.01)
    link.close()
    assert link.wait(5)
    with pytest.raises(LinkError) as raised:
        link.script("echo x", timeout=5)
    assert raised.value.passing


def test_a_command_that_is_left_while_it_prints_costs_the_connection_nothing(link: Link) -> None:
    for _ in range(3):
        channel = link.pipe(["sh", "-c", "yes"], b"")
        assert channel.recv(1)
        channel.close()
    assert link.script("echo out", timeout=10).out == b"out\n"


def spared() -> None:
    """Wait until the answer to the spare session's opening is there."""
    until(lambda: not any(one.name == "spare" for one in threading.enumerate()), "the spare")


def channels(link: Link) -> list[Channel]:
    """Those that are open."""
    everyone = link.transport._channels.values()  # type: ignore[attr-defined]
    return [one for one in everyone if not one.closed]


def said(channel: Channel) -> bytes:
    """All that a command prints."""
    channel.settimeout(10)
    out = b""
    while data := channel.recv(1 << 16):
        out += data
    return out


def test_a_session_opened_ahead_serves_the_next_command_and_no_second_one(link: Link) -> None:
    link.script("true", timeout=10, pipe_next=True)
    spared()
    opened = len(link.transport.channels_seen)
    first = link.pipe(["cat"], b"one")
    assert len(link.transport.channels_seen) == opened
    second = link.pipe(["cat"], b"two")
    for channel, words in ((first, b"one"), (second, b"two")):
        channel.shutdown_write()
        assert said(channel) == words


def test_a_session_opened_ahead_serves_the_next_script(link: Link) -> None:
    link.script("true", timeout=10, pipe_next=True)
    spared()
    opened = len(link.transport.channels_seen)
    done = link.script('echo "$1"; exit 3', "in it", timeout=10)
    assert (done.code, done.out) == (3, b"in it\n")
    assert len(link.transport.channels_seen) == opened


def test_a_session_opened_ahead_that_died_is_replaced(link: Link) -> None:
    link.script("true", timeout=10, pipe_next=True)
    spared()
    (spare,) = channels(link)
    spare.sendall(b"exit 3\n")
    until(lambda: spare.closed or spare.eof_received, "its end")
    channel = link.pipe(["cat"], b"all the same")
    channel.shutdown_write()
    assert said(channel) == b"all the same"


def test_a_session_opened_ahead_and_not_wanted_is_closed(link: Link) -> None:
    link.script("true", timeout=10, pipe_next=True)
    link.sessions.drop_spare()
    until(lambda: not channels(link), "the channels' end")
