"""Text from the far side, made fit for a person's terminal."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links, the clipboard
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS and its kin
    r"|[ -/]*[0-~])"  # the two-byte ones
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str | bytes) -> str:
    """``text`` without escape sequences, control and direction characters; lines and tabs stay."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str | bytes, limit: int = 300) -> str:
    """``text`` as one line of at most ``limit`` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def tail(text: str | bytes, lines: int = 20) -> str:
    """The last ``lines`` lines that say something, each cut at 200 characters."""
    kept = [line.rstrip() for line in plain(text).splitlines() if line.strip()]
    return "\n".join(line[:200] for line in kept[-lines:])
