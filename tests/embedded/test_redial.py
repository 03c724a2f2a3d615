"""TCP again after an outage: fresh attempts, in step, to every address, until one is through."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from remotenb.errors import HostUnknown, HostUnreachable
from remotenb.model import Host
from remotenb.ssh import redial as module
from remotenb.ssh.dial import SshSocket
from remotenb.ssh.redial import Race, address_of, redial
from tests.embedded.peers import TIMEOUT_S, closed_port, listening, silent, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.ssh.dial import Address

SPACING_S = 0.05
NEVER = threading.Event()


def host_at(port: int, hostname: str = "127.0.0.1") -> Host:
    return Host("box", hostname, "ann", port=port)


def sockets() -> set[int]:
    return {one.fd for one in psutil.Process().net_connections("tcp")}


def loopback(port: int) -> Address:
    return socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", port)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No socket stays open, neither here nor in a thread."""
    before = sockets()
    yield
    until(lambda: sockets() <= before, "all sockets are closed")


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener whose queue is full: on Linux it leaves further SYNs without an answer."""
    if os.name == "nt":
        pytest.skip("a full backlog, and attempts that hang, are Linux's to show")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with socket.create_connection(server.getsockname(), TIMEOUT_S):
            yield server


def attempts(port: int) -> list[int]:
    """The local ports of this process's attempts at ``port`` that hang."""
    return [
        one.laddr.port
        for one in psutil.Process().net_connections("tcp")
        if len(one.raddr) and one.raddr.port == port and one.status == psutil.CONN_SYN_SENT
    ]


def test_a_listener_is_found_and_the_connection_is_tuned() -> None:
    with (
        listening(silent) as port,
        redial(host_at(port), stop=NEVER, deadline=time.monotonic() + TIMEOUT_S) as sock,
    ):
        assert isinstance(sock, SshSocket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.gettimeout() == 10.0
        assert address_of(sock)[3] == ("127.0.0.1", port)


def test_a_listener_that_comes_later_is_found_at_the_next_attempt() -> None:
    with closed_port() as port:
        pass
    with Race(host_at(port), (), spacing=SPACING_S, lifetime=1.0) as race:
        until(lambda: race.turn(time.monotonic(), NEVER) or race.tries >= 3, "it is refused")
        with socket.create_server(("127.0.0.1", port)):
            there, tries = time.monotonic(), race.tries
            while (sock := race.turn(time.monotonic(), NEVER)) is None:
                assert time.monotonic() - there < 1.0
            sock.close()
            assert race.tries <= tries + 2


def test_refusals_are_paced() -> None:
    with closed_port() as port, Race(host_at(port), (), spacing=0.1, lifetime=1.0) as race:
        start = time.monotonic()
        while time.monotonic() < start + 1.0:
            assert race.turn(time.monotonic(), NEVER) is None
        assert 2 <= race.tries <= 11
        assert race.failure().message == f"127.0.0.1 port {port} refuses connections"


def test_turns_take_their_time_whatever_goes_on() -> None:
    """No busy loop: neither while attempts hang, nor after refusals, nor without an address."""
    with full_listener() as server, closed_port() as closed:
        places = [
            host_at(server.getsockname()[1]),
            host_at(closed),
            host_at(22, hostname="no-such-host.invalid"),
        ]
        for host in places:
            with Race(host, (), spacing=0.1, lifetime=5.0) as race:
                turns, start = 0, time.monotonic()
                while time.monotonic() < start + 0.5:
                    assert race.turn(time.monotonic(), NEVER) is None
                    turns += 1
                assert turns < 40


def test_at_the_deadline_it_is_said_what_the_attempts_met() -> None:
    with closed_port() as port, pytest.raises(HostUnreachable, match="refuses connections"):
        redial(host_at(port), stop=NEVER, spacing=SPACING_S, deadline=time.monotonic() + 0.3)


def test_at_the_deadline_a_silent_host_does_not_answer() -> None:
    with full_listener() as server:
        host = host_at(server.getsockname()[1])
        with pytest.raises(HostUnreachable, match="does not answer"):
            redial(host, stop=NEVER, spacing=SPACING_S, deadline=time.monotonic() + 0.3)


def test_at_the_deadline_an_unknown_name_is_said_to_be_one() -> None:
    host = host_at(22, hostname="no-such-host.invalid")
    with pytest.raises(HostUnknown, match="does not resolve"):
        redial(host, stop=NEVER, deadline=time.monotonic() + 0.5)


def test_while_attempts_hang_fresh_ones_are_made_and_three_at_most() -> None:
    with (
        full_listener() as server,
        Race(host_at(server.getsockname()[1]), (), spacing=SPACING_S, lifetime=0.5) as race,
    ):
        port = server.getsockname()[1]
        deadline = time.monotonic() + TIMEOUT_S
        seen: set[int] = set()
        while len(seen) < 5:
            assert race.turn(time.monotonic(), NEVER) is None
            assert time.monotonic() < deadline
            hanging = attempts(port)
            assert len(hanging) <= 3
            seen.update(hanging)


def test_a_fresh_attempt_is_through_before_the_kernel_repeats_an_old_one() -> None:
    stop = threading.Event()
    with full_listener() as server, ThreadPoolExecutor(1) as pool:
        port = server.getsockname()[1]
        dialling = pool.submit(
            redial,
            host_at(port),
            stop=stop,
            spacing=SPACING_S,
            lifetime=0.3,
        )
        until(lambda: len(attempts(port)) >= 2, "attempts hang")
        server.accept()[0].close()
        back = time.monotonic()
        dialling.result(TIMEOUT_S).close()
        assert time.monotonic() - back < 0.9


def test_stop_ends_it_at_once() -> None:
    stop = threading.Event()
    with full_listener() as server, ThreadPoolExecutor(1) as pool:
        dialling = pool.submit(redial, host_at(server.getsockname()[1]), stop=stop)
        until(lambda: attempts(server.getsockname()[1]), "an attempt hangs")
        stop.set()
        with pytest.raises(HostUnreachable, match="not dialled any more"):
            dialling.result(1)


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as closed, listening(silent) as port:
        both = [loopback(closed), loopback(port)]
        monkeypatch.setattr(module, "resolve", lambda _: both)
        host = host_at(port, hostname="two.example")
        deadline = time.monotonic() + TIMEOUT_S
        with redial(host, stop=NEVER, spacing=SPACING_S, deadline=deadline) as sock:
            assert address_of(sock) == loopback(port)


def test_a_resolver_that_hangs_does_not_keep_from_a_known_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()

    def hang(_: Host) -> list[Address]:
        answer.wait(TIMEOUT_S)
        return []

    monkeypatch.setattr(module, "resolve", hang)
    with listening(silent) as port:
        host = host_at(port, hostname="slow.example")
        deadline = time.monotonic() + TIMEOUT_S
        start = time.monotonic()
        with redial(host, stop=NEVER, deadline=deadline, known=[loopback(port)]):
            assert time.monotonic() - start < 2
    with pytest.raises(HostUnknown, match="no answer in time"):
        redial(host, stop=NEVER, deadline=time.monotonic() + 0.2)
    answer.set()


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "no server answers"), True),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), False),
    ],
    ids=["for-now", "unknown"],
)
def test_a_known_address_is_kept_until_the_name_is_said_to_be_unknown(
    monkeypatch: pytest.MonkeyPatch, error: OSError, *, kept: bool
) -> None:
    def fail(_: Host) -> list[Address]:
        raise error

    monkeypatch.setattr(module, "resolve", fail)
    with closed_port() as port:
        names = module.Names(host_at(port), [loopback(port)])
        deadline = time.monotonic() + TIMEOUT_S
        while names.error is None:
            names.look(time.monotonic())
            assert time.monotonic() < deadline
        assert bool(names.addresses) is kept


def test_a_name_is_asked_for_again_and_a_new_address_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RESOLVE_EVERY_S", SPACING_S)
    with closed_port() as old, listening(silent) as new:
        answers = iter([[loopback(old)], [loopback(old)]])
        monkeypatch.setattr(module, "resolve", lambda _: next(answers, [loopback(new)]))
        host = host_at(old, hostname="moved.example")
        deadline = time.monotonic() + TIMEOUT_S
        with redial(host, stop=NEVER, spacing=SPACING_S, deadline=deadline) as sock:
            assert address_of(sock) == loopback(new)
