"""Is that a Jupyter, does it let us in, and since when does it run? Asked over HTTP.

Every question goes the way the browser will go. ``/api`` answers anybody, ``/api/status``
only those who are let in; neither counts as activity. ``Authorization: token`` is the one
form that both generations take.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from remotenb.secret import Secret
from remotenb.server import Access, Endpoint, Found, Rejected, Server
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_TIMEOUT_S = 8.0
ANSWER_LIMIT = 1 << 16
MAX_CANDIDATES = 16
AT_ONCE = 8
PATIENCE_S = 20.0
"""For how long a server that lives is asked again before it counts as silent."""

Connect = Callable[[Endpoint], socket.socket]
"""A connected socket to an endpoint of the far side; raises :class:`OSError`."""


@contextmanager
def _pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that Ctrl-C need not wait for; each ends by its own deadline."""
    pool = ThreadPoolExecutor(size, thread_name_prefix="check")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    value: object

    @property
    def body(self) -> dict[str, object]:
        """The JSON object, an empty one for anything else."""
        return self.value if isinstance(self.value, dict) else {}


_SILENCE = _Answer(0, None)
"""Somebody listens, and says nothing."""


def ask(
    connect: Connect, endpoint: Endpoint, path: str, token: Secret | None = None
) -> _Answer | None:
    """GET ``path``; None when nothing that speaks HTTP answers within 8 s."""
    answer = _asked(connect, endpoint, path, token)
    return None if answer is _SILENCE else answer


def _asked(
    connect: Connect, endpoint: Endpoint, path: str, token: Secret | None = None
) -> _Answer | None:
    try:
        sock = connect(endpoint)
    except OSError:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port)
    # for the answer as a whole: a timeout of the socket's alone would begin anew with each byte
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        _cut(connection.sock or sock)

    deadline = threading.Timer(ANSWER_TIMEOUT_S, cut)
    deadline.daemon = True
    deadline.start()
    try:
        sock.settimeout(2 * ANSWER_TIMEOUT_S)
        connection.sock = _tls(sock) if endpoint.secure else sock
        headers = {"Authorization": f"token {token.reveal()}"} if token else {}
        connection.request("GET", path, headers=headers | {"Connection": "close"})
        response = connection.getresponse()
        return _Answer(response.status, _json(response.read(ANSWER_LIMIT)))
    except (OSError, ValueError, http.client.HTTPException):
        return _SILENCE if passed.is_set() else None
    finally:
        deadline.cancel()
        connection.close()
        sock.close()


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _tls(sock: socket.socket) -> ssl.SSLSocket:
    """A server's self-signed certificate proves nothing; the SSH link under it already did."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def verify(found: Found, connect: Connect) -> Server | Rejected:
    """Find the endpoint of ``found`` that answers, and see whether the file told the truth."""
    reason = found.obstacle or "nothing to dial"
    silent = False
    for endpoint in found.endpoints:
        checked = _check(endpoint, found, connect)
        if isinstance(checked, Server):
            return checked
        silent |= checked is None
        reason = checked or "it does not answer"
    return Rejected(found, reason, silent=silent)


def _check(endpoint: Endpoint, found: Found, connect: Connect) -> Server | str | None:
    """Three questions at once; a token alone proves little, as an open server takes any.

    Not a server: why; None when somebody listens, and says nothing.
    """
    base, token = found.file.base_url, found.file.token
    with _pool(3) as pool:
        about = pool.submit(_asked, connect, endpoint, base + "api")
        stranger = pool.submit(_asked, connect, endpoint, base + "api/status")
        insider = pool.submit(_asked, connect, endpoint, base + "api/status", token or None)
        version, outside, inside = about.result(), stranger.result(), insider.result()
    if any(answer is _SILENCE for answer in (version, outside, inside)):
        return None
    if version is None or outside is None or inside is None:
        return "nothing answers there"
    if version.status != HTTPStatus.OK or not isinstance(version.body.get("version"), str):
        return f"no Jupyter under {base}"
    access = _access(outside.status, inside.status, has_token=bool(token))
    if access is None:
        return "it does not know that token"
    status = outside.body if access == "open" else inside.body
    return Server(
        endpoint=endpoint,
        token=token if access == "token" else Secret(""),
        base_url=base,
        access=access,
        version=plain(str(version.body["version"]))[:40],
        root_dir=found.file.root_dir,
        port=found.file.port,
        started=_time(status.get("started")),
        kernels=kernels if isinstance(kernels := status.get("kernels"), int) else 0,
        container=found.container,
        exposed=found.exposed,
        ways=found.endpoints,
    )


def _access(outside: int, inside: int, *, has_token: bool) -> Access | None:
    if outside == HTTPStatus.OK:
        return "open"
    if inside == HTTPStatus.OK and has_token:
        return "token"
    refused = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return "password" if outside in refused and not has_token else None


def _time(text: object) -> str | None:
    """RFC 3339 in UTC, as both generations write it; None for anything else."""
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"
    return text if isinstance(text, str) and re.fullmatch(pattern, text) else None


def started(connect: Connect, server: Server) -> str | None:
    """Since when ``server`` runs, by its own word; empty if it does not say, None if it is gone."""
    with _pool(1) as pool:  # whose wait hears Ctrl-C on Windows too, as a socket's does not
        path = server.base_url + "api/status"
        answer = pool.submit(ask, connect, server.endpoint, path, server.token or None).result()
    if answer is None:
        return None
    return _time(answer.body.get("started")) or ""


def kernel_states(connect: Connect, server: Server) -> tuple[int, int] | None:
    """How many of its kernels are busy, and how many are not."""
    answer = ask(connect, server.endpoint, server.base_url + "api/kernels", server.token or None)
    if answer is None or not isinstance(answer.value, list):
        return None
    rows = [row for row in answer.value if isinstance(row, dict)]
    busy = sum(row.get("execution_state") == "busy" for row in rows)
    return busy, len(rows) - busy


def verify_all(found: Sequence[Found], connect: Connect) -> list[Server | Rejected]:
    """Verify the most promising candidates, several at once."""
    promising = sorted(found, key=lambda one: (not one.file.alive, -one.file.modified))
    if not promising:
        return []
    with _pool(AT_ONCE) as pool:
        return list(pool.map(lambda one: _patiently(one, connect), promising[:MAX_CANDIDATES]))


def _patiently(found: Found, connect: Connect) -> Server | Rejected:
    """A server whose process lives may be held up for a while, by a slow disk for one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = verify(found, connect)
        silent = isinstance(answer, Rejected) and answer.silent and found.file.alive
        if not silent or time.monotonic() > deadline:
            return answer
