"""Whose is the other end of a connection on the loopback? Linux tells."""

from __future__ import annotations

import os
from pathlib import Path

TABLE = Path("/proc/net/tcp")


def is_another_users(client: tuple[str, int], port: int) -> bool:
    """Whether ``client``, connected to our ``port`` on 127.0.0.1, belongs to another user.

    False also where that cannot be known: on Windows, and when the row is gone already.
    """
    if (us := _uid()) is None:
        return False
    try:
        rows = TABLE.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return False
    wanted = [_hex(*client), _hex("127.0.0.1", port)]
    for row in rows:
        fields = row.split()
        if fields[1:3] == wanted:
            return int(fields[7]) not in {us, 0}  # root carries what comes from outside WSL
    return False


def _hex(address: str, port: int) -> str:
    """As the kernel prints it: the address's bytes backwards, then the port."""
    return "".join(f"{int(part):02X}" for part in reversed(address.split("."))) + f":{port:04X}"


def _uid() -> int | None:
    """None on Windows, where a /proc may be some other program's."""
    uid: int | None = getattr(os, "getuid", lambda: None)()
    return uid
