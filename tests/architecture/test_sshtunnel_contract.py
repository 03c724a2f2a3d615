"""What the direct carrier needs of sshtunnel's private handler; the pinned version has it."""

from __future__ import annotations

import logging
import socket
import socketserver
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
import sshtunnel

from remotenb.tunnel import direct

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = ("127.0.0.1", 8888)


class Channel:
    closed = False

    def close(self) -> None:
        self.closed = True


class Transport:
    """Remembers how a channel was asked for, and gives one, or refuses."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.asked: dict[str, Any] = {}
        self.channel = Channel()
        self._refusal = refusal

    def open_channel(self, **asked: Any) -> Channel:
        self.asked = asked
        if self._refusal is not None:
            raise self._refusal
        return self.channel


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connected pair on the loopback; both are closed in the end."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as browser,
        server.accept()[0] as accepted,
    ):
        yield browser, accepted


def handled(transport: Transport, request: socket.socket) -> list[object]:
    """Run the handler as the carrier does; what its ``_redirect`` was given."""
    given: list[object] = []

    class Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]
        remote_address = ENDPOINT
        ssh_transport = transport
        logger = logging.getLogger("test")

        def _redirect(self, chan: object) -> None:
            assert self.request is request
            given.append(chan)

    Handler(request, request.getpeername(), None)
    return given


def test_the_version_is_the_one_that_was_read() -> None:
    assert sshtunnel.__version__ == "0.5.1"


def test_the_handler_has_the_attributes_that_are_set_on_it() -> None:
    handler = sshtunnel._ForwardHandler
    assert issubclass(handler, socketserver.BaseRequestHandler)
    for attribute in ("remote_address", "ssh_transport", "logger", "_redirect", "handle"):
        assert hasattr(handler, attribute)
    assert issubclass(direct._Handler, handler)
    assert direct._Handler._redirect is not handler._redirect
    assert direct._Handler.handle is handler.handle


def test_it_opens_a_direct_tcpip_channel_and_hands_it_to_redirect(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    _browser, request = pair
    peer = request.getpeername()
    transport = Transport()
    assert handled(transport, request) == [transport.channel]
    assert transport.asked["kind"] == "direct-tcpip"
    assert transport.asked["dest_addr"] == ENDPOINT
    assert transport.asked["src_addr"] == peer
    assert transport.asked["timeout"] > 0


def test_it_closes_channel_and_socket_afterwards(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    browser, request = pair
    transport = Transport()
    handled(transport, request)
    assert transport.channel.closed
    assert request.fileno() == -1
    assert browser.recv(1) == b""


def test_a_channel_that_is_refused_is_its_own_exception(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    refusal = paramiko.ChannelException(2, "Connect failed")
    with pytest.raises(sshtunnel.HandlerSSHTunnelForwarderError):
        handled(Transport(refusal), pair[1])
