"""No engine: what is run there, runs on the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb import far
from remotenb.ssh.shell import quote

if TYPE_CHECKING:
    from remotenb.engines.docker import Argv


class HostItself:
    """Every command as it is."""

    def inside(self, container: str) -> Argv:  # noqa: ARG002  there is none
        """Nothing need be said."""
        return ()


def entering(environment: str | None) -> str:
    """The beginning of a script that runs in this Python environment, or ends where it is not."""
    return f"WANTED={quote(environment)}\n{far.source('environment.sh')}" if environment else ""
