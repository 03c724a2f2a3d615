"""Waiting for a server that was started: asked until it lets us in with our token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.errors import JupyterNotReady, ServerOpen, ServerUnreachable
from remotenb.jupyter import verify
from remotenb.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.laptop.clock import Clock
    from remotenb.server import Found
    from remotenb.session.ways import Ways

FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 0.25
LOOK_EVERY_S = 1.0
"""How often it is asked whether a container that is not ready still lives."""


def until_ready(
    found: Found, ways: Ways, clock: Clock, *, timeout: float, look: Callable[[], None]
) -> Server:
    """Ask until it lets us in with our token; ``look`` raises when it cannot come any more."""
    start = look_at = clock.now()
    pause = FIRST_PAUSE_S
    while True:
        answer = verify(found, ways.connect)
        now = clock.now()
        if isinstance(answer, Server):
            return _only_by_token(answer)
        for endpoint in found.endpoints:
            if endpoint.place and (refused := ways.refusal(endpoint.place)):
                look()  # in a container that ended there is no relay either
                raise ServerUnreachable(
                    f"no relay could be started beside Jupyter: {refused.message}",
                    hint="without one: relay = false in the config",
                )
        if now - start > timeout:
            look()
            raise JupyterNotReady(
                f"Jupyter did not get ready in {timeout:g} s: {answer.reason}",
                hint="a slow machine needs a longer start_timeout in the config",
            )
        if now - look_at > LOOK_EVERY_S:
            look()
            look_at = now
        clock.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE_S)


def _only_by_token(server: Server) -> Server:
    if server.access != "token":
        raise ServerOpen(
            "Jupyter started without asking for its token: the image's own config turns it off",
            hint="look for token in the image's jupyter config, or use another image",
        )
    return server
