"""The far path to the box, from the tests' side: set its delay, loss and rate, or cut it."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from .failures import RigError
from .namespaces import DIES_WITH_US, Holder, end, start

_ANSWER: Final = 5.0


class Wire:
    """A link of any quality between two namespaces; perfect until told otherwise."""

    def __init__(self, laptop: Holder, box: Holder, addresses: tuple[str, str]) -> None:
        """Join two namespaces; the addresses are with their prefix lengths."""
        self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._control.settimeout(_ANSWER)
        program = str(Path(__file__).with_name("wire_process.py"))
        sides = [str(laptop.net), addresses[0], str(box.net), addresses[1]]
        argv = [*DIES_WITH_US, sys.executable, "-IS", program, str(theirs.fileno()), *sides]
        self._process = start(argv, stderr=subprocess.PIPE, pass_fds=(theirs.fileno(),))
        theirs.close()
        self._hear()

    def set(
        self,
        *,
        delay: float | None = None,
        jitter: float | None = None,
        loss: float | None = None,
        rate: float | None = None,
        up: bool | None = None,
    ) -> None:
        """Change what is given: seconds one way, probability, bytes a second (0: no limit)."""
        wish = {"delay": delay, "jitter": jitter, "loss": loss, "rate": rate, "up": up}
        changes = {name: value for name, value in wish.items() if value is not None}
        self._control.send(json.dumps(changes).encode())
        self._hear()

    def reset(self) -> None:
        """Make it perfect again: up, no delay, no loss, no limit."""
        self.set(delay=0.0, jitter=0.0, loss=0.0, rate=0.0, up=True)

    def close(self) -> None:
        """Take the link away."""
        self._control.close()
        end(self._process)

    def _hear(self) -> None:
        try:
            answer = self._control.recv(4096)
        except TimeoutError:
            answer = b""
        if not answer:
            end_message = self._process.stderr.read() if self._process.stderr else b""
            message = f"the wire is dead: {end_message.decode()}"
            raise RigError(message)
