"""An outage that prints more than the relay may keep.

That is 64 MiB in memory, and on disk 1 GiB, or a tenth of what is free there: on the rig's box,
whose disk is a tmpfs of 4 GB, it is the tenth. The 1 GiB itself was not reached.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from remotenb.engines.docker import STATE_TARGET
from tests.faults.tunnels import Remotenb
from tests.machines.conftest import LAB4
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

PORT = 9090
FRAMES = 10_000
PAYLOAD = 1 << 16
SLACK = 24 << 20
"""For what other connections hold, and for whoever else writes to that disk."""

HEAD = b"\x82\x7f" + PAYLOAD.to_bytes(8, "big")
UPGRADE = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"

# Speaks as a websocket's server does, as fast as it is listened to; writes down that it waits.
SERVER = f"""
import pathlib, select, socket
with socket.create_server(("127.0.0.1", {PORT})) as listener:
    pathlib.Path("/tmp/listens").touch()
    sock, _ = listener.accept()
sock.recv(65536)
sock.sendall({SWITCH!r})
for number in range({FRAMES}):
    left = {HEAD!r} + number.to_bytes(8, "big") * ({PAYLOAD} // 8)
    while left:
        if select.select([], [sock], [], 2.0)[1]:
            left = left[sock.send(left):]
        else:
            pathlib.Path("/tmp/waits").write_text(str(number))
sock.recv(1)
"""


def exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes, within a minute of silence."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = sock.recv_into(view)
        assert got, f"ended {len(view)} bytes too early"
        view = view[got:]
    return bytes(data)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_outage_that_prints_more_than_the_relay_keeps_is_told_and_loses_nothing(
    lab: Lab, laptop: Laptop, box: Box
) -> None:
    def written(name: str) -> str:
        return box.docker("exec", session.container, "cat", name, check=False).stdout

    with Remotenb(lab, "gpu-box", laptop, "--image", LAB4, "--forward", str(PORT)) as session:
        df = box.docker("exec", session.container, "df", "-Pk", STATE_TARGET).stdout
        bound = (64 << 20) + min(1 << 30, (int(df.split()[-3]) << 10) // 10)
        box.docker("exec", "-d", session.container, "python3", "-c", SERVER)
        listens = ("exec", session.container, "test", "-e", "/tmp/listens")
        until(lambda: not box.docker(*listens, check=False).returncode, "the server")
        (forward,) = session.connected.ready["forwards"]
        with socket.create_connection(("127.0.0.1", forward["local_port"]), 60) as sock:
            sock.sendall(UPGRADE)
            assert exactly(sock, len(SWITCH)) == SWITCH
            lab.block("drop")
            session.connected.wait_for("dropped", 4.0)
            until(lambda: written("/tmp/waits"), "a relay that is full", seconds=180)
            lab.unblock()
            restored = session.connected.wait_for("restored", 10)
            warning = session.connected.wait_for("warning", 5)
            for number in range(FRAMES):
                frame = exactly(sock, len(HEAD) + PAYLOAD)
                assert frame == HEAD + number.to_bytes(8, "big") * (PAYLOAD // 8)
    assert warning["code"] == "relay_full"
    assert restored["lost"] is False
    assert bound - SLACK < restored["replayed_bytes"] < bound + SLACK
