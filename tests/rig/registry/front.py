"""What stands before the registry: tokens, logins and redirects, as NVIDIA's registry has them.

- `/v2/…` wants a bearer token; the 401 says where (`/proxy_auth`) and for what.
- `/proxy_auth` gives one to anybody for what is public, and for `private/…` to the user
  `$oauthtoken` with the API key.
- A blob is a redirect (307) to another origin, whose link is signed; a request that comes there
  with an Authorization is refused (400), as S3 does.

`Faults` make it misbehave; every request is noted in a list.
"""

import base64
import http.client
import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.rig.namespaces import enter_net
from tests.rig.network import REGISTRY_NAMES

NAME: Final = REGISTRY_NAMES[0]
BLOB_HOST: Final = REGISTRY_NAMES[1]
USER: Final = "$oauthtoken"
API_KEY: Final = "nvapi-of-the-rig-0123456789"
_STORE: Final = "/store/"
_PIECE: Final = 1 << 16
_PASSED: Final = (
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "Docker-Content-Digest",
    "Accept-Ranges",
    "ETag",
)


@dataclass
class Faults:
    """What is wrong with it at the moment."""

    rate: float = 0.0
    """Bytes a second of each blob; 0 is no limit."""
    cut_after: int = 0
    """An answer with a blob breaks off after so many bytes; 0 is never."""
    cuts: int = 1 << 30
    """How often that happens."""
    damage: bool = False
    """One bit of each blob is wrong."""
    status: int = 0
    """Every answer has this status."""
    ignore_range: bool = False
    """A blob is always sent whole."""


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    method: str
    host: str
    path: str
    authorization: str
    range: str
    user_agent: str


class Front(ThreadingHTTPServer):
    """Listens on every address of a network namespace, with TLS if it has a key."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        net: Path,
        port: int,
        connect: Callable[[], http.client.HTTPConnection],
        shared: tuple[Faults, list[Request]],
        pem: Path | None,
    ) -> None:
        """Begin to answer."""
        super().__init__(("", port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = _listening(net, port)
        self.connect, self.scheme = connect, "https" if pem else "http"
        self.blobs = BLOB_HOST if pem else f"localhost:{port}"
        self.faults, self.seen = shared
        self.tokens: dict[str, set[str]] = {}
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            # the handshake is the visitor's own thread's business
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: visitors leave as they like."""

    def close(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self._thread.join()
        self.server_close()


def _listening(net: Path, port: int) -> socket.socket:
    """Return a socket that belongs to another network namespace than this thread's."""
    made: list[socket.socket] = []

    def make() -> None:
        enter_net(net)
        made.append(socket.create_server(("", port), backlog=64))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class _Handler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer one request."""
        self._note()
        address = urlsplit(self.path)
        if self.server.faults.status:
            self._say(self.server.faults.status, "UNAVAILABLE")
        elif address.path.startswith(_STORE):
            self._store(address.path.removeprefix(_STORE), address.query)
        elif address.path == "/proxy_auth":
            self._give_token(parse_qs(address.query))
        elif address.path.startswith("/v2/"):
            self._registry(address.path)
        else:
            self._say(HTTPStatus.NOT_FOUND, "NOT_FOUND")

    do_HEAD = do_GET  # noqa: N815 - the base class has it so

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = [headers.get(name, "") for name in ("authorization", "range", "user-agent")]
        self.server.seen.append(Request(self.command, headers.get("host", ""), self.path, *told))

    def _give_token(self, asked: dict[str, list[str]]) -> None:
        scopes = {scope for one in asked.get("scope", []) for scope in one.split()}
        login = self.headers.get("Authorization")
        wanted = base64.b64encode(f"{USER}:{API_KEY}".encode()).decode()
        if (login and login != f"Basic {wanted}") or (
            not login and any(scope.startswith("repository:private/") for scope in scopes)
        ):
            self._say(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED")
            return
        token = secrets.token_urlsafe(200)
        self.server.tokens[token] = scopes
        self._send(HTTPStatus.OK, json.dumps({"token": token, "expires_in": 300}).encode())

    def _registry(self, path: str) -> None:
        repository = path.removeprefix("/v2/")
        for part in ("/manifests/", "/blobs/", "/tags/"):
            repository = repository.rpartition(part)[0] or repository
        scope = f"repository:{repository}:pull" if repository else ""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        granted = self.server.tokens.get(token)
        if granted is None or (scope and scope not in granted):
            self._challenge(scope)
        elif "/blobs/" in path and self.command == "GET":
            self._redirect(path)
        else:
            self._pass_on(path)

    def _challenge(self, scope: str) -> None:
        realm = f"{self.server.scheme}://{self.headers['Host']}/proxy_auth"
        challenge = f'Bearer realm="{realm}"' + (f',scope="{scope}"' if scope else "")
        self._say(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", **{"WWW-Authenticate": challenge})

    def _redirect(self, path: str) -> None:
        signed = f"{_STORE}{path.removeprefix('/v2/')}?X-Amz-Signature={_signature(path)}"
        where = f"{self.server.scheme}://{self.server.blobs}{signed}"
        self._send(HTTPStatus.TEMPORARY_REDIRECT, b"", Location=where)

    def _store(self, path: str, query: str) -> None:
        if self.headers.get("Authorization"):
            self._say(HTTPStatus.BAD_REQUEST, "InvalidArgument")
        elif self.headers["Host"] != self.server.blobs or _signature(f"/v2/{path}") not in query:
            self._say(HTTPStatus.FORBIDDEN, "AccessDenied")
        else:
            self._pass_on(f"/v2/{path}", blob=True)

    def _pass_on(self, path: str, *, blob: bool = False) -> None:
        connection = self.server.connect()
        connection.putrequest(self.command, path, skip_accept_encoding=True)
        passed = ["Accept"] if self.server.faults.ignore_range else ["Accept", "Range"]
        for name in passed:
            for header in self.headers.get_all(name) or ():
                connection.putheader(name, header)
        connection.endheaders()
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name in _PASSED:
            if (value := answer.headers.get(name)) is not None:
                self.send_header(name, value)
        self.end_headers()
        try:
            if self.command != "HEAD":
                self._stream(answer, blob=blob)
        finally:
            connection.close()

    def _stream(self, answer: http.client.HTTPResponse, *, blob: bool) -> None:
        faults, sent, begun = self.server.faults, 0, time.monotonic()
        while data := answer.read(_PIECE):
            if blob and faults.damage and not sent:
                data = bytes([data[0] ^ 1]) + data[1:]
            if blob and faults.cut_after and sent + len(data) > faults.cut_after and faults.cuts:
                faults.cuts -= 1
                self.wfile.write(data[: faults.cut_after - sent])
                self.close_connection = True
                return
            self.wfile.write(data)
            sent += len(data)
            if blob and faults.rate:
                time.sleep(max(0.0, begun + sent / faults.rate - time.monotonic()))

    def _say(self, status: int, code: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self._send(status, body, **headers)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_SALT: Final = os.urandom(16).hex()


def _signature(path: str) -> str:
    return base64.urlsafe_b64encode(f"{_SALT}{path}".encode()).decode().rstrip("=")
