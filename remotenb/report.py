"""What a session tells: the events of the JSON contract, and whoever listens to them. Pure."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from remotenb.errors import RemotenbError
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from remotenb.server import Server

LinkState = Literal["up", "reconnecting", "waiting"]
"""``waiting``: only a person can log in again."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A port of the far side that a local one leads to."""

    port: int
    local_port: int


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
    relay: bool = False
    """Whether output survives a dropped link."""
    joined: bool = False
    forwards: tuple[Forwarded, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """The link is gone; the notebook goes on."""

    cause: str
    silent_for: float
    """Seconds since the last byte from the far side."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The link is back."""

    after: float
    """Seconds since it was noticed that it was gone."""
    replayed_bytes: int
    """What the far side had kept for the browser, and sent now."""
    lost: bool
    """Whether connections of the browser had to be ended, so that output may be missing."""


@dataclass(frozen=True, slots=True)
class ServerRestarted:
    """The server is another one now, at the same address and with the same token."""

    kernels_lost: bool
    server: Server


@dataclass(frozen=True, slots=True)
class ServerGone:
    """The server does not come back."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing goes on before a person has done something."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The session ended because somebody wanted it."""

    reason: str


Event = Ready | Dropped | Restored | ServerRestarted | ServerGone | Waiting | Closed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session as ``status`` shows it; times are RFC 3339 in UTC."""

    host: str
    container: str | None
    image: str | None
    address: str
    local_port: int
    link: LinkState
    since: str
    """When the link came into this state."""
    started: str
    outages: int
    replayed_bytes: int
    held_bytes: int
    """What waits on the laptop to be sent."""
    kernels_busy: int | None
    kernels_idle: int | None
    relay: bool
    forwards: tuple[Forwarded, ...] = ()


def server_members(server: Server) -> dict[str, object]:
    """``server`` as the contract shows it."""
    return {
        "version": server.version,
        "base_url": server.base_url,
        "root_dir": server.root_dir,
        "port": server.port,
        "started": server.started,
    }


def members(event: Event) -> dict[str, object]:  # noqa: PLR0911  one for each event
    """The JSON object of the contract for ``event``, all but its time."""
    match event:
        case Ready(server=server):
            container = server.container
            return {
                "event": "ready",
                "host": event.host,
                "url": event.url,
                "local_port": event.local_port,
                "engine": event.engine,
                "container": container.name if container else None,
                "image": container.image if container else None,
                "reused": event.reused,
                "joined": event.joined,
                "relay": event.relay,
                "server": server_members(server),
                "forwards": [asdict(one) for one in event.forwards],
                "elapsed": round(event.elapsed, 3),
            }
        case Dropped():
            return {
                "event": "dropped",
                "cause": event.cause,
                "silent_for": round(event.silent_for, 3),
            }
        case Restored():
            return {
                "event": "restored",
                "after": round(event.after, 3),
                "replayed_bytes": event.replayed_bytes,
                "lost": event.lost,
            }
        case ServerRestarted():
            return {
                "event": "server_restarted",
                "kernels_lost": event.kernels_lost,
                "server": server_members(event.server),
            }
        case ServerGone():
            return {"event": "server_gone", "reason": event.reason, "hint": event.hint}
        case Waiting():
            return {"event": "waiting", "for": event.what, "hint": event.hint}
        case Closed():
            return {"event": "closed", "reason": event.reason}


def error_members(error: RemotenbError) -> dict[str, object]:
    """The members of an ``error`` event; text of the far side made fit for a terminal."""
    return {
        "code": error.code,
        "error": type(error).__name__,
        "message": plain(error.message),
        "hint": plain(error.hint),
        "detail": plain(error.detail) or None,
    }


def error_of(facts: Mapping[str, object]) -> RemotenbError:
    """The error that :func:`error_members` made ``facts`` of."""
    kinds = {kind.__name__: kind for kind in _family(RemotenbError)}
    kind = kinds.get(str(facts.get("error")), RemotenbError)
    detail = str(facts.get("detail") or "")
    return kind(str(facts.get("message")), hint=str(facts.get("hint")), detail=detail)


def _family(kind: type[RemotenbError]) -> Iterator[type[RemotenbError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def event_of(facts: Mapping[str, object]) -> Event | None:
    """The event that :func:`members` made ``facts`` of; None for those with a server in them."""
    kinds = {one.__name__.lower(): one for one in (Dropped, Restored, Closed)}
    name = str(facts.get("event"))
    if name == "waiting":
        return Waiting(str(facts.get("for")), str(facts.get("hint")))
    if name == "server_gone":
        return ServerGone(str(facts.get("reason")), str(facts.get("hint")))
    kind: Callable[..., Event] | None = kinds.get(name)
    if kind is None:
        return None
    return kind(**{key: value for key, value in facts.items() if key not in {"event", "time"}})


class Reporter(Protocol):
    """Listens to a session."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Something that lasts begins; it ends with the context."""

    def warning(self, code: str, message: str, hint: str) -> None:
        """Something that the user should know, and that stops nothing."""

    def tell(self, event: Event) -> None:
        """Something happened."""


class Quiet:
    """Listens to nothing."""

    def step(self, text: str) -> AbstractContextManager[None]:  # noqa: ARG002  Reporter's
        """Nothing."""
        return nullcontext()

    def warning(self, code: str, message: str, hint: str) -> None:
        """Nothing."""

    def tell(self, event: Event) -> None:
        """Nothing."""
