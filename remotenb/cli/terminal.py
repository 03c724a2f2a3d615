"""The terminal of the laptop, or its pipes, joined to a channel."""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from paramiko import SSHException

from remotenb.modes import Modes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paramiko import Channel

    from remotenb.execute import Execution

BLOCK = 1 << 16
LOOK_EVERY_S = 0.25
"""How often the terminal's size is looked at: Windows tells nobody that it has changed."""

EXIT_PIPE_CLOSED = 141
_NOBODY_READS = {errno.EPIPE, errno.EINVAL}
"""The second is Windows' word for it."""
USUAL_TERM = "xterm-256color"


def kind() -> str:
    """``TERM``, where stdin and stdout are a terminal; else nothing."""
    there = sys.stdin.isatty() and sys.stdout.isatty()
    return (os.environ.get("TERM") or USUAL_TERM) if there else ""


def size() -> tuple[int, int]:
    """Columns and lines."""
    try:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return 80, 24
    return columns, lines


class Withheld:
    """What an engine's client says instead of starting anything: not to be shown at once."""

    LIMIT = 1 << 12
    BEGINNINGS = (b"Error response from daemon: ", b"Error: unable to start container ")
    ASIDE = re.compile(
        rb'(?:(?:time="|\x1b\[31mERRO\x1b)[^\n]*(?:error waiting for|"Removing) container[^\n]*\n'
        rb"|failed to resize tty[^\n]*\n)+"
    )
    """Docker's client says this before the reason, if it loses a race of its own threads; and
    podman, when what it removes (``--rm``) is gone already."""

    def __init__(self, *, wanted: bool = False) -> None:
        self.said = b""
        self.given = False
        """Whether the command was sent any of stdin."""
        self._over = not wanted

    def sift(self, data: bytes) -> bytes:
        """What of it is to be shown: all, from the first line on that is the command's own."""
        if self._over:
            return data
        self.said += data
        if len(self.said) < self.LIMIT and self._may_be_the_clients():
            return b""
        self._over = True
        shown, self.said = self.said, b""
        return shown

    def _may_be_the_clients(self) -> bool:
        head = self.ASIDE.sub(b"", self.said, count=1)
        log = (b'time="', b"\x1b[31mERRO\x1b", b"failed to resize tty") if b"\n" not in head else ()
        return any(head[: len(one)] == one[: len(head)] for one in (*self.BEGINNINGS, *log))


class Feed:
    """Our stdin, for one command after another: what a read has taken it cannot give back."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._changed = threading.Condition()
        self._channel: Channel | None = None
        self._withheld: Sequence[Withheld] = ()
        self._ended = False

    @contextmanager
    def into(self, channel: Channel, *withheld: Withheld) -> Iterator[None]:
        """Meanwhile it goes there, of which those are told; what comes later waits for the next."""
        with self._changed:
            self._channel, self._withheld = channel, withheld
            self._changed.notify()
        if self._ended:
            _send(channel, b"")
        elif not self._thread.is_alive():
            self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._channel = None

    def _run(self) -> None:
        data = b"-"
        while data:
            try:
                data = _read()
            except OSError:
                data = b""
            with self._changed:
                self._ended = not data
                self._changed.wait_for(lambda: self._channel)
                channel = self._channel
                for one in self._withheld if data else ():
                    one.given = True
            if channel:
                _send(channel, data)


def _send(channel: Channel, data: bytes) -> None:
    """Give it ``data``, or the end where there is none."""
    with suppress(OSError, SSHException):  # it has ended, which shows in its output
        if data:
            channel.sendall(data)
        else:
            channel.shutdown_write()


def join(
    execution: Execution,
    *,
    terminal: bool,
    withheld: Withheld | None = None,
    feed: Feed | None = None,
) -> int:
    """Carry bytes both ways until the command ends; its exit code. Raises :class:`LinkLost`.

    A ``terminal`` hands on every key and its size, and is as it was afterwards. Who joins one
    command after another gives them the same ``feed``.
    """
    out, err = Withheld(), withheld or Withheld()
    if terminal:  # its stderr comes with its stdout
        out, err = err, out
    modes = Modes()
    with (feed or Feed()).into(execution.channel, out, err):
        if not terminal:
            return _carry(execution, out, err, modes)
        return _on_terminal(execution, out, err, modes)


def _on_terminal(execution: Execution, out: Withheld, err: Withheld, modes: Modes) -> int:
    ended = threading.Event()
    follow = threading.Thread(target=_follow_size, args=(execution.channel, ended), daemon=True)
    follow.start()
    with raw():
        try:
            return _carry(execution, out, err, modes)
        finally:
            ended.set()
            with suppress(OSError):
                _write(1, modes.undo())


def _carry(execution: Execution, out: Withheld, err: Withheld, modes: Modes) -> int:
    channel = execution.channel
    errors = threading.Thread(target=_errors, args=(channel, err), daemon=True)
    errors.start()
    try:
        data = execution.first or channel.recv(BLOCK)
        while data:
            shown = out.sift(data)
            modes.see(shown)
            _write(1, shown)
            data = channel.recv(BLOCK)
    except OSError as error:  # as with: remotenb exec ... | head
        if error.errno not in _NOBODY_READS:
            raise
        return EXIT_PIPE_CLOSED
    errors.join()
    return execution.code()


def _errors(channel: Channel, withheld: Withheld) -> None:
    try:
        while data := channel.recv_stderr(BLOCK):
            _write(2, withheld.sift(data))
    except (OSError, SSHException):
        return


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _follow_size(channel: Channel, ended: threading.Event) -> None:
    known = size()
    while not ended.wait(LOOK_EVERY_S):
        if (now := size()) != known:
            known = now
            try:
                channel.resize_pty(*now)
            except (OSError, SSHException):
                return


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    INPUT, OUTPUT = -10, -11
    VIRTUAL_INPUT = 0x0200
    VIRTUAL_OUTPUT = 0x0001 | 0x0004
    UTF8 = 65001
    KEYS = 1024

    @contextmanager
    def raw() -> Iterator[None]:
        """Every key goes to the far side as it is; restored whatever happens."""
        kernel = ctypes.windll.kernel32
        before = []
        page = kernel.GetConsoleOutputCP()
        for number, mode in ((INPUT, VIRTUAL_INPUT), (OUTPUT, VIRTUAL_OUTPUT)):
            handle, old = wintypes.HANDLE(kernel.GetStdHandle(number)), wintypes.DWORD()
            if kernel.GetConsoleMode(handle, ctypes.byref(old)):
                before.append((handle, old.value))
                kernel.SetConsoleMode(handle, mode)
        kernel.SetConsoleOutputCP(UTF8)  # by which the console reads what is written to it
        try:
            yield
        finally:
            kernel.SetConsoleOutputCP(page)
            for handle, value in before:
                kernel.SetConsoleMode(handle, value)

    def _read() -> bytes:
        """What came; keys as UTF-8, which a console's own bytes are not for all of them."""
        if not sys.stdin.isatty():
            return os.read(0, BLOCK)
        kernel = ctypes.windll.kernel32
        handle = wintypes.HANDLE(kernel.GetStdHandle(INPUT))
        keys, count = ctypes.create_unicode_buffer(KEYS), wintypes.DWORD()
        while not count.value:  # Ctrl-Break gives nothing, and is not the end
            if not kernel.ReadConsoleW(handle, keys, KEYS, ctypes.byref(count), None):
                return b""
        return ctypes.wstring_at(keys, count.value).encode("utf-8", "surrogatepass")

else:
    import termios
    import tty

    @contextmanager
    def raw() -> Iterator[None]:
        """Every key goes to the far side as it is; restored whatever happens."""
        before = termios.tcgetattr(0)
        tty.setraw(0)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _read() -> bytes:
        return os.read(0, BLOCK)
