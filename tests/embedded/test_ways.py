"""What a relay may dial: all that was expected of its place, whenever that was."""

from __future__ import annotations

import secrets
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from remotenb.probe import probe
from remotenb.server import ON_HOST, Endpoint
from remotenb.session.ways import Ways
from tests.embedded.peers import TIMEOUT_S, echo_at_once, listening

if TYPE_CHECKING:
    from remotenb.ssh.link import Link


@pytest.mark.skipif(sys.platform == "win32", reason="the box sees its own ports alone")
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
