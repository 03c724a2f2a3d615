"""What one SSH channel runs: find the relay, or start it, and hand it our pipes. Python 3.6."""

import array
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any, Dict, Optional

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far import place

START_TIMEOUT_S = 20.0


def main(shipped: bytes, text: str) -> int:
    """Do what ``text``, a JSON object, says; the exit code.

    ``name`` is the relay's, by the hash of its source: another version is another relay.
    ``folders`` are where its socket is, none for the usual places. With ``serve`` it is
    started, and that is all. ``start`` is the command that starts it elsewhere: in the
    container whose folder we see. ``targets`` are what it may dial, ``marker`` is printed
    before the first frame. ``bounds`` are those of :class:`Relay`
    when it is started by this very command: a test's way to reach them soon.
    """
    wish: "Dict[str, Any]" = json.loads(text)
    if wish.get("serve"):
        return serve(wish)
    sock = place.connect(wish["folders"], wish["name"])
    if sock is None:
        sock = start(shipped, wish)
    if sock is None:
        sys.stderr.write("remotenb: the relay does not start\n")
        return 1
    hand_over(sock, wish)
    return 0


def hand_over(sock: socket.socket, wish: Dict[str, Any]) -> None:
    """Give the relay our stdin and stdout; our own end comes when it closes ``sock``."""
    message = json.dumps({"targets": wish["targets"], "marker": wish["marker"]}) + "\n"
    pipes = array.array("i", [0, 1])
    sock.sendmsg([message.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, pipes)])
    nothing = os.open(os.devnull, os.O_RDWR)
    for one in (0, 1):
        os.dup2(nothing, one)  # else the reader at the other end would never see an end
    while sock.recv(64):
        pass


def start(shipped: bytes, wish: Dict[str, Any]) -> Optional[socket.socket]:
    """Start the relay, here or by the command given, and connect to it."""
    if wish.get("start"):
        argv = wish["start"] + [
            json.dumps({"serve": 1, "name": wish["name"], "folders": wish["inside"]})
        ]
        run = subprocess.Popen(  # noqa: S603  the laptop's own command
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        run.communicate(shipped)
        if run.returncode:
            return None
    elif fork_server(wish):
        return None
    end = time.time() + START_TIMEOUT_S
    while time.time() < end:
        sock = place.connect(wish["folders"], wish["name"])
        if sock is not None:
            return sock
        time.sleep(0.01)
    return None


def fork_server(wish: Dict[str, Any]) -> int:
    """Run :func:`serve` in a child of ours; its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = serve(wish)
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def serve(wish: Dict[str, Any]) -> int:
    """Open the relay's door and leave a process behind it, which nothing ties to this one."""
    door = place.Door(wish["folders"], wish["name"])
    if os.fork():
        return 0
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for one in (0, 1, 2):
            os.dup2(nothing, one)
        from remotenb.far.relay import Relay  # noqa: PLC0415  who only attaches needs none of it

        Relay(door, **wish.get("bounds", {})).run()
    finally:
        os._exit(0)
