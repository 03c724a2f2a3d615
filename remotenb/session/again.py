"""What to do when the server of a session does not answer any more: wait, start, give up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.decision import Plan, Refuse, Reuse, StartContainer
from remotenb.engines.docker import notebook_of_ours
from remotenb.errors import ContainerNotRunning, EngineDown, JupyterNotReady, ServerGone
from remotenb.spec import container_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.errors import RemotenbError
    from remotenb.model import Container, Probe
    from remotenb.server import Found, Server
    from remotenb.spec import Wish

PATIENCE_S = 60.0
"""How long a server that nobody but its owner can start again is waited for."""


def decide_again(  # noqa: PLR0913  what was, what is, what is wanted
    probe: Probe,
    servers: Sequence[Server],
    found: Sequence[Found],
    before: Server,
    wish: Wish,
    *,
    outage: float,
) -> Plan:
    """The next step for a session whose server was ``before``; ``outage`` is in seconds.

    A refusal that is ``passing`` or of the kind "not yet" is worth another look; only
    :class:`ServerGone` ends the session.
    """
    same = [server for server in servers if server.token == before.token]
    if same or (servers and before.container):  # on the host another token is another notebook
        return Reuse(max(same or servers, key=lambda server: server.started or ""))
    if any(one.obstacle and one.file.alive and one.file.token == before.token for one in found):
        return Refuse(JupyterNotReady("Jupyter does not answer", hint="it lives, and is held up"))
    if before.container is None:
        return _wait_or_gone("the Jupyter on that machine ended", outage)
    engine = before.container.engine.name
    if engine not in {one.name for one in probe.engines}:
        return Refuse(EngineDown(f"{engine} does not answer there", hint="it may be starting"))
    name = before.container.name
    container = next((one for one in probe.containers if one.name == name), None)
    if container is not None and _ours(container):
        return StartContainer(container_spec(probe, wish, container), container)
    return Refuse(_missing(name, container, outage))


def _missing(name: str, container: Container | None, outage: float) -> RemotenbError:
    """Why a container that somebody else made has no server, and whether that may change."""
    if container is None:
        hint = "remotenb connect starts or finds another"
        return ServerGone(f"the container {name} is not there any more", hint=hint)
    if container.running:
        return _wait_or_gone(f"the Jupyter in container {name} ended", outage).error
    if container.restarts:
        return ContainerNotRunning(f"container {name} is {container.status}")
    hint = f"start it on the server: {container.engine.name} start {name}; then remotenb connect"
    return ServerGone(f"container {name} ended, and nothing starts it again", hint=hint)


def _ours(container: Container) -> bool:
    return notebook_of_ours(container) and container.ownership == "mine"


def _wait_or_gone(what: str, outage: float) -> Refuse:
    if outage < PATIENCE_S:
        return Refuse(JupyterNotReady(what, hint="it may be starting again"))
    return Refuse(ServerGone(what, hint="remotenb connect starts another"))
