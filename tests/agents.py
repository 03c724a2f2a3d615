"""OpenSSH's own agent, for a test."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TIMEOUT_S = 20.0


@contextmanager
def agent(path: Path, *keys: Path, **variables: str) -> Iterator[Mapping[str, str]]:
    """An agent at ``path`` with ``keys``; the environment in which it is the user's."""
    environment = {**os.environ, **variables, "SSH_AUTH_SOCK": str(path)}
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        until(path.exists, "the agent listens")
        for key in keys:
            argv = ["ssh-add", "-q", str(key)]
            subprocess.run(argv, check=True, timeout=TIMEOUT_S, env=environment)
        yield environment
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)
