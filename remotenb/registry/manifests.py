"""What an image is made of, as a registry says it: Docker's and OCI's manifests and lists.

Nothing that comes from a registry is believed to be well-formed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from remotenb.errors import RegistryFailed
from remotenb.text import one_line

LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
SIZE_LIMIT = 4 << 20
"""Bytes of a manifest; registries themselves take no larger ones."""
LAYERS_LIMIT = 1000
BLOB_LIMIT = 1 << 44

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, in Go's words."""

    architecture: str
    os: str = "linux"
    variant: str = ""

    @classmethod
    def of_machine(cls, name: str) -> Platform:
        """The platform of a machine that ``uname -m`` or docker calls ``name``."""
        return cls(_ARCHITECTURES.get(name, name))

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A piece of content: its digest proves it."""

    digest: str
    size: int
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its config, whose digest is docker's image id, and its packed layers."""

    digest: str
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch for all of it."""
        return self.config.size + sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """One name for the images of several platforms."""

    digest: str
    images: tuple[tuple[Platform, Descriptor], ...]

    def choose(self, platform: Platform) -> Descriptor | None:
        """The image for ``platform``; one of its very variant before the others."""
        fit = [
            (one, descriptor)
            for one, descriptor in self.images
            if (one.os, one.architecture) == (platform.os, platform.architecture)
        ]
        fit.sort(key=lambda pair: pair[0].variant != platform.variant)
        return fit[0][1] if fit else None


def digest_of(raw: bytes, like: str = "sha256:") -> str:
    """The digest of ``raw``, by the algorithm of the digest ``like``."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"


def is_digest(text: str) -> bool:
    """Whether it is a digest that can be proved here."""
    return _DIGEST.fullmatch(text) is not None


def parse(raw: bytes, media_type: str, digest: str) -> Manifest | Index:
    """What a registry gave under ``digest``; raises :class:`RegistryFailed`."""
    members = _object(raw)
    kind = members.get("mediaType") or media_type.partition(";")[0].strip()
    try:
        if kind in LISTS or (kind not in MANIFESTS and "manifests" in members):
            return Index(digest, tuple(_entry(one) for one in _limited(members["manifests"])))
        if members.get("schemaVersion") != 2:  # noqa: PLR2004  the version we can read
            raise RegistryFailed(
                "the image has a manifest of the old kind (schema 1), which has no digests",
                hint="pull it with docker and push it again: that writes a new one",
            )
        layers = tuple(_descriptor(one) for one in _limited(members["layers"]))
        return Manifest(digest, str(kind), _descriptor(members["config"]), layers)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _senseless(str(error)) from None


def parse_config(raw: bytes) -> tuple[Platform, tuple[str, ...]]:
    """What an image's config says it runs on, and its unpacked layers' digests (diff_ids)."""
    members = _object(raw)
    try:
        diff_ids = tuple(str(one) for one in _limited(members["rootfs"]["diff_ids"]))
        if not all(is_digest(one) for one in diff_ids):
            raise _senseless("a layer without a digest")
        return _platform(members), diff_ids
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _senseless(str(error)) from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        members = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _senseless(str(error)) from None
    if not isinstance(members, dict):
        raise _senseless("no JSON object")
    return members


def _limited(entries: Any) -> list[Any]:  # noqa: ANN401  whatever JSON has there
    if not isinstance(entries, list) or len(entries) > LAYERS_LIMIT:
        raise ValueError("no list, or one without an end")
    return entries


def _entry(members: dict[str, Any]) -> tuple[Platform, Descriptor]:
    return _platform(members.get("platform") or {}), _descriptor(members)


def _platform(members: dict[str, Any]) -> Platform:
    architecture, variant = str(members.get("architecture", "")), str(members.get("variant", ""))
    if (architecture, variant) == ("arm64", "v8"):
        variant = ""  # the only one there is, said or not
    return Platform(architecture, str(members.get("os", "")), variant)


def _descriptor(members: dict[str, Any]) -> Descriptor:
    digest, size = str(members["digest"]), members["size"]
    if not is_digest(digest) or type(size) is not int or not 0 <= size <= BLOB_LIMIT:
        raise ValueError("a digest or a size that cannot be")
    return Descriptor(digest, size, str(members.get("mediaType", "")))


def _senseless(why: str) -> RegistryFailed:
    return RegistryFailed(
        f"the registry's answer makes no sense: {one_line(why, 80)}",
        hint="is that a registry of images?",
    )
