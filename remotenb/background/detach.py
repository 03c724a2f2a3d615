"""A session without its terminal: the same ``connect`` in a process that nothing here holds."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from remotenb.background import state

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOK_EVERY_S = 0.05
ENDS_WITHIN_S = 30.0

PARTING = "It goes on in the background: remotenb status, open, disconnect."

LAUNCHER = "__PYVENV_LAUNCHER__"
"""By this Windows' Python is told which virtual environment it is of."""

MARK = "REMOTENB_BACKGROUND"
"""Set for the process that is to let go of its terminal when the session is ready."""


def start(argv: Sequence[str]) -> int:
    """Run ``remotenb argv`` until its session is ready, passing on what it prints; the exit code.

    It has our terminal until then, and may ask there. Ctrl-C ends it: on Linux by us, on Windows
    it hears it as we do.
    """
    python, environment = _python()
    ours, theirs = os.pipe()
    process = subprocess.Popen(  # noqa: S603  ourselves
        [python, "-m", "remotenb", *argv],
        stdout=theirs,
        env={**os.environ, **environment, MARK: "1"},
        start_new_session=sys.platform != "win32",
    )
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb", 0) as said:
            while data := said.read(1 << 16):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        return _after(process)
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # it takes away what it began
            process.wait(ENDS_WITHIN_S)
        raise


def _python() -> tuple[str, dict[str, str]]:
    """The interpreter that we are, and what it must be told.

    A virtual environment's on Windows is a program that starts another one and waits for it:
    that one has a number that we do not know, and the first would stay for as long.
    """
    base: str = getattr(sys, "_base_executable", sys.executable)
    if sys.platform == "win32" and base != sys.executable:
        return base, {LAUNCHER: sys.executable}
    return sys.executable, {}


def _after(process: subprocess.Popen[bytes]) -> int:
    """It closed its stdout: it is ready, or it ends."""
    while not any(file.pid == process.pid for file in state.read_all()):
        try:
            return process.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            continue
    process.returncode = 0  # it goes on, and is nobody's to wait for
    return 0


def wanted() -> bool:
    """Whether this process is the one; nothing that it starts is. To be asked once."""
    os.environ.pop(LAUNCHER, None)
    return os.environ.pop(MARK, "") == "1"


def let_go() -> None:
    """From now on there is no terminal: whoever started us sees the end of our output."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        ctypes.windll.kernel32.FreeConsole()  # else we would end with its window
