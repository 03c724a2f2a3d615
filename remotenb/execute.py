"""A command in a container, as if it ran here: what is said to the far side."""

from __future__ import annotations

import secrets
import shlex
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.errors import ContainerNotRunning, LinkLost, ShellUnusable
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paramiko import Channel

    from remotenb.machine import Machine
    from remotenb.model import Container

NOISE_LIMIT = 1 << 20
BLOCK = 1 << 16

START_TIMEOUT_S = 30.0
"""For the login shell over there, whose files for interactive use may be slow."""


class Execution:
    """The command's channel, past what the login shell printed before."""

    def __init__(self, channel: Channel, machine: Machine, marker: bytes) -> None:
        self.channel = channel
        self._host = machine.host
        channel.settimeout(START_TIMEOUT_S)
        self.first = self._after(marker)
        """What came together with the beginning."""
        channel.settimeout(None)

    def code(self) -> int:
        """The command's exit code, once its output has ended; raises :class:`LinkLost`."""
        code = self.channel.recv_exit_status()
        if code < 0:
            raise LinkLost(
                f"the connection to {self._host.name} broke",
                hint="what ran is ended; nohup or tmux in the container would keep it",
            )
        return code

    def _after(self, marker: bytes) -> bytes:
        came = b""
        while len(came) < NOISE_LIMIT and (data := self._next()):
            came += data
            _noise, begun, rest = came.partition(marker)
            if begun and b"\n" in rest:
                return rest.partition(b"\n")[2]
        if not self.channel.get_transport().is_active():
            raise LinkLost(f"the connection to {self._host.name} broke", hint="connect again")
        said = one_line(came[-BLOCK:]) or "no output"
        raise ShellUnusable(
            f"the login shell of {self._host.login} did not run sh: {said}",
            hint="does that account have a shell, and does its rc file let commands through?",
        )

    def _next(self) -> bytes:
        try:
            return self.channel.recv(BLOCK)
        except TimeoutError:
            return b""


def execute(  # noqa: PLR0913  what a terminal is made of
    machine: Machine,
    container: Container,
    command: Sequence[str],
    *,
    user: str = "",
    term: str = "",
    size: tuple[int, int] = (80, 24),
) -> Execution:
    """Begin ``command`` in a container; with a ``term``, on a terminal of that kind and size.

    It is ended when the link ends, as soon as the machine's sshd has noticed. Raises
    :class:`ContainerNotRunning`, :class:`ShellUnusable` and :class:`LinkLost`.
    """
    if not container.running:
        raise ContainerNotRunning(
            f"container {container.name} does not run ({container.status})",
            hint=f"remotenb start {machine.host.name} {container.name}",
        )
    marker = f"remotenb-{secrets.token_hex(12)}"
    channel = machine.link.begin(
        far.source("exec.sh") + far.source("attended.sh"),
        command,
        {
            "MARKER": marker,
            "ENGINE": shlex.join(container.engine.argv),
            "ID": container.id,
            "WHO": user,
            "TERMINAL": term,
        },
        term=term,
        size=size,
    )
    return Execution(channel, machine, marker.encode())
