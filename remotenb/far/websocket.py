"""Where the frames of a websocket begin and end (RFC 6455), in bytes that pass by. Python 3.6.

A Jupyter server ends a websocket whose browser does not answer its pings. While the laptop is
away the relay answers in its place; it may do so only between two frames of the browser's.
"""

import re
import struct
from typing import List, Optional

CLOSE, PING, PONG = 8, 9, 10
CONTROL_BYTES = 125
LINE_BYTES = 4096

_CHANNELS = re.compile(rb"GET \S*/api/kernels/[^/\s]+/channels\?\S*\bsession_id=\S+ HTTP/1\.1")
_TERMS = (b"sec-websocket-protocol:", b"sec-websocket-extensions:")

_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">Q")


class Frames:
    """One direction of one websocket, after ``skipped`` bytes: the HTTP head."""

    def __init__(self, skipped: int = 0) -> None:
        self._head = bytearray()
        self._left = skipped
        """Bytes of the payload of the frame of the moment that are still to come."""
        self._opcode = 0
        self._payload = bytearray()
        """Of a control frame."""

    @property
    def between(self) -> bool:
        """Whether the last frame is complete and the next has not begun."""
        return not self._left and not self._head

    @property
    def begun(self) -> bytes:
        """What came of the head of a frame that is not complete: its frame begins there."""
        return bytes(self._head)

    @property
    def left(self) -> int:
        """Bytes up to the end of the frame of the moment, when its head is complete."""
        return self._left

    def feed(self, data: bytes) -> List["Control"]:
        """The control frames that are complete with ``data``."""
        found: "List[Control]" = []
        at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                if self._opcode & 8:
                    self._payload += data[at : at + taken]
                self._left -= taken
                at += taken
            else:
                self._head.append(data[at])
                at += 1
                length = _payload_length(self._head)
                if length is None:
                    continue
                self._opcode = self._head[0] & 15
                self._left = min(length, CONTROL_BYTES) if self._opcode & 8 else length
                self._payload.clear()
                self._head.clear()
            if not self._left and self.between and self._opcode & 8:
                found.append(Control(self._opcode, bytes(self._payload)))
                self._opcode = 0
        return found


class Control:
    """A ping, a pong or a close."""

    def __init__(self, opcode: int, payload: bytes) -> None:
        self.opcode = opcode
        self.payload = payload


def _payload_length(head: bytearray) -> Optional[int]:
    """The length that a frame's head tells, None while the head is not complete."""
    if len(head) < 2:
        return None
    size = head[1] & 127
    extra = {126: 2, 127: 8}.get(size, 0)
    masked = 4 if head[1] & 128 else 0
    if len(head) < 2 + extra + masked:
        return None
    if extra:
        return int((_SHORT if extra == 2 else _LONG).unpack_from(head, 2)[0])
    return size


def pong(payload: bytes) -> bytes:
    """A client's answer to a ping. Masked by zeros: the mask guards proxies, and here is none."""
    return bytes([0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def page_of(request: bytes) -> bytes:
    """The line by which a page opens a kernel's channels, the same each time; else nothing.

    A kernel's messages go to a session of a page, on whichever websocket. No other websocket is
    known to go on where its predecessor ended.
    """
    line = request[:LINE_BYTES].partition(b"\r\n")[0]
    return line if _CHANNELS.fullmatch(line) else b""


def terms(head: bytes) -> List[bytes]:
    """What a server agreed to in the answer that makes a websocket."""
    lines = [line.strip().lower() for line in head.split(b"\r\n")]
    return sorted(line for line in lines if line.startswith(_TERMS))


def continues(frames: bytes) -> bool:
    """Whether they begin within a message."""
    return bool(frames) and not frames[0] & 15


def compressed(agreed: List[bytes]) -> bool:
    """Whether frames may depend on those before them."""
    return any(line.startswith(_TERMS[1]) for line in agreed)
