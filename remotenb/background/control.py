"""The door to a live session: one JSON line in, one or more out. For this user alone.

A unix socket, 0600; on Windows a port of the loopback, and a secret in the session's file, which
both ends show to know without sending it. Version 1 answers ``ready``, ``status``, ``open``,
``forward``, ``close``, ``watch`` and ``login``, in which it asks back.
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
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from remotenb.background.asking import LINE_LIMIT, REQUEST_TIMEOUT_S, UNIX, VERSION, proof, short
from remotenb.background.visitor import Visitor
from remotenb.errors import RemotenbError, UsageError
from remotenb.report import error_members, members
from remotenb.tunnel.listener import own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from remotenb.background.asking import Facts
    from remotenb.background.hub import Hub
    from remotenb.laptop.credentials import Asker
    from remotenb.report import Forwarded, Ready, Snapshot

logger = logging.getLogger(__name__)

PARTING_S = 2.0
"""How long those who watch may take to hear of the end."""


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

    def log_in(self, person: Asker | None, leave: Callable[[], object]) -> Future[Exception | None]:
        """Somebody may be asked; ``leave`` ends the asking. What came of it."""

    def stop(self, reason: str) -> None:
        """End it."""


class Control:
    """Answers for one session, in threads of its own."""

    def __init__(self, live: Live, ready: Callable[[], Ready], hub: Hub, folder: Path) -> None:
        self._live = live
        self._ready = ready
        self._hub = hub
        self._watched: set[threading.Thread] = set()
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
            with short(path) as address:
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
        deadline = time.monotonic() + PARTING_S
        for thread in tuple(self._watched):
            thread.join(max(0.0, deadline - time.monotonic()))

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
                    shown = proof(self._secret, "session", str(request["nonce"]))
                    client.sendall(json.dumps({"proof": shown}).encode() + b"\n")
                for answer in self._answers(request, client):
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
        return hmac.compare_digest(shown, proof(self._secret, "asker", nonce).encode())

    def _answers(self, request: Facts, client: socket.socket) -> Iterator[Facts]:
        _same_version(request)
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
            case "login":
                yield self._log_in(client, attended=request.get("attended") is True)
            case other:
                raise UsageError(f"a session cannot be asked for {other!r}")

    def _log_in(self, client: socket.socket, *, attended: bool) -> Facts:
        """Let whoever asks be asked, until the login is through or has failed."""
        visitor = Visitor(client, _read_line)
        over = self._live.log_in(visitor if attended else None, visitor.leave)
        while True:
            try:
                error = over.result(REQUEST_TIMEOUT_S)
            except TimeoutError:
                visitor.still_there()
                continue
            if isinstance(error, RemotenbError):
                return {"event": "error", **error_members(error)}
            return {}

    def _watch(self) -> Iterator[Facts]:
        thread = threading.current_thread()
        self._watched.add(thread)
        try:
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
        finally:
            self._watched.discard(thread)


def _same_version(request: Facts) -> None:
    if request.get("version") != VERSION:
        raise UsageError(
            f"that session is of another version of remotenb (control {VERSION})",
            hint="end it with the version that began it, or stop its process",
        )


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
