"""The last links of the chain: the notebook, and the way from the browser to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.checkup import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.server import Rejected, Server


def notebook(servers: Sequence[Server], rejected: Sequence[Rejected], host: str) -> Finding:
    """The servers that run."""
    if servers:
        names = [one.container.name if one.container else "the host" for one in servers]
        return Finding("notebook", "ok", f"runs in {', '.join(names)}")
    cure = f"remotenb connect {host} starts one"
    if rejected:
        why = f"one was there, but {rejected[0].reason}"
        return Finding("notebook", "warning", why, cure)
    return Finding("notebook", "warning", "none runs", cure)


def token(server: Server) -> Finding:
    """How the server lets one in."""
    if server.access == "open":
        cure = "start it again with a token; every user of that machine can use it"
        return Finding("token", "broken", "that notebook has none", cure)
    if server.access == "password":
        return Finding("token", "ok", "it asks for a password of its own")
    return Finding("token", "ok", "known, and accepted")


def tunnel(answered: str | None, *, relay: bool, seconds: float) -> Finding:
    """Whether the server answered at the local port."""
    if answered is None:
        cure = "a firewall on the laptop? -vv shows what was tried"
        return Finding("tunnel", "broken", "nothing answers at the local port", cure)
    said = f"answers in {1000 * seconds:.0f} ms, by {'the relay' if relay else 'sshd alone'}"
    if relay:
        return Finding("tunnel", "ok", said)
    cure = "output may be lost in a dropped link; the relay wants python3 beside the notebook"
    return Finding("tunnel", "warning", said, cure)


def browser(*, available: bool) -> Finding:
    """The laptop's browser."""
    if available:
        return Finding("browser", "ok", "there is one")
    cure = "the address is printed instead; BROWSER names a command that opens it"
    return Finding("browser", "warning", "no desktop to open one on", cure)
