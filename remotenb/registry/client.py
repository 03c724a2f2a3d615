"""What a registry has: manifests by name, blobs by digest.

Every answer is bounded in size; a blob goes on where its connection broke, and is proved.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Self

from remotenb.errors import BlobDamaged, ImageUnknown, RegistryFailed, RegistryUnreachable
from remotenb.registry import manifests
from remotenb.registry.manifests import Descriptor, Index, Manifest, Platform
from remotenb.registry.session import NOT_FOUND, PARTIAL, Session, body

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from remotenb.images.reference import Reference
    from remotenb.model import RegistryLogin

logger = logging.getLogger(__name__)

CONFIG_LIMIT = 8 << 20
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Before each further attempt at a blob that brought nothing; after the last it is given up."""


class Registry:
    """One registry, as one user or as nobody; closed as a context manager."""

    def __init__(self, host: str, login: RegistryLogin | None = None) -> None:
        self.host = host
        self._session = Session(host, login)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._session.__exit__()

    def check_login(self) -> None:
        """Whether the registry knows this user; raises :class:`LoginRefused`."""
        with self._session.get("/v2/", scope="") as answer:
            if answer.status_code == NOT_FOUND:
                raise RegistryFailed(f"{self.host} is no registry of images", hint="check its name")

    def image(self, reference: Reference, platform: Platform) -> Manifest:
        """What the image for ``platform`` is made of; raises :class:`ImageUnknown`."""
        found = self.manifest(reference, reference.wanted)
        if isinstance(found, Manifest):
            return found
        chosen = found.choose(platform)
        if chosen is None:
            there = ", ".join(sorted({str(one) for one, _ in found.images if one.os != "unknown"}))
            raise ImageUnknown(
                f"{reference.familiar} is not made for {platform}", hint=f"it is for {there}"
            )
        inner = self.manifest(reference, chosen.digest)
        if isinstance(inner, Index):
            raise RegistryFailed(
                f"{reference.familiar} is a list of lists", hint="name an image of it by its digest"
            )
        return inner

    def manifest(self, reference: Reference, wanted: str) -> Manifest | Index:
        """A manifest, or a list of them, by tag or digest; proved if it was by digest."""
        accept = ", ".join((*manifests.LISTS, *manifests.MANIFESTS))
        path = f"/v2/{reference.repository}/manifests/{wanted}"
        with self._session.get(path, scope=_pull(reference), accept=accept) as answer:
            if answer.status_code == NOT_FOUND:
                raise ImageUnknown(
                    f"{self.host} has no image {reference.familiar}",
                    hint="check its name and tag" if reference.tag else "check its name and digest",
                )
            raw = body(answer, manifests.SIZE_LIMIT)
            media_type = answer.headers.get("Content-Type", "")
        by_digest = manifests.is_digest(wanted)
        digest = manifests.digest_of(raw, wanted if by_digest else "sha256:")
        if by_digest and digest != wanted:
            raise _damaged(wanted)
        return manifests.parse(raw, media_type, digest)

    def config(self, reference: Reference, manifest: Manifest) -> bytes:
        """The image's config, proved; its digest is docker's image id."""
        if manifest.config.size > CONFIG_LIMIT:
            raise RegistryFailed(
                f"the config of {reference.familiar} has {manifest.config.size} bytes",
                hint="that is not an image",
            )
        return b"".join(self.blob(reference, manifest.config))

    def blob(self, reference: Reference, blob: Descriptor, *, start: int = 0) -> Iterator[bytes]:
        """A blob from byte ``start`` on, going on by itself where a connection broke.

        Proved by its digest at its end if it was begun at 0; else the caller has to do that.
        Raises :class:`BlobDamaged`, :class:`RegistryUnreachable`.
        """
        proof = hashlib.new(blob.digest.partition(":")[0])
        there, in_vain = start, 0
        while there < blob.size:
            before = there
            try:
                for data in self._blob_once(reference, blob, there):
                    there += len(data)
                    proof.update(data)
                    yield data
            except (RegistryFailed, RegistryUnreachable) as error:
                in_vain = 0 if there > before else in_vain + 1
                logger.info("%s broke off at %d: %r", blob.digest, there, error)
                if in_vain > len(PAUSES_S):
                    raise
                time.sleep(PAUSES_S[max(in_vain - 1, 0)])
        if start == 0 and proof.hexdigest() != blob.digest.partition(":")[2]:
            raise _damaged(blob.digest)

    def _blob_once(self, reference: Reference, blob: Descriptor, start: int) -> Iterator[bytes]:
        """What one answer brings of it."""
        path = f"/v2/{reference.repository}/blobs/{blob.digest}"
        with self._session.get(path, scope=_pull(reference), start=start) as answer:
            if answer.status_code == NOT_FOUND:
                raise ImageUnknown(
                    f"{self.host} has lost a part of {reference.familiar}",
                    hint="it must be pushed to that registry again",
                )
            skip = start - _begins_at(answer, start)
            left = blob.size - start
            for data in answer.iter_raw():
                kept = data[skip:]
                skip = max(skip - len(data), 0)
                if len(kept) > left:
                    raise _damaged(blob.digest)
                left -= len(kept)
                if kept:
                    yield kept


def _pull(reference: Reference) -> str:
    return f"repository:{reference.repository}:pull"


def _begins_at(answer: httpx.Response, wanted: int) -> int:
    """Where in the blob an answer begins: some servers send all of it, whatever was asked."""
    if answer.status_code != PARTIAL:
        return 0
    said = answer.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {wanted}-"):
        raise RegistryFailed(
            "the registry sent another part of a layer than it was asked for", hint="try again"
        )
    return wanted


def _damaged(digest: str) -> BlobDamaged:
    return BlobDamaged(
        f"what came for {digest[:19]} is not what its digest promises",
        hint="the registry, or a proxy on the way to it, damages it; try again",
    )
