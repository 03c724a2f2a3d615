"""Lines that root runs over there; sudo's password goes over stdin and is kept nowhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import FarSideError
from remotenb.setup.commands import shown
from remotenb.ssh.process import Process
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.laptop.credentials import Asker
    from remotenb.report import Reporter
    from remotenb.secret import Secret
    from remotenb.setup.commands import System
    from remotenb.ssh.link import Link

TRIES = 3
LINE_TIMEOUT_S = 1800.0
"""A package manager on a slow line."""
QUIET = "DEBIAN_FRONTEND=noninteractive"


@dataclass(slots=True)
class Root:
    """Root on that machine, as far as sudo allows."""

    link: Link
    system: System
    people: Asker | None
    password: Secret | None = None
    """Of an earlier step, so that it is asked for once."""

    def run(self, lines: Sequence[str], report: Reporter) -> None:
        """Run them in their order; raises a :class:`FarSideError` for the first that fails."""
        self._become()
        for line in lines:
            with report.step(shown(self.system, line)):
                self._line(line)

    def _become(self) -> None:
        """See that sudo lets us, with a password if it wants one."""
        if self.system.root or self._code((*self._sudo(), "true"), self._typed())[0] == 0:
            return
        if not self.system.sudo:
            raise FarSideError("there is no sudo", hint="an administrator can run those lines")
        for _ in range(TRIES if self.people else 0):
            prompt = f"sudo password of {self.link.host.login}: "
            self.password = self.people.secret(prompt) if self.people else None
            if not self.password:
                break
            code, said = self._code((*self._sudo(), "true"), self._typed())
            if code == 0:
                return
            if "not in the sudoers" in said or "not allowed" in said:
                raise FarSideError(
                    f"sudo: {one_line(said)}", hint="an administrator can run those lines"
                )
        raise FarSideError("sudo wants a password", hint="an administrator can run those lines")

    def _sudo(self) -> tuple[str, ...]:
        return ("sudo", "-S", "-p", "") if self.password else ("sudo", "-n")

    def _typed(self) -> bytes:
        return self.password.reveal().encode() + b"\n" if self.password else b""

    def _line(self, line: str) -> None:
        command = ("env", QUIET, "sh", "-c", line)
        argv = command if self.system.root else (*self._sudo(), *command)
        code, said = self._code(argv, self._typed())
        if code != 0:
            raise FarSideError(
                f"{shown(self.system, line)}: exit code {code}",
                hint="what was done before it stands; the same command again goes on",
                detail=tail(said, 10),
            )

    def _code(self, argv: Sequence[str], first: bytes) -> tuple[int, str]:
        """Exit code and words; a command that has no end is left after half an hour."""
        with Process(self.link.pipe(argv, first), self.link.host.name) as process:
            end = threading.Timer(LINE_TIMEOUT_S, process.close)
            end.daemon = True
            end.start()
            try:
                said = "\n".join(process.lines())
                return process.wait(), f"{said}\n{process.err}"
            finally:
                end.cancel()
