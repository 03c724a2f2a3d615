"""The rig's own errors, and the one way it waits."""

import subprocess
import time
from collections.abc import Callable
from typing import Final

POLL: Final = 0.01


class RigError(Exception):
    """The machines could not be brought to the state that was asked for."""


class CommandFailed(RigError, subprocess.CalledProcessError):
    """A command on one of the machines ended with an exit code that was not asked for."""

    def __str__(self) -> str:
        """Show what the command said, which CalledProcessError leaves out."""
        return f"{subprocess.CalledProcessError.__str__(self)}\n{self.stdout}{self.stderr}"


def until(condition: Callable[[], object], what: str, *, seconds: float = 10.0) -> None:
    """Poll the condition until it holds; after the deadline say what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"{what}: not within {seconds:g} s"
            raise RigError(message)
        time.sleep(POLL)
