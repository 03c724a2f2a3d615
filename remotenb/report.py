"""What a session tells: the events of the JSON contract, and whoever listens to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from remotenb.model import Server


@dataclass(frozen=True, slots=True)
class Ready:
    """The notebook can be used."""

    host: str
    url: str
    """With the token, for scripts; ``address`` is the same without it."""
    address: str
    local_port: int
    engine: str
    server: Server
    reused: bool
    gpus: str | None
    elapsed: float
    """Seconds since the start of ``connect``."""


class Reporter(Protocol):
    """Listens to a session."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Something that lasts begins; it ends with the context."""

    def warning(self, code: str, message: str, hint: str) -> None:
        """Something that the user should know, and that stops nothing."""

    def ready(self, ready: Ready) -> None:
        """The notebook can be used."""
