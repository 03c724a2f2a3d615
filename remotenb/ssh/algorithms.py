"""Which algorithms may be used: ours, as far as ssh_config lets them. Pure.

ssh_config says *which*; in which order is ours, the fastest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.errors import SshConfigError
from remotenb.ssh.keywords import matches

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

OLDER = frozenset(
    {
        "curve25519-sha256@libssh.org",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
    }
)
"""Key exchanges of each ssh since 7.3: where they all may be used, nobody chose among them."""
NEWER = "mlkem768x25519-sha256"
"""A key exchange that an ssh older than 9.9 does not know, so that it cannot have left it out."""


def allowed(
    spec: str, ours: Sequence[str], supported: Collection[str], keyword: str
) -> tuple[str, ...]:
    """Those of ``ours`` and ``supported`` that ``spec`` lets be used, as ssh_config has it.

    A list, or ``+`` (or ``^``) and more names, or ``-`` and patterns of those to leave out.
    Raises :class:`SshConfigError` when nothing is left.

    >>> allowed("-*gcm*", ["aes128-gcm@openssh.com", "aes128-ctr"], [], "ciphers")
    ('aes128-ctr',)
    """
    names = spec.lstrip("+-^").split(",")
    known = [*ours, *(one for one in supported if one not in ours)]
    match spec[:1]:
        case "":
            left = list(ours)
        case "+" | "^":
            left = [one for one in known if one in ours or one in names]
        case "-":
            left = [one for one in ours if not matches(one, names)]
        case _:
            left = [one for one in known if one in names]
    if not left:
        raise SshConfigError(
            f"{keyword} of ssh_config allows none that remotenb has",
            hint=f"it has: {', '.join(known)}",
        )
    return tuple(left)


def takes(spec: str, name: str) -> bool:
    """Whether ``spec`` lets a key of the type ``name`` be shown."""
    if spec[:1] == "-":
        return not matches(name, spec[1:].split(","))
    return spec[:1] in {"", "+", "^"} or name in spec.split(",")
