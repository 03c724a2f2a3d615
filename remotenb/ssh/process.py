"""A command on the far side that runs for as long as it takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from paramiko import SSHException

from remotenb.errors import LinkLost
from remotenb.ssh.buffers import send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paramiko import Channel

BLOCK = 1 << 17
ERR_LIMIT = LINE_LIMIT = 1 << 16
OUTPUT_LIMIT = 8 << 20
"""Bytes of a script's output that are kept; more than this is not ours."""
STALL_S = 60.0
"""How long a command may take no byte from us, and tell us nothing at its end."""


def keep_err(channel: Channel, into: bytearray) -> None:
    """Keep the end of stderr; unread, it would fill the channel's window and stop the command."""
    try:
        while data := channel.recv_stderr(BLOCK):
            into += data
            del into[:-ERR_LIMIT]
    except (OSError, SSHException):
        return


class Process:
    """Its stdout and end; a context manager that lets go of it.

    Its waits end with the link, which notices a dead peer by itself.
    """

    def __init__(self, channel: Channel, host: str) -> None:
        self._channel = channel
        self._host = host
        self._err = bytearray()
        channel.settimeout(None)
        channel.shutdown_write()
        self._drain = threading.Thread(target=keep_err, args=(channel, self._err), daemon=True)
        self._drain.start()

    @property
    def err(self) -> str:
        """The end of what it said on stderr; all of it once :meth:`wait` has returned."""
        return self._err.decode("utf-8", "replace")

    def read(self, size: int = BLOCK) -> bytes:
        """What it printed next, at most ``size`` bytes; none at its end."""
        return self._channel.recv(size)

    def lines(self) -> Iterator[str]:
        """What it prints, line by line; one without an end is cut into pieces."""
        rest = b""
        while data := self.read():
            *whole, rest = (rest + data).split(b"\n")
            if len(rest) > LINE_LIMIT:
                whole, rest = [*whole, rest], b""
            for line in whole:
                yield line.decode("utf-8", "replace")
        if rest:
            yield rest.decode("utf-8", "replace")

    def wait(self) -> int:
        """Its exit code; raises :class:`LinkLost` when the link ended first."""
        while self.read():
            continue
        self._drain.join()
        code = self._channel.recv_exit_status()
        # sshd may send the exit code before the last of the output, and then end
        lost = code < 0 and not self._channel.get_transport().is_active()
        if lost or not self._channel.eof_received:
            raise LinkLost(f"the connection to {self._host} broke", hint="the same command again")
        return code

    def close(self) -> None:
        """Let go of it; from any thread."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def feed(
    channel: Channel, blocks: Iterable[bytes], host: str, *, sent: Callable[[int], None]
) -> tuple[int, str]:
    """Give ``blocks`` to a command's stdin; its exit code, and the end of what it complained of.

    ``sent`` is told of the bytes as they go. Raises :class:`LinkLost`, also when the command
    takes nothing for :data:`STALL_S` seconds.
    """
    err = bytearray()
    drain = threading.Thread(target=keep_err, args=(channel, err), daemon=True)
    drain.start()
    channel.settimeout(STALL_S)
    try:
        feed_all(channel, blocks, sent)
        while channel.recv(BLOCK):
            continue
        drain.join(STALL_S)
        code = channel.recv_exit_status() if channel.status_event.wait(STALL_S) else -1
    except (OSError, SSHException):
        code = -1
    finally:
        channel.close()
    if code < 0:
        raise LinkLost(f"the connection to {host} broke", hint="the same command goes on")
    return code, err.decode("utf-8", "replace")


def feed_all(
    channel: Channel, blocks: Iterable[bytes], sent: Callable[[int], object] | None = None
) -> None:
    """All of it and its end, as far as the command takes it: one that has ended tells why.

    Raises :class:`TimeoutError` after the channel's timeout.
    """
    try:
        for block in blocks:
            send_all(channel, block, sent)
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:  # it has ended, or the link has
        return


def talk(channel: Channel, stdin: bytes, deadline: float) -> tuple[bytes | None, bytes]:
    """Send ``stdin`` to the far shell; all it prints, or None when the deadline passed."""
    err = bytearray()
    drain = threading.Thread(target=keep_err, args=(channel, err), daemon=True)
    drain.start()
    channel.settimeout(max(deadline - time.monotonic(), 0.1))
    out = bytearray()
    try:
        feed_all(channel, [stdin])
        while len(out) < OUTPUT_LIMIT:
            channel.settimeout(max(deadline - time.monotonic(), 0.1))
            data = channel.recv(BLOCK)
            if not data:
                break
            out += data
    except TimeoutError:
        return None, bytes(err)
    drain.join(1)
    return bytes(out), bytes(err)
