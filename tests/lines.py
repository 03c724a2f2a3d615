"""A cell that prints a number every 50 ms, and what of it reaches the page that ran it."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import websocket

from tests.notebook import TIMEOUT_S, _execute
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.notebook import Notebook

EVERY_S = 0.05
HANDSHAKE_S = 5.0
"""A page gives a new websocket longer; asking again costs nothing here."""
AGAIN_S = 0.5

CELL = """
import time
start = time.monotonic()
for number in range({count}):
    print(number, "x" * {padding}, flush=True)
    time.sleep(max(0, start + (number + 1) * {every} - time.monotonic()))
"""


class KernelLines:
    """Keeps its websocket open as a page does; one that is closed is opened again, same session.

    A context manager. ``numbers`` are what arrived, in the order in which it did.
    """

    def __init__(
        self, notebook: Notebook, count: int, *, session: str | None = None, padding: int = 0
    ) -> None:
        """Start a kernel and the cell; it ends by itself after ``count`` lines.

        ``padding`` makes each line so many bytes longer. Jupyter drops what is over 1 MB/s.
        """
        self.count = count
        self.numbers: list[int] = []
        self.closings = 0
        """How often the websocket was closed under us."""
        self.finished = False
        """Whether the kernel said that the cell is done."""
        self.session = session or secrets.token_hex(16)
        self._notebook = notebook
        self._unread = ""
        self._over = threading.Event()
        self.kernel: str = notebook.call("POST", "api/kernels", {})["id"]
        self._request = _execute(CELL.format(count=count, every=EVERY_S, padding=padding))
        self._channel = self._open()
        self._channel.send(json.dumps(self._request))
        self.begun = time.time()
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._hang_up()
        self._thread.join(TIMEOUT_S)
        # its server may be gone
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            self._notebook.call("DELETE", f"api/kernels/{self.kernel}")

    @property
    def missing(self) -> list[int]:
        """The numbers that never came."""
        return sorted(set(range(self.count)) - set(self.numbers))

    @property
    def ends_at(self) -> float:
        """When the cell is done, by the clock."""
        return self.begun + self.count * EVERY_S

    def wait_past(self, lines: int, *, seconds: float = 20) -> None:
        """Until that many more lines have come."""
        enough = len(self.numbers) + lines
        until(lambda: len(self.numbers) >= enough, f"{lines} more lines", seconds=seconds)

    def wait_to_the_end(self, *, seconds: float = 20) -> None:
        """Until the kernel has said that the cell is done, at most so long after its time."""
        left = max(0.0, self.ends_at - time.time()) + seconds
        until(lambda: self.finished, "the cell's end", seconds=left)

    def assert_each_once_in_order(self) -> None:
        """Wait for the end; every line came once and in order, and no page was disturbed."""
        self.wait_to_the_end()
        assert not self.missing, (len(self.missing), self.missing[:3], self.missing[-3:])
        assert self.numbers == list(range(self.count))

    def _open(self) -> Any:
        query = f"session_id={self.session}&token={self._notebook.token}"
        url = f"{self._notebook.base}api/kernels/{self.kernel}/channels?{query}"
        channel = websocket.create_connection(
            url.replace("http", "ws", 1),
            timeout=HANDSHAKE_S,
            skip_utf8_validation=True,  # in Python it takes 12 ms for a line of 45 KB
        )
        channel.settimeout(None)
        return channel

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._channel.sock.shutdown(socket.SHUT_RDWR)
        self._channel.shutdown()

    def _read_on(self) -> None:
        while not self._over.is_set():
            try:
                self._take(json.loads(self._channel.recv()))
            except (OSError, ValueError, websocket.WebSocketException):
                self._reopen()

    def _reopen(self) -> None:
        self.closings += not self._over.is_set()
        while not self._over.is_set():
            try:
                self._hang_up()
                self._channel = self._open()
            except (OSError, websocket.WebSocketException):
                self._over.wait(AGAIN_S)
            else:
                return

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != self._request["header"]["msg_id"]:
            return
        if kind == "stream":
            *lines, self._unread = (self._unread + content["text"]).split("\n")
            for line in lines:  # one without a number: the end of the last one came twice
                self.numbers.append(int(line.split()[0]) if line.strip() else self.numbers[-1])
        self.finished |= kind == "status" and content["execution_state"] == "idle"
