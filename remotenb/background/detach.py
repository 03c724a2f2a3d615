"""A session without its terminal: the same ``connect`` in a process that nothing here holds."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from remotenb.background import state

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOK_EVERY_S = 0.05

PARTING = "It goes on in the background: remotenb status, open, disconnect."

MARK = "REMOTENB_BACKGROUND"
"""Set for the process that is to let go of its terminal when the session is ready."""


def start(argv: Sequence[str]) -> int:
    """Run ``remotenb argv`` until its session is ready, passing on what it prints; the exit code.

    It has our terminal until then, and may ask there. Ctrl-C ends it.
    """
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
        subprocess, "CREATE_NO_WINDOW", 0
    )
    ours, theirs = os.pipe()
    process = subprocess.Popen(  # noqa: S603  ourselves
        [sys.executable, "-m", "remotenb", *argv],
        stdout=theirs,
        env={**os.environ, MARK: "1"},
        start_new_session=sys.platform != "win32",
        creationflags=flags,
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
        raise


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
    return os.environ.pop(MARK, "") == "1"


def let_go() -> None:
    """From now on there is no terminal: whoever started us sees the end of our output."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
