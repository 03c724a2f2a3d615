"""The door to a live session: one JSON line in, one or more out. For this user alone.

A unix socket, 0600; on Windows a port of the loopback, and a secret in the session's file, which
both ends show to know without sending it. Version 1 answers ``ready``, ``status``, ``open``,
``forward``, ``close`` and ``watch``.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import queue
import secrets
import socket
import struct
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from remotenb.errors import RemotenbError, UsageError
from remotenb.report import members
from remotenb.tunnel.listener import own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotenb.background.hub import Hub
    from remotenb.report import Forwarded, Ready, Snapshot

logger = logging.getLogger(__name__)

VERSION = 1
LINE_LIMIT = 1 << 16
REQUEST_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.25
UNIX: int = getattr(socket, "AF_UNIX", -1)
"""Windows' Python has none."""

Facts = dict[str, object]


class Live(Protocol):
    """What can be asked of a session."""

    def snapshot(self) -> Snapshot:
        """How it is now."""

    def one_time_link(self) -> str:
        """A new address that logs in once."""

    def add_forward(self, port: int) -> Forwarded:
        """Lead one more port."""

    def try_again(self) -> None:
        """A person is there."""

    def stop(self, reason: str) -> None:
        """End it."""


class Control:
    """Answers for one session, in threads of its own."""

    def __init__(self, live: Live, ready: Callable[[], Ready], hub: Hub, folder: Path) -> None:
        self._live = live
        self._ready = ready
        self._hub = hub
        self._secret = ""
        if sys.platform == "win32":  # pragma: no cover  no unix sockets in Python there
            self._listen_by_port()
        else:
            self._listen_by_path(folder)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _listen_by_path(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        self._sock = socket.socket(UNIX)
        before = os.umask(0o177)
        try:
            with _short(path) as address:
                self._sock.bind(address)
        finally:
            os.umask(before)
        self._sock.listen(8)
        self.address = str(path)

    def _listen_by_port(self) -> None:
        self._sock = socket.socket()
        own(self._sock)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(8)
        self._secret = secrets.token_urlsafe(32)
        self.address = f"{self._sock.getsockname()[1]}:{self._secret}"

    def close(self) -> None:
        """Answer no more; who listens is told that it is over."""
        self._hub.end()
        self._sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(REQUEST_TIMEOUT_S)
                request = _read_line(client)
                if not _is_mine(client) or not self._knows_secret(request):
                    return
                if self._secret:
                    proof = _proof(self._secret, "session", str(request["nonce"]))
                    client.sendall(json.dumps({"proof": proof}).encode() + b"\n")
                for answer in self._answers(request):
                    client.sendall(json.dumps(answer).encode() + b"\n")
            except RemotenbError as error:
                _send_error(client, error)
            except (OSError, ValueError, TypeError):
                logger.debug("a request that is none", exc_info=True)

    def _knows_secret(self, request: Facts) -> bool:
        if not self._secret:
            return True
        shown = str(request.get("proof")).encode()
        nonce = str(request.get("nonce"))
        return hmac.compare_digest(shown, _proof(self._secret, "asker", nonce).encode())

    def _answers(self, request: Facts) -> Iterator[Facts]:
        if request.get("version") != VERSION:
            raise UsageError(
                f"that session is of another version of remotenb (control {VERSION})",
                hint="end it with the version that began it, or stop its process",
            )
        match request.get("ask"):
            case "ready":
                self._live.try_again()
                yield members(self._ready())
            case "status":
                yield {**asdict(self._live.snapshot()), "pid": os.getpid()}
            case "open":
                yield {"url": self._live.one_time_link(), "address": self._ready().url}
            case "forward":
                yield asdict(self._live.add_forward(int(str(request.get("port")))))
            case "close":
                yield {}
                self._live.stop("disconnected")
            case "watch":
                yield from self._watch()
            case other:
                raise UsageError(f"a session cannot be asked for {other!r}")

    def _watch(self) -> Iterator[Facts]:
        with self._hub.listening() as events:
            yield {}
            while True:
                try:
                    event = events.get(timeout=REQUEST_TIMEOUT_S)
                except queue.Empty:
                    yield {}  # shows whether anybody still listens
                    continue
                if event is None:
                    return
                yield event


def dial(address: str) -> socket.socket:
    """A connection to a session's control; raises :class:`OSError`."""
    port, _, _ = address.partition(":")
    if port.isdigit():
        return socket.create_connection(("127.0.0.1", int(port)), REQUEST_TIMEOUT_S)
    sock = socket.socket(UNIX)
    sock.settimeout(REQUEST_TIMEOUT_S)
    try:
        with _short(Path(address)) as name:
            sock.connect(name)
    except OSError:
        sock.close()
        raise
    return sock


def ask(address: str, what: str, **more: object) -> Iterator[Facts]:
    """Ask a session; its answers. Raises :class:`OSError` when nobody is there."""
    nonce, secret = secrets.token_hex(16), _secret_of(address)
    with dial(address) as sock:
        request = {"version": VERSION, "ask": what, **more}
        if secret:
            request |= {"nonce": nonce, "proof": _proof(secret, "asker", nonce)}
        sock.sendall(json.dumps(request).encode() + b"\n")
        answers = _lines(sock, REQUEST_TIMEOUT_S if what == "status" else ANSWER_TIMEOUT_S)
        if secret and next(answers, {}).get("proof") != _proof(secret, "session", nonce):
            raise ConnectionRefusedError(f"another program has the port of {address[:5]}")
        for facts in answers:
            if "error" in facts and "event" not in facts:
                raise UsageError(str(facts["error"]), hint=str(facts.get("hint", "")))
            yield facts


def _secret_of(address: str) -> str:
    port, _, secret = address.partition(":")
    return secret if port.isdigit() else ""


def _proof(secret: str, who: str, nonce: str) -> str:
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
def _short(path: Path) -> Iterator[str]:
    """``path``, by its folder's descriptor: a unix socket's address has room for 107 bytes."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _read_line(client: socket.socket) -> Facts:
    data = b""
    while not data.endswith(b"\n"):
        more = client.recv(4096)
        data += more
        if not more or len(data) > LINE_LIMIT:
            raise ValueError(len(data))
    request = json.loads(data)
    if not isinstance(request, dict):
        raise TypeError(type(request))
    return request


def _send_error(client: socket.socket, error: RemotenbError) -> None:
    try:
        client.sendall(json.dumps({"error": error.message, "hint": error.hint}).encode() + b"\n")
    except OSError:
        pass


def _is_mine(client: socket.socket) -> bool:
    """Whether this user is at the other end; Linux tells, elsewhere the file's mode must do."""
    credentials = getattr(socket, "SO_PEERCRED", None)
    if credentials is None:
        return True
    raw = client.getsockopt(socket.SOL_SOCKET, credentials, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", raw)[1]
    return uid in {getattr(os, "getuid", lambda: uid)(), 0}
