"""The nouns of a notebook server: where it listens, what speaks of it, what was verified of it.

As in ``model``, nothing here does anything but hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from remotenb.model import Container, RuntimeFile
    from remotenb.secret import Secret

ON_HOST = "host"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and from where: this is what is dialled, and who dials it."""

    host: str
    """An address, or the path of a unix socket."""
    port: int
    secure: bool = False
    place: str | None = None
    """Where the relay that dials it runs: :data:`ON_HOST`, or a container's id. None: sshd."""


@dataclass(frozen=True, slots=True)
class Found:
    """A runtime file and the ways to the server that it speaks of."""

    file: RuntimeFile
    container: Container | None
    endpoints: tuple[Endpoint, ...]
    obstacle: str = ""
    """Why none of the endpoints leads there, or why there is none."""
    exposed: str = ""
    """The address by which other machines reach this server, if they do."""


Access = Literal["token", "open", "password"]
"""How a server lets one in: with our token, without anything, by its login page."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered: everything here was verified over HTTP."""

    endpoint: Endpoint
    token: Secret
    base_url: str
    access: Access = "token"
    version: str | None = None
    root_dir: str | None = None
    port: int | None = None
    started: str | None = None
    kernels: int = 0
    container: Container | None = None
    exposed: str = ""
    ways: tuple[Endpoint, ...] = ()
    """All endpoints that may lead to it, best first; ``endpoint`` is the one that answered."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A runtime file that did not lead to a server, and why."""

    found: Found
    reason: str
    silent: bool = False
    """Somebody listens there, and says nothing."""
