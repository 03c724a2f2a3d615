"""What httpx raises, and what a registry answers, as errors of ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from remotenb.errors import RegistryFailed, RegistryUnreachable, RemotenbError
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_MANY = 429

_UNREACHED = "is there a way from this laptop to it? HTTPS_PROXY names a proxy"


@contextmanager
def reported(host: str) -> Iterator[None]:
    """An error of httpx becomes ours."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise failed(host, error) from error


def failed(host: str, error: Exception) -> RemotenbError:
    """The error of ours that one of httpx's is."""
    said = one_line(str(error), 120)
    match error:
        case RemotenbError():
            return error
        case httpx.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in said:
            return RegistryUnreachable(
                f"the certificate of {host} is not signed by anybody this laptop trusts",
                hint="SSL_CERT_FILE names a file with your company's authority",
            )
        case httpx.TimeoutException():
            return RegistryUnreachable(f"{host} does not answer", hint=_UNREACHED)
        case httpx.TransportError():
            return RegistryUnreachable(f"{host} cannot be reached: {said}", hint=_UNREACHED)
        case _:
            return RegistryFailed(
                f"the answer of {host} makes no sense: {said}", hint="is that a registry of images?"
            )


def complaint(host: str, status: int) -> RemotenbError:
    """The error that a status means which was not expected."""
    if status == TOO_MANY:
        return RegistryFailed(
            f"{host} lets nobody fetch that much for now (429)",
            hint=f"wait, or log in, which allows more: remotenb login HOST {host}",
        )
    return RegistryFailed(f"{host} failed with status {status}", hint="try again later")
