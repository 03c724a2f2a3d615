"""From a port of the laptop to a port of the box, to the last byte."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from remotenb.server import Endpoint
from remotenb.ssh.link import open_link
from remotenb.tunnel.direct import DirectCarrier
from remotenb.tunnel.listener import Listener, bind
from tests.embedded.peers import (
    TIMEOUT_S,
    closed_port,
    echo_at_once,
    echo_at_the_end,
    listening,
    read_all,
    silent,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.ssh.link import Link
    from tests.embedded.conftest import Box

    Tunnel = Callable[[int], socket.socket]


def test_a_half_closed_connection_still_gets_its_whole_answer(tunnel: Tunnel) -> None:
    data = os.urandom(200_000)
    with listening(echo_at_the_end) as port:
        browser = tunnel(port)
        browser.sendall(data)
        browser.shutdown(socket.SHUT_WR)
        assert read_all(browser) == data


def test_a_server_that_has_finished_still_gets_the_rest_of_the_question(tunnel: Tunnel) -> None:
    got: list[bytes] = []
    done = threading.Event()

    def finish_first(sock: socket.socket) -> None:
        sock.sendall(b"answer")
        sock.shutdown(socket.SHUT_WR)
        got.append(read_all(sock))
        done.set()

    with listening(finish_first) as port:
        browser = tunnel(port)
        assert read_all(browser) == b"answer"
        browser.sendall(b"x" * 200_000)
        browser.shutdown(socket.SHUT_WR)
        assert done.wait(TIMEOUT_S)
    assert got == [b"x" * 200_000]


def test_twenty_megabytes_go_both_ways_unchanged(tunnel: Tunnel) -> None:
    data = os.urandom(20_000_000)
    with listening(echo_at_once) as port:
        browser = tunnel(port)

        def send() -> None:
            browser.sendall(data)
            browser.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        assert hashlib.sha256(read_all(browser)).digest() == hashlib.sha256(data).digest()
        sending.join(TIMEOUT_S)


def test_a_target_that_refuses_closes_the_connection_without_a_byte(tunnel: Tunnel) -> None:
    with closed_port() as port:
        assert tunnel(port).recv(100) == b""


def test_a_target_that_may_not_be_reached_closes_the_connection_too(link: Link) -> None:
    carrier = DirectCarrier(link.transport, Endpoint("10.255.255.1", 80))
    with Listener(bind([0]), carrier) as listener:
        address = ("127.0.0.1", listener.port)
        with socket.create_connection(address, TIMEOUT_S) as browser:
            assert browser.recv(100) == b""


def test_fifty_connections_at_once_do_not_mix(tunnel: Tunnel) -> None:
    with listening(echo_at_the_end) as port:
        browsers = [tunnel(port) for _ in range(50)]

        def talk(number: int) -> bool:
            data = b"%d " % number * 5000
            browsers[number].sendall(data)
            browsers[number].shutdown(socket.SHUT_WR)
            return read_all(browsers[number]) == data

        with ThreadPoolExecutor(50) as pool:
            assert all(pool.map(talk, range(50)))


def test_a_browser_that_leaves_is_noticed_by_the_server(tunnel: Tunnel) -> None:
    left = threading.Event()

    def wait_for_the_end(sock: socket.socket) -> None:
        read_all(sock)
        left.set()

    with listening(wait_for_the_end) as port:
        browser = tunnel(port)
        browser.sendall(b"x")
        browser.close()
        assert left.wait(TIMEOUT_S)


def test_no_thread_stays_behind_after_a_connection(tunnel: Tunnel) -> None:
    before = threading.active_count()
    with listening(echo_at_the_end) as port:
        browser = tunnel(port)
        browser.shutdown(socket.SHUT_WR)
        assert read_all(browser) == b""
        browser.close()
    # one more: the listener of this test's tunnel
    until(lambda: threading.active_count() <= before + 1, "the threads are gone")


def test_the_links_end_ends_its_connections(box: Box) -> None:
    with listening(silent) as port, open_link(box.host) as link:
        carrier = DirectCarrier(link.transport, Endpoint("127.0.0.1", port))
        with Listener(bind([0]), carrier) as listener:
            address = ("127.0.0.1", listener.port)
            with socket.create_connection(address, TIMEOUT_S) as browser:
                browser.sendall(b"x")
                until(link.transport._channels.values, "the channel")  # type: ignore[attr-defined]
                link.close()
                # a reset, if the carrier had not read the byte yet: that ends it as well
                with suppress(ConnectionResetError):
                    assert browser.recv(1) == b""


def test_closing_the_listener_wakes_it_and_frees_the_port(link: Link) -> None:
    carrier = DirectCarrier(link.transport, Endpoint("127.0.0.1", 1))
    listener = Listener(bind([0]), carrier)
    accepting = listener._thread
    listener.close()
    accepting.join(TIMEOUT_S)
    assert not accepting.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), 5)
    with bind([listener.port]) as again:
        assert again.getsockname()[1] == listener.port


def test_the_port_is_on_the_loopback_alone(link: Link) -> None:
    carrier = DirectCarrier(link.transport, Endpoint("127.0.0.1", 1))
    with Listener(bind([0]), carrier) as listener:
        assert listener._sock.getsockname()[0] == "127.0.0.1"
