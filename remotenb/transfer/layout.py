"""An image archive as OCI lays it out: an index, and blobs that go by their digests. Pure.

``podman save --format oci-archive`` and skopeo write such ones. Their configurations and layers are
docker's own, so that nothing need be converted: only where what lies is said otherwise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from remotenb.errors import ArchiveUnusable, RegistryFailed
from remotenb.registry.manifests import Manifest, parse
from remotenb.transfer.archive import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

INDEX = "index.json"
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""The annotations that name an image; the second one may be a tag alone, which is no name."""

DEPTH = 3
"""An index of images for several processors is in the index of the archive."""


def entries(
    index: bytes, blob: Callable[[str], bytes], there: Collection[str]
) -> tuple[Entry, ...]:
    """The images of an archive whose files are ``there``; ``blob`` gives what is in one.

    Raises :class:`ArchiveUnusable`.
    """
    try:
        described = json.loads(index)["manifests"]
        return tuple(_image(one, blob, there) for one in described)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise _nonsense("index.json describes no image") from None
    except RegistryFailed as error:
        raise _nonsense("a manifest in it makes no sense") from error


def place(digest: str) -> str:
    """Where a blob lies."""
    return f"blobs/{digest.replace(':', '/', 1)}"


def _image(
    described: dict[str, Any], blob: Callable[[str], bytes], there: Collection[str]
) -> Entry:
    found = list(_manifests(described["digest"], described.get("mediaType", ""), blob, there))
    if not found:
        raise _nonsense("it names an image that is not in it")
    if len(found) > 1:
        raise ArchiveUnusable(
            "that archive has an image for several processors",
            hint="save it for one of them alone: skopeo copy --override-arch amd64",
        )
    noted = described.get("annotations") or {}
    names = (str(noted[name]) for name in NAMES if ":" in str(noted.get(name, "")))
    layers = tuple(place(layer.digest) for layer in found[0].layers)
    return Entry(place(found[0].config.digest), tuple(dict.fromkeys(names)), layers)


def _manifests(
    digest: str,
    kind: str,
    blob: Callable[[str], bytes],
    there: Collection[str],
    depth: int = 0,
) -> Iterator[Manifest]:
    """Those beneath a digest that are images, and are there."""
    if depth > DEPTH or place(digest) not in there:
        return
    parsed = parse(blob(place(digest)), kind, digest)
    if isinstance(parsed, Manifest):
        yield parsed
        return
    for platform, one in parsed.images:
        if platform.os != "unknown":  # an attestation, as buildx adds them
            yield from _manifests(one.digest, one.media_type, blob, there, depth + 1)


def _nonsense(what: str) -> ArchiveUnusable:
    return ArchiveUnusable(f"that is no image archive: {what}", hint="save it again")
