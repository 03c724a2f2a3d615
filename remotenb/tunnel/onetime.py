"""The browser's first address: a link on the loopback that works once, for a minute.

So the token is in no argv: what ``ps`` shows is a number that has done its work. The link has
a port of its own: behind the tunnel's port it would wait for the browser's six held connections.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from remotenb.tunnel.listener import own
from remotenb.tunnel.peer import is_another_users

if TYPE_CHECKING:
    from remotenb.secret import Secret

LIFETIME_S = 60.0


class _Server(ThreadingHTTPServer):
    """One whose port nobody else can take; the library's own lets that happen on Windows."""

    allow_reuse_address = False

    def server_bind(self) -> None:
        """Bind, as the tunnel's port is bound."""
        own(self.socket)
        super().server_bind()


class OneTimeLink:
    """Answers ``url`` with a redirect to ``target``, once, within a minute."""

    def __init__(self, target: Secret, *, lifetime: float = LIFETIME_S) -> None:
        self._target: Secret | None = target
        self._path = "/" + secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}{self._path}"
        self._timer = threading.Timer(lifetime, self.close)
        self._timer.daemon = True
        self._timer.start()
        serving = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="one-time link", daemon=True
        )
        serving.start()

    def take(self, path: str) -> Secret | None:
        """The target for the right path, the first time; else None."""
        with self._lock:
            if not hmac.compare_digest(path.encode("utf-8", "replace"), self._path.encode()):
                return None
            target, self._target = self._target, None
        return target

    def close(self) -> None:
        """The link is dead; may be called twice."""
        with self._lock:
            self._target = None
        self._timer.cancel()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        link = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5
            server_version = "remotenb"
            sys_version = ""

            def do_GET(self) -> None:
                # ps shows the link to every user of this machine before the browser comes
                stranger = is_another_users(self.client_address, link.port)
                target = None if stranger else link.take(self.path)
                if target is None:
                    self.send_error(404, "This link has been used, or is too old")
                    return
                self.send_response(302)
                self.send_header("Location", target.reveal())
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing: the path is a secret while it lives."""

        return Handler
