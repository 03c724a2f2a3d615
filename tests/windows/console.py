"""A console of Windows: a program of Wine's on a pty, and a person at it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CTRL_C = b"\x03"
END_S = 20.0
LOCAL = 3
"""Where the local modes are in what tcgetattr gives."""


class Console:
    """A program with a console of its own; a context manager that ends it.

    Ctrl-C is the event, with ``signals``, or a key: Wine 8 leaves that to the terminal's mode,
    whatever a program asks for.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], *, signals: bool = True
    ) -> None:
        self._signals = signals
        self._argv = ["setsid", "--ctty", "--wait", *argv]
        self._environment = {**environment, "TERM": "xterm"}
        self.shown = b""

    def __enter__(self) -> Self:
        self._fd, theirs = _terminal(signals=self._signals)
        self._process = subprocess.Popen(
            self._argv, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment
        )
        os.close(theirs)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self._process.wait(END_S)
        os.close(self._fd)

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Until it has shown ``text``."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, (text, self.shown)
            assert self._look(0.1), (text, self.shown)

    def rest(self, seconds: float = 1.0) -> None:
        """Until it has shown nothing for so long: it waits."""
        before = -1
        while before != len(self.shown):
            before = len(self.shown)
            self._look(seconds)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._fd, keys)

    def end(self) -> tuple[int, float]:
        """The exit code, and after how many seconds it came."""
        begun = time.monotonic()
        while self._process.poll() is None:
            assert time.monotonic() < begun + END_S, self.shown
            self._look(0.01)
        return self._process.returncode, time.monotonic() - begun

    def _look(self, seconds: float) -> bool:
        """Take what it shows; False when that has ended."""
        if select.select([self._fd], [], [], seconds)[0]:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:  # Linux' word for a terminal that nobody holds any more
                return False
            self.shown += data
        return True


def _terminal(*, signals: bool) -> tuple[int, int]:
    """Our end and theirs."""
    if sys.platform == "win32":
        raise NotImplementedError
    else:  # noqa: RET506  mypy knows platforms by branches only
        import pty  # noqa: PLC0415  for those who only read this on Windows
        import termios  # noqa: PLC0415

        ours, theirs = pty.openpty()
        if not signals:
            modes = termios.tcgetattr(theirs)
            modes[LOCAL] &= ~termios.ISIG
            termios.tcsetattr(theirs, termios.TCSANOW, modes)
        return ours, theirs
