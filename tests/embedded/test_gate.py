"""The gate before an open server, with real HTTP through the tunnel."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import threading
from contextlib import closing
from getpass import getuser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from remotenb.server import Endpoint
from remotenb.tunnel.direct import DirectCarrier
from remotenb.tunnel.gate import HEAD_LIMIT, Gate
from remotenb.tunnel.listener import Listener, bind
from tests.embedded.peers import TIMEOUT_S, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.ssh.link import Link


class OpenServer(BaseHTTPRequestHandler):
    """Does what anybody asks for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 3))
        self.end_headers()
        self.wfile.write(b"did" + body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port(link: Link) -> Iterator[int]:
    """The tunnel's local port to an open server, with the gate before it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OpenServer) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        carrier = DirectCarrier(link.transport, Endpoint("127.0.0.1", server.server_address[1]))
        sock = bind([0])
        with Listener(sock, Gate(carrier, sock.getsockname()[1])) as listener:
            yield listener.port
        server.shutdown()
        serving.join(TIMEOUT_S)


def asked(port: int, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, "/", body=body, headers=named)
        answer = connection.getresponse()
        return answer.status, answer.read()


def talk(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as browser:
        browser.sendall(data)
        return read_all(browser)


def test_the_servers_own_page_gets_its_answer(port: int) -> None:
    assert asked(port) == (200, b"did")
    assert asked(port, Origin=f"http://127.0.0.1:{port}") == (200, b"did")


def test_a_body_of_any_size_arrives_behind_the_head(port: int) -> None:
    body = os.urandom(300_000)
    assert asked(port, "POST", body) == (200, b"did" + body)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ],
    ids=str,
)
def test_another_page_is_refused_in_words(port: int, headers: dict[str, str]) -> None:
    status, words = asked(port, "POST", b"evil", **headers)
    assert status == 403
    assert words.startswith(b"remotenb: ")


def test_a_connection_serves_one_request_only(port: int) -> None:
    own = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: keep-alive\r\n\r\n" % port
    evil = b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4\r\n\r\nevil"
    answer = talk(port, own + evil)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"evil" not in answer


def test_a_head_in_many_small_pieces_is_read_to_its_end(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as browser:
        browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head:
            browser.sendall(bytes([byte]))
        assert read_all(browser).endswith(b"did")


def test_a_head_without_an_end_is_not_read_for_ever(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_LIMIT - 19))
        assert browser.recv(100) == b""


def test_a_browser_that_leaves_before_it_asks_disturbs_nothing(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
    assert asked(port)[0] == 200


def test_another_user_of_the_laptop_is_refused(port: int) -> None:
    if getuser() != "root" or not shutil.which("bash"):
        pytest.skip("to become another user needs root, and bash to connect as one")
    request = rf"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / HTTP/1.1\r\n"
    request += rf"Host: 127.0.0.1:{port}\r\n\r\n' >&3; cat <&3"
    argv = ["bash", "-c", request]
    for user, status in ((0, b"200"), (65534, b"403")):
        done = subprocess.run(
            argv, check=True, capture_output=True, timeout=TIMEOUT_S, user=user, cwd="/"
        )
        assert done.stdout.split()[1] == status
