"""What an engine says of a registry that it pulls from, and what to do about it.

The patterns are texts of dockerd 20.10 to 28, of containerd and of podman, as they were met.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb import errors
from remotenb.engines.complaints import understand
from remotenb.images.reference import release_tag
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotenb.errors import FarSideError
    from remotenb.images.reference import Reference


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was said, of which image, on which host."""

    line: str
    image: Reference
    host: str
    logged_in: bool
    engine: str


def _full(trouble: Trouble) -> FarSideError:
    return understand(trouble.line, engine=trouble.engine)


def _limit(trouble: Trouble) -> FarSideError:
    registry = trouble.image.registry
    return errors.RegistryFailed(
        f"{registry} lets nobody fetch that much for now",
        hint=f"wait, or log in, which allows more: remotenb login {trouble.host} {registry}",
    )


def _unknown(trouble: Trouble) -> FarSideError:
    image = trouble.image
    meant = release_tag(image)
    return errors.ImageUnknown(
        f"{image.registry} has no image {image.familiar}",
        hint=f"did you mean {meant.familiar}?" if meant else "check its name and tag",
    )


def _platform(trouble: Trouble) -> FarSideError:
    return errors.ImageUnknown(
        f"{trouble.image.familiar} is not made for the processor of {trouble.host}",
        hint="choose another tag",
    )


def _no_entry(trouble: Trouble) -> FarSideError:
    image, login = trouble.image, f"remotenb login {trouble.host} {trouble.image.registry}"
    if trouble.logged_in:
        return errors.LoginNeeded(
            f"{image.registry} does not show {image.familiar} to the login that is kept here",
            hint=f"check the name; or log in anew: {login}",
        )
    return errors.LoginNeeded(
        f"{image.registry} shows {image.familiar} only to those who log in, or does not have it",
        hint=login,
    )


def _plain(trouble: Trouble) -> FarSideError:
    return errors.RegistryFailed(
        f"{trouble.image.registry} speaks plain HTTP, which docker on {trouble.host} refuses",
        hint="its administrator can name it in insecure-registries of daemon.json",
    )


def _distrust(trouble: Trouble) -> FarSideError:
    return _unreached(trouble, "does not trust the certificate of")


def _no_way(trouble: Trouble) -> FarSideError:
    return _unreached(trouble, "does not reach")


def _unreached(trouble: Trouble, what: str) -> FarSideError:
    image, host = trouble.image, trouble.host
    return errors.RegistryUnreachable(
        f"{host} {what} {image.registry}: {trouble.line}",
        hint=f"from this laptop, over SSH alone: remotenb push {host} {image.familiar}",
    )


_ANSWERS: tuple[tuple[str, Callable[[Trouble], FarSideError]], ...] = (
    (r"no space left", _full),
    (r"toomanyrequests|too many requests", _limit),
    (
        r"manifest unknown|manifest for .* not found|name unknown|name not known|not found$",
        _unknown,
    ),
    (
        r"no matching manifest|no match for platform|no image found in .* for architecture",
        _platform,
    ),
    (
        (
            r"unauthorized|access denied|denied:|authentication required|no basic auth|401 "
            r"|403 Forbidden|incorrect username or password"
        ),
        _no_entry,
    ),
    (r"server gave HTTP response to HTTPS client", _plain),
    (r"x509:|certificate|tls: failed to verify", _distrust),
    (
        (
            r"no such host|lookup |connection refused|i/o timeout|no route to host"
            r"|network is unreachable|deadline exceeded|Client\.Timeout|handshake timeout"
            r"|connection reset|EOF|server misbehaving|request canceled"
        ),
        _no_way,
    ),
)


def understand_pull(  # noqa: PLR0913  all but three by name
    said: str,
    image: Reference,
    host: str,
    *,
    logged_in: bool,
    user: str = "you",
    engine: str = "docker",
) -> FarSideError:
    """The error that the engine's words mean, when it should pull ``image`` on ``host``."""
    line = one_line(said).removeprefix("Error response from daemon: ")

    def says(pattern: str) -> bool:
        return re.search(pattern, line, re.IGNORECASE) is not None

    for pattern, answer in _ANSWERS:
        if says(pattern):
            return answer(Trouble(line, image, host, logged_in, engine))
    return understand(said, user=user, engine=engine)
