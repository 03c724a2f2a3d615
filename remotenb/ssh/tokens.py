"""OpenSSH's tokens in the values of ssh_config: ``%h`` and the like, ``${NAME}``, ``~``. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from remotenb.errors import SshConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def expand(text: str, tokens: Mapping[str, str], keyword: str) -> str:
    """``text`` with each ``%x`` replaced; an unknown one is an error, as for ssh.

    >>> expand("id_%h%%", {"h": "box"}, "identityfile")
    'id_box%'
    """

    def one(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            known = " ".join(f"%{known}" for known in sorted(tokens))
            raise SshConfigError(
                f"ssh_config: {keyword} has no token %{letter}", hint=f"there are: %% {known}"
            )
        return tokens[letter]

    return re.sub(r"%(.?)", one, text, flags=re.DOTALL)


def with_environment(text: str, environment: Mapping[str, str], keyword: str) -> str:
    """``text`` with each ``${NAME}`` replaced; one that is not set is an error, as for ssh."""

    def one(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SshConfigError(
                f"ssh_config: {keyword} wants the environment variable {match[1]}",
                hint="set it, or write what it means",
            )
        return environment[match[1]]

    return re.sub(r"\$\{([^}]*)\}", one, text)


def connection(*, laptop: str, hostname: str, port: str, user: str, jump: str = "") -> str:
    """``%C``: a name for the connection that is as short for every host."""
    return hashlib.sha1((laptop + hostname + port + user + jump).encode()).hexdigest()  # noqa: S324  OpenSSH's
