"""Before a server that lets anybody in: only this user's own pages may talk to it.

Any web page can send requests to 127.0.0.1, and by DNS rebinding even read the answers.
What such a page cannot forge are the Host and Origin headers. So each connection is held to
one request (``Connection: close``; an upgrade is one anyway), whose head is read here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from remotenb.tunnel.peer import is_another_users

if TYPE_CHECKING:
    import socket

    from remotenb.tunnel.listener import Carrier

HEAD_LIMIT = 64 << 10
HEAD_TIMEOUT_S = 30.0

_WORDS = b"remotenb: this request comes from another page\n"
REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_WORDS), _WORDS)
)


def admitted(head: bytes, port: int) -> bytes | None:
    r"""The request's head as it may be passed on, ending in an empty line; None to refuse it.

    >>> admitted(b"GET / HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", 80) is None
    True
    """
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    headers = [tuple(part.strip() for part in line.partition(b":")[::2]) for line in lines[1:]]
    if any(line[:1] in b" \t" for line in lines[1:]):
        return None  # a folded header could hide another
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    names = [f"{host}:{port}".encode() for host in ("127.0.0.1", "localhost")]
    origins = [b"http://" + name for name in names]
    if len(values.get(b"host", [])) != 1 or values[b"host"][0].lower() not in names:
        return None
    if any(origin.lower() not in origins for origin in values.get(b"origin", [])):
        return None
    site = values.get(b"sec-fetch-site", [b"none"])[0].lower()
    if site not in {b"none", b"same-origin"} and values.get(b"sec-fetch-mode") != [b"navigate"]:
        return None
    if b"upgrade" in values:
        return head
    kept = [
        line
        for line, (name, _) in zip(lines[1:], headers, strict=True)
        if name.lower() != b"connection"
    ]
    return b"\r\n".join([lines[0], *kept, b"Connection: close", b"", b""])


class Gate:
    """A carrier that lets through what :func:`admitted` admits."""

    def __init__(self, carrier: Carrier, port: int) -> None:
        self._carrier = carrier
        self._port = port

    def carry(self, browser: socket.socket, first: bytes = b"") -> None:
        """Judge the first head, then hand the connection on with the head in front."""
        judge = threading.Thread(target=self._judge, args=(browser, first), daemon=True)
        judge.start()

    def _judge(self, browser: socket.socket, first: bytes) -> None:
        try:
            browser.settimeout(HEAD_TIMEOUT_S)
            stranger = is_another_users(browser.getpeername(), self._port)
            head, rest = _read_head(browser, first)
            passed = admitted(head, self._port) if head and not stranger else None
            if passed is None:
                browser.sendall(REFUSED if head else b"")
                browser.close()
                return
            browser.settimeout(None)
        except OSError:
            browser.close()
            return
        self._carrier.carry(browser, passed + rest)


def _read_head(browser: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    """The head with its empty line, and what came behind it; nothing when there is none."""
    while b"\r\n\r\n" not in data and len(data) < HEAD_LIMIT:
        more = browser.recv(HEAD_LIMIT)
        if not more:
            return b"", b""
        data += more
    head, end, rest = data.partition(b"\r\n\r\n")
    return (head + end if end else b""), rest
