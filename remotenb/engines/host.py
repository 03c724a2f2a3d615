"""No engine: what is run there, runs on the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotenb.engines.docker import Argv


class HostItself:
    """Every command as it is."""

    def inside(self, container: str) -> Argv:  # noqa: ARG002  there is none
        """Nothing need be said."""
        return ()
