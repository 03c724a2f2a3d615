"""Text for a shell on the far side: the one place where a string is quoted.

What is assumed of the login shell (bash, dash, zsh, fish, tcsh, ...): it runs ``exec sh -s``,
and it does not eat our stdin. It may print what it likes before, and the script's output is
found between two lines with a random marker. The script itself is always read by ``sh``.
"""

from __future__ import annotations

import base64
import gzip
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = "exec sh -s"
"""What the login shell is asked to run: the same words in every shell there is."""

ONE_LINE = """exec sh -c 'IFS= read -r line; eval "$line"'"""
"""The same for one command that wants the rest of stdin for itself: ``read`` takes one line and
no byte more, which a shell that reads a script does not promise."""


def quote(word: str) -> str:
    """``word`` as one word for sh, whatever is in it (but NUL, which no argv can hold)."""
    if "\0" in word:
        raise UsageError("a NUL byte cannot be part of a command", hint="look in the config")
    return shlex.quote(word)


def in_one_line(source: str, *, variables: Mapping[str, str], argv: Sequence[str]) -> str:
    """A command line that runs ``source`` and leaves stdin to it: base64 is safe in every shell."""
    lines = [f"{name}={quote(value)}" for name, value in variables.items()]
    lines += [" ".join(["set", "--", *(quote(word) for word in argv)]), source]
    text = base64.b64encode("\n".join(lines).encode("utf-8", "surrogateescape")).decode()
    return f"""exec sh -c 'eval "$(echo {text} | base64 -d)"'"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script ready for ``sh -s``, and how to find its output."""

    text: bytes
    marker: bytes

    @classmethod
    def build(
        cls, source: str, *, variables: Mapping[str, str], argv: Sequence[str] = ()
    ) -> Script:
        """Wrap ``source``: variables first, ``argv`` as its positional parameters.

        The parentheses make sh read all of it before it runs any of it, so that no
        command can take the rest of the script for its own stdin.
        """
        marker = f"remotenb-{secrets.token_hex(12)}"
        lines = [f"{name}={quote(value)}" for name, value in variables.items()]
        lines += [
            " ".join(["set", "--", *(quote(word) for word in argv)]),
            f"printf '\\n%s\\n' {marker}",
            "(",
            source,
            ") </dev/null",
            f"printf '\\n%s %s\\n' {marker} $?",
            "exit 0",
            "",
        ]
        # an argument of the command line may have bytes that are no UTF-8: they go as they came
        return cls("\n".join(lines).encode("utf-8", "surrogateescape"), marker.encode())

    @property
    def in_command(self) -> str:
        """The command line that has it all in itself; it needs gzip over there."""
        text = base64.b64encode(gzip.compress(self.text)).decode()
        return f"""exec sh -c 'eval "$(echo {text} | base64 -d | gzip -d)"'"""

    def output(self, raw: bytes) -> tuple[int, bytes] | None:
        """Exit code and output of the script in all that came; None when it did not run through."""
        _noise, begun, rest = raw.partition(b"\n" + self.marker + b"\n")
        body, ended, status = rest.rpartition(b"\n" + self.marker + b" ")
        number = status.split(b"\n", 1)[0]
        if not begun or not ended or not number.isdigit():
            return None
        return int(number), body
