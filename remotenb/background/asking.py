"""Asking a live session through its door: what :mod:`remotenb.background.control` answers."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 1
LINE_LIMIT = 1 << 16
REQUEST_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.25
UNIX: int = getattr(socket, "AF_UNIX", -1)
"""Windows' Python has none."""

Facts = dict[str, object]


def dial(address: str) -> socket.socket:
    """A connection to a session's control; raises :class:`OSError`."""
    port, _, _ = address.partition(":")
    if port.isdigit():
        return socket.create_connection(("127.0.0.1", int(port)), REQUEST_TIMEOUT_S)
    sock = socket.socket(UNIX)
    sock.settimeout(REQUEST_TIMEOUT_S)
    try:
        with short(Path(address)) as name:
            sock.connect(name)
    except OSError:
        sock.close()
        raise
    return sock


def ask(
    address: str, what: str, *, reply: Callable[[Facts], Facts] | None = None, **more: object
) -> Iterator[Facts]:
    """Ask a session; its answers. Raises :class:`OSError` when nobody is there.

    Where it asks back, ``reply`` has the answer.
    """
    nonce, secret = secrets.token_hex(16), _secret_of(address)
    with dial(address) as sock:
        request = {"version": VERSION, "ask": what, **more}
        if secret:
            request |= {"nonce": nonce, "proof": proof(secret, "asker", nonce)}
        sock.sendall(json.dumps(request).encode() + b"\n")
        answers = _lines(sock, REQUEST_TIMEOUT_S if what == "status" else ANSWER_TIMEOUT_S)
        if secret and next(answers, {}).get("proof") != proof(secret, "session", nonce):
            raise ConnectionRefusedError(f"another program has the port of {address[:5]}")
        for facts in answers:
            if "error" in facts and "event" not in facts:
                raise UsageError(str(facts["error"]), hint=str(facts.get("hint", "")))
            if reply is not None and "question" in facts:
                sock.sendall(json.dumps(reply(facts)).encode() + b"\n")
                continue
            yield facts


def _secret_of(address: str) -> str:
    port, _, secret = address.partition(":")
    return secret if port.isdigit() else ""


def proof(secret: str, who: str, nonce: str) -> str:
    """What only those can say who know ``secret``."""
    return hmac.new(secret.encode(), f"{who} {nonce}".encode(), "sha256").hexdigest()


def _lines(sock: socket.socket, patience: float) -> Iterator[Facts]:
    """The answers that come, each within ``patience`` s; raises :class:`TimeoutError`.

    In small waits: on Windows none of a socket's hears Ctrl-C.
    """
    sock.settimeout(LOOK_EVERY_S)
    data, deadline = b"", time.monotonic() + patience
    while True:
        line, ended, rest = data.partition(b"\n")
        if ended:
            yield json.loads(line)
            data, deadline = rest, time.monotonic() + patience
            continue
        try:
            more = sock.recv(LINE_LIMIT)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise
            continue
        if not more or len(data) > LINE_LIMIT:
            return
        data += more


@contextmanager
def short(path: Path) -> Iterator[str]:
    """``path``, by its folder's descriptor: a unix socket's address has room for 107 bytes."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
