"""The chain from the laptop to the notebook: what a check-up finds at each link, and its cure.

Pure: from what was seen and said to findings. A link that could not be tested says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from remotenb import errors
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

State = Literal["ok", "warning", "broken", "untested"]

BEFORE_LOGIN: tuple[tuple[str, tuple[type[errors.LinkError], ...]], ...] = (
    ("ssh_config", (errors.SshConfigError,)),
    ("name", (errors.HostUnknown,)),
    ("TCP", (errors.HostUnreachable,)),
    ("SSH", (errors.ProtocolFailed, errors.LinkLost)),
    ("host key", (errors.HostKeyUnknown, errors.HostKeyChanged)),
    ("login", (errors.LinkError,)),
)
"""The links up to the login, and the errors that each of them breaks with."""

CHAIN = (
    *(link for link, _ in BEFORE_LOGIN),
    *("shell", "sessions", "forwarding", "clock", "home"),
    *("engine", "GPUs", "toolkit", "disk", "image", "GPUs inside", "shared memory", "Jupyter"),
    *("notebook", "token", "tunnel", "browser"),
)
"""All links, in the order in which they are told."""

Facts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the case at one link of the chain, and what to do about it."""

    link: str
    state: State
    said: str
    cure: str = ""


def parse(text: str) -> Facts:
    """The lines of ``checkup.sh``; one that is not such a line is left out."""
    pairs = (plain(line).partition("\t") for line in text.splitlines())
    return {name: value.strip() for name, tab, value in pairs if tab}


def untested(done: Sequence[Finding], why: str) -> Iterator[Finding]:
    """The links of the chain that nobody came to."""
    links = {finding.link for finding in done}
    return (Finding(link, "untested", why) for link in CHAIN if link not in links)


def code(findings: Sequence[Finding]) -> int:
    """The exit code: of the first link that is broken."""
    broken = next((one.link for one in findings if one.state == "broken"), None)
    if broken is None:
        return 0
    if broken in dict(BEFORE_LOGIN):
        return errors.LinkError.code
    return errors.LocalError.code if broken in {"tunnel", "browser"} else errors.FarSideError.code


def members(findings: Sequence[Finding]) -> list[Mapping[str, object]]:
    """The document of ``--json``."""
    return [
        {"link": one.link, "state": one.state, "said": one.said, "cure": one.cure or None}
        for one in findings
    ]


def space(text: str) -> tuple[int | None, int | None]:
    """KiB that are free, and in all, as the script tells them."""
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):  # noqa: PLR2004  a pair
        return None, None
    return int(words[0]), int(words[1])


def gib(kib: int) -> str:
    """KiB, for people."""
    return f"{kib / (1 << 20):.1f} GiB"


_ADDRESS = re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b|\b[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){3,7}\b")
_SECRET = re.compile(r"(token[=: ]+|password[=: ]+|SHA256:)\S+", re.IGNORECASE)


def redacted(text: str, names: Mapping[str, str]) -> str:
    """``text`` without addresses, tokens, fingerprints, and with ``names`` replaced.

    >>> redacted("alice@10.0.0.5 has token=abc", {"alice": "USER"})
    'USER@ADDRESS has token=***'
    """
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", names[name], text)
    return _SECRET.sub(r"\1***", _ADDRESS.sub("ADDRESS", text))
