"""One link, as the relay has it: two pipes that lead to the laptop, by way of sshd. Python 3.6."""

import json
import os
import socket
import sys
from typing import Iterator, List, Tuple

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far.frames import Decoder, Frame

CHUNK = 128 << 10
OUT_BYTES = 64 << 10
"""What waits here is in front of everything that is sent later: no more than a pipe takes."""

GREETING_BYTES = 1 << 16


class Carrier:
    """A door's visitor: first its message with the pipes, then frames."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.targets: "List[Tuple[str, int]]" = []
        self.ends = (-1, -1)
        """File descriptors: from the laptop, and to it."""
        self.session = b""
        """Whose link this is, once it has said so."""
        self.greeted = False
        self._decoder = Decoder()
        self._greeting = b""
        self._out = bytearray()

    def greet(self) -> bool:
        """Read the visitor's message, as far as it came; False when it is none."""
        data, ancillary, _, _ = self.sock.recvmsg(GREETING_BYTES, socket.CMSG_SPACE(8))
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and len(payload) == 8:
                self.ends = (
                    int.from_bytes(payload[:4], "little"),
                    int.from_bytes(payload[4:8], "little"),
                )
        self._greeting += data
        if not data or len(self._greeting) > GREETING_BYTES:
            return False
        if not self._greeting.endswith(b"\n"):
            return True
        message = json.loads(self._greeting.decode())
        self.targets = [(str(host), int(port)) for host, port in message["targets"]]
        if -1 in self.ends:
            return False
        for end in self.ends:
            os.set_blocking(end, False)
        self.greeted = True
        self._out += ("\n%s\n" % message["marker"]).encode()
        return True

    def read(self) -> Iterator[Frame]:
        """The frames that came; raises :class:`EOFError` when the laptop's end is gone."""
        try:
            data = os.read(self.ends[0], CHUNK)
        except BlockingIOError:
            return iter(())
        except OSError:
            raise EOFError from None
        if not data:
            raise EOFError
        return self._decoder.feed(data)

    @property
    def room(self) -> int:
        """Bytes that may be put here now."""
        return OUT_BYTES - len(self._out)

    @property
    def waiting(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._out)

    def put(self, data: bytes) -> None:
        """Send ``data``."""
        self._out += data

    def write(self) -> bool:
        """Write what the pipe takes; False when nobody reads any more."""
        try:
            while self._out:
                sent = os.write(self.ends[1], self._out)
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def close(self) -> None:
        """The link is over: whoever brought its pipes is told, and ends."""
        for end in self.ends:
            if end >= 0:
                os.close(end)
        self.ends = (-1, -1)
        self.sock.close()
