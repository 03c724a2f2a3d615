"""A process of the laptop that dies: its page's next websocket goes on where the last one ended."""

from __future__ import annotations

import os
import select
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.far.websocket import Frames, page_of
from tests.rig.failures import until

assert sys.platform != "win32"  # unix sockets and signals

if TYPE_CHECKING:
    from remotenb.server import Endpoint
    from remotenb.tunnel.relayed import Relayed
    from tests.relay.conftest import Scene

FIRST, LATER, ALL = 10, 30, 40
PAGE = b"GET /api/kernels/4f/channels?session_id=77&token=x HTTP/1.1"
OTHER = b"GET /terminals/websocket/1 HTTP/1.1"
PROTOCOL = b"Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org\r\n"
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


class Kernel:
    """Writes numbered frames to the websocket there is; what it has not written, to the next.

    Made up, but for what counts: like Jupyter it writes when it can, and sees a browser's end.
    """

    def __init__(self, size: int, terms: list[bytes], *, sees_the_end: bool = True) -> None:
        """``terms`` are what it agrees to, on one websocket after another."""
        self._padding = bytes(size)
        self._terms = terms
        self._sees_the_end = sees_the_end
        self.may_write = FIRST
        self.written = 0
        self.asked = 0

    def serve(self, sock: socket.socket) -> None:
        sock.recv(1 << 16)
        terms = self._terms[min(self.asked, len(self._terms) - 1)]
        self.asked += 1
        turn = self.asked
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n" + terms + b"\r\n")
        while turn == self.asked:
            if select.select([sock], [], [], 0.01)[0] and self._sees_the_end:
                return
            if self.written < self.may_write:
                sock.sendall(self.frame(self.written))
                self.written += 1

    def frame(self, number: int) -> bytes:
        payload = number.to_bytes(4, "big") + self._padding
        return b"\x82\x7f" + len(payload).to_bytes(8, "big") + payload


def opened(scene: Scene, laptop: Relayed, endpoint: Endpoint, request: bytes) -> socket.socket:
    """A page's websocket, behind the head of its answer."""
    sock = scene.dial(laptop, endpoint)
    sock.settimeout(20)
    sock.sendall(request + b"\r\nUpgrade: websocket\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = sock.recv(1)
        assert more
        head += more
    assert b" 101 " in head
    return sock


def number(sock: socket.socket, kernel: Kernel) -> int:
    """Of the next frame, which is whole."""
    data = b""
    wanted = len(kernel.frame(0))
    while len(data) < wanted:
        more = sock.recv(wanted - len(data))
        assert more
        data += more
    found = int.from_bytes(data[10:14], "big")
    assert data == kernel.frame(found)
    return found


class Killed:
    """A page that has read the first frames when its process dies; and the next process."""

    def __init__(
        self, scene: Scene, kernel: Kernel, request: bytes = PAGE, *, torn: bool = False
    ) -> None:
        """``torn``: one frame more has arrived, but for its end."""
        self.scene, self.kernel = scene, kernel
        self.endpoint = scene.serve(kernel.serve)
        session = os.urandom(16)
        old, self.new = scene.laptop(session), scene.laptop(session)
        bounds = {"memory": 4 << 20, "disk": 64 << 20}
        scene.beside.link(old, bounds=bounds)
        page = opened(scene, old, self.endpoint, request)
        assert [number(page, kernel) for _ in range(FIRST)] == list(range(FIRST))
        until(lambda: not scene.beside.link(old).held, "an acknowledgement of all that came")
        if torn:
            kernel.may_write += 1
            most = len(kernel.frame(0)) - 100_000
            until(lambda: 0 < scene.beside.link(old).held < most, "a part of a frame")
        old.detach("killed")
        kernel.may_write = LATER
        until(lambda: kernel.written == LATER, "what nobody reads")
        scene.beside.link(self.new)
        kernel.may_write = ALL

    def reopened(self, request: bytes = PAGE) -> list[int]:
        """What the page gets that opens its websocket again."""
        sock = opened(self.scene, self.new, self.endpoint, request)
        found = [number(sock, self.kernel)]
        while found[-1] < ALL - 1:
            found.append(number(sock, self.kernel))
        return found


@pytest.mark.parametrize("size", [0, 300_000])
def test_a_page_gets_what_its_dead_process_did_not_give_it_once_and_in_order(
    scene: Scene, size: int
) -> None:
    killed = Killed(scene, Kernel(size, [PROTOCOL]))
    assert killed.reopened() == list(range(FIRST, ALL))
    assert killed.kernel.asked == 2
    killed.kernel.may_write = 0


def test_of_a_message_that_arrived_in_part_nothing_comes_again(scene: Scene) -> None:
    killed = Killed(scene, Kernel(3_000_000, [PROTOCOL]), torn=True)
    assert killed.reopened() == list(range(FIRST + 1, ALL))


@pytest.mark.parametrize(
    ("terms", "request_line"),
    [
        pytest.param([PROTOCOL, b""], PAGE, id="other-terms"),
        pytest.param([DEFLATE], PAGE, id="compressed"),
        pytest.param([PROTOCOL], OTHER, id="no-kernel"),
    ],
)
def test_what_may_not_be_joined_is_not(
    scene: Scene, terms: list[bytes], request_line: bytes
) -> None:
    killed = Killed(scene, Kernel(0, terms), request_line)
    assert killed.reopened(request_line) == list(range(LATER, ALL))


def test_another_page_gets_nothing_of_it_and_the_page_gets_it_afterwards(scene: Scene) -> None:
    killed = Killed(scene, Kernel(0, [PROTOCOL]))
    killed.kernel.may_write = LATER + 1
    other = opened(scene, killed.new, killed.endpoint, PAGE.replace(b"77", b"78"))
    assert number(other, killed.kernel) == LATER
    killed.kernel.may_write = ALL
    assert killed.reopened()[: LATER - FIRST] == list(range(FIRST, LATER))


def test_a_server_that_does_not_see_the_browsers_end_is_not_waited_for(scene: Scene) -> None:
    killed = Killed(scene, Kernel(0, [PROTOCOL], sees_the_end=False))
    found = killed.reopened()
    assert found == list(range(FIRST, ALL))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_wherever_the_acknowledged_bytes_end_the_rest_begins_with_a_frame(
    payloads: list[bytes], data: st.DataObject
) -> None:
    head = b"HTTP/1.1 101\r\n\r\n"
    frames = [b"\x82\x7e" + len(one).to_bytes(2, "big") + one for one in payloads]
    whole = head + b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=1, max_size=4)))
    arrived = Frames(skipped=len(head))
    for begin, end in zip([0, *cuts], cuts, strict=False):
        arrived.feed(whole[begin:end])
    rest = (arrived.begun + whole[cuts[-1] :])[arrived.left :]
    assert rest in [b"".join(frames[count:]) for count in range(len(frames) + 1)]
    lost = whole[: len(whole) - len(rest)]
    assert len(lost) - cuts[-1] < max(map(len, frames)) or cuts[-1] < len(head)


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /api/kernels/4f/channels HTTP/1.1",
        b"GET /api/kernels/4f/5/channels?session_id=7 HTTP/1.1",
        b"POST /api/kernels/4f/channels?session_id=7 HTTP/1.1",
        b"GET /lsp/ws/pylsp?session_id=7 HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /api/kernels/4f/channels?session_id=" + b"7" * 5000 + b" HTTP/1.1",
    ],
)
def test_no_other_request_is_a_kernels_page(request_head: bytes) -> None:
    assert page_of(request_head + b"\r\nHost: x\r\n\r\n") == b""


def test_a_kernels_page_is_known_under_any_base_url() -> None:
    line = b"GET /user/al/api/kernels/4f-1/channels?token=y&session_id=7 HTTP/1.1"
    assert page_of(line + b"\r\nHost: x\r\n\r\n") == line
