"""For a carrier that ends with its link: what the port does until there is another one."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotenb.tunnel.listener import Carrier

HOLD_S = 15.0


class Held:
    """Holds each connection for a while, then closes it without a byte, which is no answer."""

    def __init__(self, *, hold: float = HOLD_S) -> None:
        self._hold = hold
        self._next: Carrier | None = None
        self._come = threading.Condition()

    def carry(self, browser: socket.socket, first: bytes = b"") -> None:
        """Hand the connection on to the next carrier, if it comes in time."""
        threading.Thread(target=self._wait, args=(browser, first), name="held", daemon=True).start()

    def go_on(self, carrier: Carrier) -> None:
        """The next carrier is there."""
        with self._come:
            self._next = carrier
            self._come.notify_all()

    def _wait(self, browser: socket.socket, first: bytes) -> None:
        with self._come:
            self._come.wait_for(lambda: self._next is not None, self._hold)
            carrier = self._next
        if carrier is None:
            browser.close()
        else:
            carrier.carry(browser, first)
