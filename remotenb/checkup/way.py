"""The links of the chain from the laptop into the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.checkup import BEFORE_LOGIN, Facts, Finding, gib, space
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb import errors
    from remotenb.model import Host

SLOW_SHELL_S = 2.0
CLOCK_S = 120
HOME_KIB = 128 << 10


def way_in(host: Host, error: errors.LinkError | None, seconds: float) -> Iterator[Finding]:
    """The links up to the login, which ended with ``error`` or took ``seconds``."""
    said = {
        "ssh_config": "read",
        "name": "by ProxyCommand" if host.proxy_command else host.hostname,
        "TCP": f"port {host.port}" + "".join(f", by {jump.login}" for jump in host.jumps[:1]),
        "SSH": "speaks SSH",
        "host key": "the known one",
        "login": f"{host.login} ({seconds:.1f} s)",
    }
    for link, kinds in BEFORE_LOGIN:
        if isinstance(error, kinds):
            yield Finding(link, "broken", error.message, error.hint)
            return
        yield Finding(link, "ok", said[link])


def shell(noise: bytes, seconds: float) -> Finding:
    """What the login shell printed before a command that prints nothing, and how long it took."""
    if seconds > SLOW_SHELL_S:
        return Finding(
            "shell",
            "warning",
            f"the login shell takes {seconds:.1f} s to begin",
            "look at what its rc files do before each command (conda init, module load)",
        )
    if noise:
        return Finding(
            "shell",
            "warning",
            f"it prints before each command: {one_line(noise, 60)}",
            "harmless here, but scp and rsync break: print in rc files only if [ -t 1 ]",
        )
    return Finding("shell", "ok", f"runs commands, prints nothing of its own ({seconds:.1f} s)")


def sessions(refused: str) -> Finding:
    """Whether sshd opens a second session beside the first; ``refused`` is what it said."""
    if not refused:
        return Finding("sessions", "ok", "several at once")
    return Finding(
        "sessions",
        "warning",
        "sshd allows one session at a time (MaxSessions 1)",
        "remotenb manages with one, more slowly; an administrator can allow more",
    )


def forwarding(refused: str, *, relay: bool) -> Finding:
    """Whether sshd forwards; only without a relay is that wanted."""
    if "prohibited" not in refused.lower():
        return Finding("forwarding", "ok", "allowed")
    if relay:
        return Finding("forwarding", "ok", "forbidden by sshd; the relay does not need it")
    return Finding(
        "forwarding",
        "broken",
        "sshd there forbids it, and relay = false leaves no other way",
        "set relay = true, or ask for AllowTcpForwarding local",
    )


def clock(facts: Facts, now: float) -> Finding:
    """The box's time beside the laptop's."""
    if not facts.get("time", "").isdecimal():
        return Finding("clock", "untested", "the box did not tell its time")
    off = int(facts["time"]) - now
    if abs(off) < CLOCK_S:
        return Finding("clock", "ok", "agrees with the laptop's")
    side = "ahead of" if off > 0 else "behind"
    return Finding(
        "clock",
        "warning",
        f"the box is {abs(off):.0f} s {side} the laptop",
        "certificates and second factors need right clocks: timedatectl on both",
    )


def home(facts: Facts) -> Finding:
    """Whether there is a place for what remotenb keeps there."""
    free, _ = space(facts.get("home_space", ""))
    if facts.get("home") != "yes":
        cure = "a full quota, or a home that is mounted read-only: df -h ~, quota"
        return Finding("home", "broken", "~/.local/state cannot be written", cure)
    if free is not None and free < HOME_KIB:
        return Finding("home", "warning", f"{gib(free)} free", "make room: du -sh ~/.cache")
    return Finding("home", "ok", "can be written" + (f", {gib(free)} free" if free else ""))
