"""A person's terminal: a real tmux, its screen read as text, its window changing its size."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

PROMPT = "laptop$ "
SEEN_WITHIN_S = 40.0


@dataclass
class Tmux:
    """One window with a shell in it; a context manager that ends it."""

    folder: Path
    environment: Mapping[str, str]
    columns: int = 100
    lines: int = 30

    def __enter__(self) -> Self:
        shell = ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]
        shell += ["TERM=tmux-256color", f"PS1={PROMPT}", "sh"]
        size = ("-x", str(self.columns), "-y", str(self.lines))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, shlex.join(shell))
        self._tmux("set-option", "-g", "history-limit", "10000")
        self.until(lambda: PROMPT.strip() in self.screen[0])
        return self

    def __exit__(self, *_exc: object) -> None:
        self._tmux("kill-server", check=False)

    @property
    def screen(self) -> list[str]:
        """The lines that are to be seen, without the spaces at their ends."""
        shown = self._tmux("capture-pane", "-p", "-N").split("\n")
        return [line.rstrip() for line in shown[: self.lines]]

    @property
    def history(self) -> str:
        """All that was shown, lines that were wrapped in one."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-").rstrip("\n")

    @property
    def coloured(self) -> str:
        """The screen with its colours, as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    def about(self, name: str) -> str:
        """What tmux knows of it, as ``alternate_on`` or ``cursor_flag``."""
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def types(self, text: str, *keys: str) -> None:
        """Type ``text``, then keys by tmux' names for them."""
        if text:
            self._tmux("send-keys", "-l", "--", text)
        if keys:
            self._tmux("send-keys", *keys)

    def enters(self, line: str) -> None:
        """A line, and Enter."""
        self.types(line, "Enter")

    def resize(self, columns: int, lines: int) -> None:
        """Drag the window's corner."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))
        self.columns, self.lines = columns, lines

    def until(self, happened: Callable[[], bool], *, seconds: float = SEEN_WITHIN_S) -> None:
        """Wait until something is to be seen."""
        try:
            until(happened, "something on the screen", seconds=seconds)
        except Exception as error:
            error.add_note("\n".join(self.screen))
            raise

    def until_seen(self, text: str) -> None:
        """Wait for a text on the screen."""
        self.until(lambda: any(text in line for line in self.screen))

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return next(filter(None, reversed(self.screen)), "")

    def forget(self) -> None:
        """What was shown before is no part of the history."""
        self._tmux("clear-history")

    def until_prompt(self, end: str, *, seconds: float = SEEN_WITHIN_S) -> None:
        """Wait until the last line ends so."""
        self.until(lambda: self.last.endswith(end), seconds=seconds)

    def _tmux(self, *words: str, check: bool = True) -> str:
        argv: Sequence[str] = ["tmux", "-S", str(self.folder / "tmux"), *words]
        done = subprocess.run(argv, check=check, capture_output=True, text=True, timeout=20)
        return done.stdout
