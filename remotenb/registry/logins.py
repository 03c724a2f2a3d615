"""Logins to registries, in the laptop's keyring: user and key as one secret for each registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from remotenb.images.reference import NGC
from remotenb.laptop.credentials import Entry
from remotenb.model import RegistryLogin
from remotenb.secret import Secret

if TYPE_CHECKING:
    from remotenb.laptop.credentials import Credentials

DEFAULT_USERS = {NGC: "$oauthtoken"}
"""Registries where everybody has the same name, and the key alone tells who it is."""


def entry(registry: str) -> Entry:
    """Where a registry's login is kept."""
    return Entry("registry", registry)


def packed(login: RegistryLogin) -> Secret:
    """A login as one secret."""
    return Secret(json.dumps({"user": login.user, "password": login.password.reveal()}))


def find(credentials: Credentials, registry: str) -> RegistryLogin | None:
    """The login that is kept for a registry."""
    kept = credentials.find(entry(registry))
    if kept is None:
        return None
    try:
        members = json.loads(kept.reveal())
        return RegistryLogin(str(members["user"]), Secret(str(members["password"])))
    except (LookupError, TypeError, ValueError):
        return None  # somebody else's
