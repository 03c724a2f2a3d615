"""The laptop of :mod:`tests.laptop`, with Windows on it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.laptop import Done, Laptop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.windows.wine import Wine

END = b"\0the end"


@dataclass(kw_only=True)
class WindowsLaptop(Laptop):
    """Where remotenb is run as a program for Windows, with the user's own ssh_config."""

    wine: Wine

    @property
    def environment(self) -> dict[str, str]:
        """Wine's, and warnings that are errors as everywhere."""
        return {**self.wine.environment, "PYTHONWARNINGS": "error::ResourceWarning"}

    def argv(self, *args: str) -> list[str]:
        """The command line of remotenb."""
        return self.wine.argv("-m", "remotenb", *args)

    def run(
        self, *args: str, timeout: float = 60, environment: dict[str, str] | None = None
    ) -> Done:
        """Run remotenb to its end.

        Stderr is read when it has ended, not to its own end: Wine leaves it open in whatever a
        program has started, also where that has closed it.
        """
        told, telling = os.pipe()
        with subprocess.Popen(
            self.argv(*args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=telling,
            env={**self.environment, **(environment or {})},
        ) as process:
            out, _ = process.communicate(timeout=timeout)
        os.write(telling, END)
        os.close(telling)
        err = b""
        while not err.endswith(END):
            err += os.read(told, 1 << 16)
        os.close(told)
        return Done(process.returncode, out.decode(), err.removesuffix(END).decode())

    @property
    def sessions(self) -> Path:
        """Where the files of live sessions are."""
        return self.home / "AppData/Local/remotenb/sessions"

    def piped(self, given: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
        """Run remotenb to its end with something on its stdin."""
        return subprocess.run(
            self.argv(*args),
            check=False,
            capture_output=True,
            input=given,
            timeout=60,
            env=self.environment,
        )
