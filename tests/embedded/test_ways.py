"""The ways to what listens on a box: what a relay may dial, what is asked before it is there."""

from __future__ import annotations

import secrets
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remotenb.probe import probe
from remotenb.server import ON_HOST, Endpoint
from remotenb.session.ways import Ways
from tests.embedded.peers import TIMEOUT_S, echo_at_once, listening

if TYPE_CHECKING:
    import socket

    from remotenb.ssh.link import Link

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the box sees its own ports alone")


def test_a_relay_that_serves_already_dials_what_is_expected_later(link: Link) -> None:
    session = secrets.token_bytes(16)
    ways = Ways(link, probe(link, engine="host"), lambda _place: session, lambda _cut: None)
    with closing(ways), listening(echo_at_once) as first, listening(echo_at_once) as second:
        for port in (first, second):
            endpoint = Endpoint("127.0.0.1", port, place=ON_HOST)
            ways.expect([endpoint])
            with ways.connect(endpoint) as sock:
                sock.settimeout(TIMEOUT_S)
                sock.sendall(b"hello")
                assert sock.recv(5) == b"hello"


def end_of(sock: socket.socket) -> bool:
    """Whether it ends, by a reset or not, before anything came."""
    try:
        return not sock.recv(1)
    except ConnectionError:
        return True


def test_all_that_is_asked_of_a_relay_on_its_way_is_answered(link: Link) -> None:
    ways = Ways(link, probe(link, engine="host"), lambda _place: b"a" * 16, lambda _cut: None)
    with closing(ways), listening(echo_at_once) as port, ExitStack() as stack:
        endpoint = Endpoint("127.0.0.1", port, place=ON_HOST)
        ways.expect([endpoint])
        socks = [stack.enter_context(ways.connect(endpoint)) for _ in range(12)]
        for number, sock in enumerate(socks):
            sock.settimeout(TIMEOUT_S)
            sock.sendall(b"GET /api?%02d HTTP/1.1\r\n" % number)
        for number, sock in enumerate(socks):
            assert sock.recv(99) == b"GET /api?%02d HTTP/1.1\r\n" % number


def test_what_is_asked_of_a_relay_that_does_not_come_ends_without_an_answer(link: Link) -> None:
    seen = probe(link, engine="host")
    without = replace(seen, host=replace(seen.host, python="/bin/false"))
    ways = Ways(link, without, lambda _place: b"b" * 16, lambda _cut: None)
    endpoint = Endpoint("127.0.0.1", 1, place=ON_HOST)
    with closing(ways):
        ways.expect([endpoint])
        with ways.connect(endpoint) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.sendall(b"hello")
            assert end_of(sock)
        with pytest.raises(OSError, match="closed by the far side"):
            ways.take(ON_HOST)
        with pytest.raises(OSError, match="closed by the far side"):
            ways.connect(endpoint)
        assert ways.refusal(ON_HOST)
