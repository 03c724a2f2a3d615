"""The relay beside a server: what it keeps, what it answers, what it refuses, when it goes."""

from __future__ import annotations

import hashlib
import os
import random
import select
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotenb.far.websocket import PING, PONG, Frames, pong
from remotenb.server import Endpoint
from tests.rig.failures import until

assert sys.platform != "win32"  # unix sockets and signals

if TYPE_CHECKING:
    from tests.relay.conftest import Scene

UPGRADE = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
MESSAGE = b"\x82\x7f" + (1 << 16).to_bytes(8, "big") + bytes(1 << 16)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def read(sock: socket.socket, count: int) -> bytes:
    sock.settimeout(20)
    data = bytearray()
    while len(data) < count and (more := sock.recv(1 << 20)):
        data += more
    return bytes(data)


def ended(sock: socket.socket) -> bool:
    """Whether the other end closes it, in whatever way, and without a byte."""
    sock.settimeout(10)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def echo(sock: socket.socket) -> None:
    while data := sock.recv(1 << 16):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_a_connection_goes_on_over_the_next_link(scene: Scene) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.link(laptop)
    sock = scene.dial(laptop, endpoint)
    sock.sendall(b"before ")
    assert read(sock, 7) == b"before "
    laptop.detach("cut")
    sock.sendall(b"between ")
    attached = scene.beside.link(laptop)
    assert (attached.fresh, attached.lost) == (False, 0)
    sock.sendall(b"after")
    assert read(sock, 13) == b"between after"


def test_bytes_survive_twenty_cuts_in_both_directions_and_the_half_close(scene: Scene) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    blob = random.Random(1).randbytes(8 << 20)
    scene.beside.link(laptop)
    sock = scene.dial(laptop, endpoint)

    def send() -> None:
        sock.sendall(blob)
        sock.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    came = bytearray()
    sock.settimeout(20)
    for cut in range(1, 21):
        while len(came) < len(blob) * cut // 21:
            came += sock.recv(1 << 16)
        laptop.detach("cut")
        scene.beside.link(laptop)
    while data := sock.recv(1 << 16):
        came += data
    assert hashlib.sha256(came).digest() == hashlib.sha256(blob).digest()


def test_when_all_six_connections_of_a_browser_wait_one_after_the_other_asks_again(
    scene: Scene,
) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.link(laptop)
    laptop.detach("cut")
    polls = [POLL.replace(b"/poll", b"/poll%d" % number) for number in range(6)]
    waiting = {scene.dial(laptop, endpoint): poll for poll in polls}
    for sock, poll in list(waiting.items())[:5]:
        sock.sendall(poll)
    assert not select.select(list(waiting), [], [], 2.5)[0], "five leave one for a person"
    sixth, poll = list(waiting.items())[5]
    sixth.sendall(poll)
    round_ = list[socket.socket]()
    while len(round_) < 3:
        sock = select.select(list(waiting), [], [], 10)[0][0]
        assert head(sock) == AGAIN % waiting[sock].split()[1]
        sock.sendall(waiting[sock])
        round_.append(sock)
    assert len(set(round_)) == 3
    scene.beside.link(laptop)
    for sock, poll in waiting.items():
        assert read(sock, len(poll)) == poll, "and each is asked once when the link is back"


POLL = b"GET /poll HTTP/1.1\r\nHost: 127.0.0.1:1\r\nSec-Fetch-Mode: cors\r\n\r\n"
AGAIN = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s"


def head(sock: socket.socket) -> bytes:
    """The first two lines of an answer without a body."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += read(sock, 1)
    return b"\r\n".join(data.split(b"\r\n")[:2])


def test_it_leaves_no_process_and_no_file_when_the_laptop_says_goodbye(scene: Scene) -> None:
    laptop = scene.laptop()
    scene.beside.link(laptop)
    (folder, door) = sorted(scene.files())
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(door).stat().st_mode) == 0o600
    laptop.close()
    until(lambda: not scene.processes() and not scene.files(), "the relay's end")


def test_a_second_laptop_is_a_session_of_its_own(scene: Scene) -> None:
    endpoint, one, other = scene.serve(echo), scene.laptop(), scene.laptop()
    scene.beside.link(one)
    sock = scene.dial(one, endpoint)
    sock.sendall(b"x")
    assert read(sock, 1) == b"x"
    scene.beside.link(other)
    other.close()
    sock.sendall(b"y")
    assert read(sock, 1) == b"y"
    assert not scene.cuts


def test_a_new_process_of_the_same_laptop_ends_the_connections_of_the_old_one(
    scene: Scene,
) -> None:
    ended = threading.Event()

    def serve(sock: socket.socket) -> None:
        while sock.recv(1 << 16):
            pass
        ended.set()

    endpoint, session = scene.serve(serve), os.urandom(16)
    old, new = scene.laptop(session), scene.laptop(session)
    scene.beside.link(old)
    sock = scene.dial(old, endpoint)
    sock.sendall(b"x")
    scene.beside.link(new)
    assert ended.wait(10)
    until(lambda: scene.cuts, "the old one's end")
    with pytest.raises(Exception, match="another remotenb"):
        scene.beside.link(old)


def test_it_dials_only_what_it_was_allowed_to(scene: Scene) -> None:
    laptop = scene.laptop()
    with socket.create_server(("127.0.0.1", 0)) as other:
        scene.beside.link(laptop)
        sock = scene.dial(laptop, Endpoint("127.0.0.1", other.getsockname()[1]))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert ended(sock)


def test_a_server_that_is_gone_ends_the_connection_without_a_byte(scene: Scene) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.targets.append(("127.0.0.1", 1))
    scene.beside.link(laptop)
    sock = scene.dial(laptop, Endpoint("127.0.0.1", 1))
    sock.sendall(b"x")
    assert ended(sock)
    fine = scene.dial(laptop, endpoint)
    fine.sendall(b"y")
    assert read(fine, 1) == b"y"


def test_what_a_login_shell_prints_before_is_passed_over(scene: Scene) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.before = ("sh", "-c", 'echo "Welcome!"; echo marker; exec "$@"', "sh")
    scene.beside.link(laptop)
    sock = scene.dial(laptop, endpoint)
    sock.sendall(b"x")
    assert read(sock, 1) == b"x"


def test_a_websocket_is_read_while_the_laptop_is_away_and_a_download_is_not(
    scene: Scene,
) -> None:
    sent = {"ws": 0, "get": 0}

    def serve(sock: socket.socket) -> None:
        kind = "ws" if b"Upgrade" in sock.recv(1 << 16) else "get"
        sock.sendall(SWITCH if kind == "ws" else b"HTTP/1.1 200 OK\r\n\r\n")
        while sent[kind] < 100 << 20:
            sock.sendall(MESSAGE)
            sent[kind] += len(MESSAGE)

    endpoint, laptop = scene.serve(serve), scene.laptop()
    scene.beside.link(laptop)
    websocket, download = (scene.dial(laptop, endpoint) for _ in range(2))
    download.sendall(b"GET / HTTP/1.1\r\n\r\n")
    read(download, 1000)
    laptop.detach("cut")
    attached = scene.beside.link(laptop)
    websocket.sendall(UPGRADE)
    assert read(websocket, len(SWITCH)).startswith(SWITCH)
    laptop.detach("cut")
    until(lambda: sent["ws"] >= 100 << 20, "the websocket's output", seconds=60)
    assert sent["get"] < 24 << 20
    attached = scene.beside.link(laptop)
    assert attached.held > 90 << 20
    came = 0
    websocket.settimeout(30)
    while came < 99 << 20:
        came += len(websocket.recv(1 << 20))


def test_a_relay_that_may_keep_no_more_stops_reading_says_so_and_loses_nothing(
    scene: Scene,
) -> None:
    bounds = {"memory": 4 << 20, "disk": 4 << 20}
    chance = random.Random(2)
    written = b"".join(MESSAGE[:10] + chance.randbytes(1 << 16) for _ in range(512))
    total = len(written)
    waits, sent, heard = threading.Event(), 0, b""

    def serve(sock: socket.socket) -> None:
        nonlocal sent, heard
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        sock.recv(1 << 16)
        sock.sendall(SWITCH)
        while sent < total:
            if select.select([], [sock], [], 1.0)[1]:
                sent += sock.send(written[sent : sent + (1 << 16)])
            else:
                waits.set()
            if select.select([sock], [], [], 0)[0]:
                heard += sock.recv(100)

    endpoint, laptop = scene.serve(serve), scene.laptop()
    scene.beside.link(laptop, bounds=bounds)
    websocket = scene.dial(laptop, endpoint)
    websocket.sendall(UPGRADE)
    came = read(websocket, len(SWITCH))[len(SWITCH) :]
    laptop.detach("cut")
    assert waits.wait(60)
    assert 7 << 20 < sent < total - (8 << 20)
    until(lambda: heard == pong(b""), "a sign of life to a server that is not read", seconds=30)
    attached = scene.beside.link(laptop)
    assert attached.stopped
    assert 7 << 20 < attached.held <= 9 << 20
    came += read(websocket, total - len(came))
    assert hashlib.sha256(came).digest() == hashlib.sha256(written).digest()
    assert not scene.beside.link(laptop).stopped


def test_the_servers_ping_is_answered_while_the_laptop_is_away(scene: Scene) -> None:
    answers: list[bytes] = []
    ping = bytes([0x80 | PING, 2]) + b"hi"

    def serve(sock: socket.socket) -> None:
        sock.recv(1 << 16)
        sock.sendall(SWITCH)
        if sock.recv(1 << 16) == b"\x81\x80abcd":  # an empty message of the browser's
            sock.sendall(ping)
            answers.append(sock.recv(100))
        sock.recv(1)

    endpoint, laptop = scene.serve(serve), scene.laptop()
    scene.beside.link(laptop)
    websocket = scene.dial(laptop, endpoint)
    websocket.sendall(UPGRADE)
    read(websocket, len(SWITCH))
    websocket.sendall(b"\x81\x80abcd")
    assert read(websocket, 4) == ping
    laptop.detach("cut")
    until(lambda: answers, "an answer", seconds=20)
    assert answers == [pong(b"hi")]


def test_a_stranger_with_garbage_is_shown_out_and_nobody_else_notices(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.link(laptop)
    (door,) = [path for path in scene.files() if "relay-" in path]
    monkeypatch.chdir(Path(door).parent)  # an address has no more than 107 bytes
    for garbage in (b"", b"\0" * 100, b"{}\n", b'{"targets": [["a"]]}\n', b"x" * 100_000):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(Path(door).name)
            stranger.settimeout(10)
            try:
                stranger.sendall(garbage)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(1) == b""
            except (ConnectionResetError, BrokenPipeError):
                pass
    sock = scene.dial(laptop, endpoint)
    sock.sendall(b"x")
    assert read(sock, 1) == b"x"


def test_without_any_folder_it_has_an_abstract_address(scene: Scene) -> None:
    endpoint, laptop = scene.serve(echo), scene.laptop()
    scene.beside.link(laptop)
    for path in sorted(scene.files(), reverse=True):
        Path(path).rmdir() if Path(path).is_dir() else Path(path).unlink()
    sock = scene.dial(laptop, endpoint)
    sock.sendall(b"x")
    assert read(sock, 1) == b"x"
    laptop.detach("the folder went with the login")
    assert not scene.beside.link(laptop).fresh


def test_a_link_that_ends_leaves_no_process_but_the_relay(scene: Scene) -> None:
    laptop = scene.laptop()
    scene.beside.link(laptop)
    until(lambda: len(scene.processes()) == 2, "the relay and its visitor")
    laptop.detach("cut")
    until(lambda: len(scene.processes()) == 1, "the visitor's end")


def test_first_byte_and_hold_of_frames_are_told_apart_at_any_split() -> None:
    stream = pong(b"hello") + b"\x82\x7e\x01\x00" + bytes(256) + bytes([0x80 | PONG, 0])
    for size in range(1, 40):
        frames, found = Frames(), []
        for at in range(0, len(stream), size):
            found += [one.opcode for one in frames.feed(stream[at : at + size])]
        assert found == [PONG, PONG], size
        assert frames.between


def ticks(pid: int) -> int:
    """Processor time, in hundredths of a second."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return sum(map(int, after_name.split()[11:13]))


def test_time_is_not_wasted(scene: Scene) -> None:
    """A relay that idles must not spin."""
    laptop = scene.laptop()
    scene.beside.link(laptop)
    (relay,) = [pid for pid in scene.processes() if Path(f"/proc/{pid}/stat").exists()][-1:]
    before = sum(
        map(int, Path(f"/proc/{relay}/stat").read_text().rpartition(")")[2].split()[11:13])
    )
    start = time.monotonic()
    until(lambda: time.monotonic() - start > 3, "three seconds")
    after = sum(map(int, Path(f"/proc/{relay}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert after - before < 30
