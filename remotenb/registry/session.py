"""HTTP with one registry, as one user or as nobody: tokens and redirects.

What it never does: send a password or a token to another origin (but the password to the
realm that the registry names, which is how logins work), follow a redirect from TLS to plain
HTTP, speak plain HTTP to anything but this machine's own loopback.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

import httpx

from remotenb import __version__
from remotenb.errors import LoginNeeded, LoginRefused, RegistryFailed
from remotenb.images.reference import DOCKER_HUB
from remotenb.registry.challenge import Basic, Bearer, parse
from remotenb.registry.failures import complaint, reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.model import RegistryLogin

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 30.0
"""Without a byte, for any answer and in the middle of one."""

TOKEN_LIMIT = 1 << 20
REDIRECTS = 5

OK, PARTIAL, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 206, 401, 403, 404


class Session:
    """The connections to one registry and the tokens that it gave; closed as a context manager."""

    def __init__(self, host: str, login: RegistryLogin | None) -> None:
        self.host = host
        self._login = login
        name = "registry-1.docker.io" if host == DOCKER_HUB else host
        self._base = httpx.URL(f"{'http' if _is_loopback(name) else 'https'}://{name}")
        self._authorizations: dict[str, str] = {}
        self._client = httpx.Client(
            # the system's authorities, not certifi's: a company's proxy has one of its own
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            headers={"User-Agent": f"remotenb/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._client.close()

    @contextmanager
    def get(
        self, path: str, *, scope: str, accept: str = "*/*", start: int = 0
    ) -> Iterator[httpx.Response]:
        """One answer of 200, 206 or 404; what else comes is raised."""
        headers = {"Accept": accept}
        if start:
            headers["Range"] = f"bytes={start}-"
        with reported(self.host):
            answer = self._ask(path, headers, scope)
            try:
                self._check(answer, path)
                yield answer
            finally:
                answer.close()

    def _ask(self, path: str, headers: dict[str, str], scope: str) -> httpx.Response:
        """The answer after logging in, if that is asked for, and after redirects."""
        answer = self._follow(path, headers, scope)
        if answer.status_code != UNAUTHORIZED or _origin(answer.url) != _origin(self._base):
            return answer
        challenge = parse(answer.headers.get_list("WWW-Authenticate"))
        answer.close()
        if isinstance(challenge, Bearer):
            self._authorizations[scope] = f"Bearer {self._token(challenge, scope)}"
        elif isinstance(challenge, Basic) and self._login:
            self._authorizations[scope] = _basic(self._login)
        else:
            raise self._no_entry()
        return self._follow(path, headers, scope)

    def _follow(self, path: str, headers: dict[str, str], scope: str) -> httpx.Response:
        url = self._base.join(path)
        for _ in range(REDIRECTS):
            sent = dict(headers)
            if _origin(url) == _origin(self._base) and scope in self._authorizations:
                sent["Authorization"] = self._authorizations[scope]
            answer = self._client.send(
                self._client.build_request("GET", url, headers=sent), stream=True
            )
            if not answer.has_redirect_location:
                return answer
            answer.close()
            url = self._next(url, answer.headers["Location"])
        raise RegistryFailed(
            f"{self.host} sends us round in circles", hint="is that a registry of images?"
        )

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            target = httpx.URL(urljoin(str(url), location))
        except (httpx.InvalidURL, ValueError):
            target = httpx.URL("")
        if not self._may_be_asked(target):
            raise RegistryFailed(
                f"{self.host} sends us on to where it is not safe: {target.scheme or 'no address'}",
                hint="that registry, or a proxy on the way to it, is set up wrong",
            )
        return target

    def _may_be_asked(self, url: httpx.URL) -> bool:
        plain = (url.scheme, self._base.scheme) == ("http", "http")
        return url.scheme == "https" or (plain and _is_loopback(url.netloc.decode()))

    def _token(self, challenge: Bearer, scope: str) -> str:
        realm = self._next(self._base, challenge.realm)
        wanted = {"service": challenge.service, "scope": challenge.scope or scope}
        if self._login:
            wanted["account"] = self._login.user
        url = realm.copy_merge_params({name: value for name, value in wanted.items() if value})
        headers = {"Authorization": _basic(self._login)} if self._login else {}
        with self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code in {UNAUTHORIZED, FORBIDDEN}:
                raise self._no_entry()
            if answer.status_code != OK:
                raise complaint(self.host, answer.status_code)
            raw = body(answer, TOKEN_LIMIT)
        try:
            members = json.loads(raw)
            token = members.get("token") or members["access_token"]
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryFailed(
                f"{self.host} gave no token where it gives them", hint="try again later"
            )
        return token

    def _check(self, answer: httpx.Response, path: str) -> None:
        if answer.status_code in {UNAUTHORIZED, FORBIDDEN}:
            raise self._no_entry(path)
        if answer.status_code not in {OK, PARTIAL, NOT_FOUND}:
            raise complaint(self.host, answer.status_code)

    def _no_entry(self, path: str = "") -> LoginRefused | LoginNeeded:
        if self._login and path in {"", "/v2/"}:
            return LoginRefused(
                f"{self.host} does not accept that login", hint="is the key right, and still valid?"
            )
        if self._login:
            return LoginNeeded(
                f"{self.host} does not show that image to {self._login.user}",
                hint="check its name, and what that login may see",
            )
        return LoginNeeded(
            f"{self.host} shows that image only to those who log in, or has no such image",
            hint=f"remotenb login HOST {self.host}",
        )


def body(answer: httpx.Response, limit: int) -> bytes:
    """The whole of an answer, if it has an end; raises :class:`RegistryFailed`."""
    raw = bytearray()
    for data in answer.iter_raw():
        raw += data
        if len(raw) > limit:
            raise RegistryFailed(
                f"the registry's answer has more than {limit} bytes",
                hint="is that a registry of images?",
            )
    return bytes(raw)


def _basic(login: RegistryLogin) -> str:
    request = httpx.Request("GET", "https://localhost")
    auth = httpx.BasicAuth(login.user, login.password.reveal())
    return next(auth.auth_flow(request)).headers["Authorization"]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_loopback(host: str) -> bool:
    """Whether docker would speak plain HTTP to it unasked."""
    name = httpx.URL(f"https://{host}").host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
