"""``WWW-Authenticate``: how a registry says what it wants before it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+|$)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token of ``realm`` is wanted, for ``service`` and ``scope`` if these are named."""

    realm: str
    service: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Basic:
    """User and password are wanted, by the registry itself."""


Challenge = Bearer | Basic


def parse(headers: list[str]) -> Challenge | None:
    """What the header's lines want; a token rather than the password.

    >>> parse(['Bearer realm="https://nvcr.io/proxy_auth",scope="repository:a/b:pull"'])
    Bearer(realm='https://nvcr.io/proxy_auth', service='', scope='repository:a/b:pull')
    """
    found = [one for header in headers if (one := _parse_one(header))]
    bearers = [one for one in found if isinstance(one, Bearer)]
    return next(iter(bearers or found), None)


def _parse_one(header: str) -> Challenge | None:
    scheme = _SCHEME.match(header)
    if scheme is None:
        return None
    if scheme[1].lower() == "basic":
        return Basic()
    parameters = _parameters(header[scheme.end() :])
    realm = parameters.get("realm", "")
    if scheme[1].lower() != "bearer" or not realm:
        return None
    return Bearer(realm, parameters.get("service", ""), parameters.get("scope", ""))


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(text, position):
        quoted = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), quoted)
        position = match.end()
    return found
