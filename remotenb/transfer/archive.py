"""An image as an archive that ``docker load`` reads: what is in one, how one is written. Pure.

An archive need not have the layers that the engine has already: it names all of them in its
manifest, and a layer that is not in it is looked for by its diff_id and those below it
(moby/moby#18727). A layer may be compressed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from tarfile import BLOCKSIZE, GNU_FORMAT, TarInfo
from typing import TYPE_CHECKING, Any

from remotenb.errors import ArchiveUnusable, UsageError
from remotenb.images.reference import PARTIAL, parse, wanted
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from remotenb.transfer.parts import Piece

LABEL_PARTIAL = "remotenb.partial"
"""On an image that only holds layers: whose push it is a part of."""

PODMANS = "localhost/"
"""Where podman puts what has no registry."""

STARTS = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "User", "Volumes", "WorkingDir")
"""What of a configuration tells how containers start."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as its source has it: a tar, perhaps compressed."""

    number: int
    """From 0, the lowest."""
    diff_id: str
    """Of the uncompressed tar."""
    size: int
    """Bytes of the blob, as it is carried."""
    digest: str = ""
    """Of the blob, as it is carried; empty where nobody knows it."""
    place: str = ""
    """What its source calls it."""

    @property
    def raw(self) -> bool:
        """Whether it is not compressed."""
        return self.digest == self.diff_id

    @property
    def key(self) -> str:
        """A name for the blob, and its place in the image."""
        facts = f"{self.number} {self.diff_id} {self.digest} {self.size}"
        return hashlib.sha256(facts.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Contents:
    """An image: its name, its configuration, its layers from the lowest."""

    ref: str
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def id(self) -> str:
        """As docker and podman name it: the digest of its configuration."""
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"

    @property
    def key(self) -> str:
        """A short name for the image, of characters that a tag and a folder may have."""
        return self.id[7:23]

    @property
    def size(self) -> int:
        """Bytes of all layers, as they are carried."""
        return sum(layer.size for layer in self.layers)

    def like(self, layers: tuple[str, ...], config: Mapping[str, Any]) -> bool:
        """Whether an image of those layers, which an engine shows as ``config``, is like it."""
        members = _object(self.config, "the image's configuration")
        own = members.get("config")
        own = own if isinstance(own, dict) else {}
        labels = (own.get("Labels") or None) == (config.get("Labels") or None)
        return labels and layers == diff_ids(self.config) and not unlike(own, config)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of an archive's manifest: the names of files in the archive."""

    config: str
    refs: tuple[str, ...]
    layers: tuple[str, ...]


def named(text: str) -> str:
    """The name that a person means by ``text``, as docker shows it.

    Raises :class:`UsageError` for one that engines refuse, or that nothing can be tagged with.
    """
    reference = wanted(text)
    if reference.digest:
        raise UsageError(
            f"{one_line(text)} names an image by its digest, which is no name to give",
            hint="give it one: --tag NAME:TAG",
        )
    return reference.familiar


def same(one: str, other: str) -> bool:
    """Whether two names mean the same image: engines leave out what goes without saying."""
    return _meant(one) == _meant(other)


def _meant(ref: str) -> str:
    try:
        return str(parse(ref.removeprefix(PODMANS)))
    except UsageError:
        return ref


def unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Which of :data:`STARTS` two configurations differ in."""
    return [key for key in STARTS if _shown(one, key) != _shown(other, key)]


def _shown(config: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401  what json gives
    """A member as it counts: podman shuffles the environment."""
    value = config.get(key) or None
    return sorted(map(str, value)) if key == "Env" and isinstance(value, list) else value


def diff_ids(config: bytes) -> tuple[str, ...]:
    """The layers that an image's configuration names; raises :class:`ArchiveUnusable`."""
    members = _object(config, "the image's configuration")
    rootfs = members.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or not all(
        isinstance(one, str) and _DIGEST.fullmatch(one) for one in found
    ):
        raise _nonsense("the image's configuration names no layers")
    return tuple(found)


def entries(manifest: bytes) -> tuple[Entry, ...]:
    """The images of an archive, from its manifest.json; raises :class:`ArchiveUnusable`."""
    rows = _json(manifest, "manifest.json")
    try:
        return tuple(
            Entry(
                str(row["Config"]),
                tuple(str(ref) for ref in row.get("RepoTags") or ()),
                tuple(str(name) for name in row["Layers"] or ()),
            )
            for row in rows
        )
    except (AttributeError, LookupError, TypeError):
        raise _nonsense("manifest.json describes no image") from None


def chosen(images: Sequence[Entry], name: str, archive: str) -> Entry:
    """The image of that name, or the only one; raises :class:`ArchiveUnusable`."""
    names = ", ".join(ref for one in images for ref in one.refs) or "none that has a name"
    found = [one for one in images if not name or any(same(ref, name) for ref in one.refs)]
    if not found:
        raise ArchiveUnusable(f"{name} is not in {archive}", hint=f"there are: {names}")
    if len(found) > 1 and not name:
        raise ArchiveUnusable(f"there are several images in {archive}", hint=f"name one: {names}")
    return found[0]


def partials(refs: Iterable[str], key: str) -> set[str]:
    """The names among ``refs`` of images that only hold layers for the image of ``key``."""
    name = re.compile(rf"(?:docker\.io/|localhost/)?{PARTIAL}:{key}(?:-[0-9]+)?")
    return {ref for ref in refs if name.fullmatch(ref)}


def partial_config(config: bytes, count: int, user: str) -> bytes:
    """The configuration of an image that holds the lowest ``count`` layers, and is for nothing."""
    members = _object(config, "the image's configuration")
    kept = {name: members[name] for name in ("architecture", "os", "variant") if name in members}
    rootfs = {"type": "layers", "diff_ids": diff_ids(config)[:count]}
    labels = {"Labels": {LABEL_PARTIAL: user}}
    return json.dumps({**kept, "config": labels, "rootfs": rootfs}).encode()


def written(config: bytes, ref: str, present: Sequence[Layer]) -> Iterator[bytes | Layer]:
    """An archive as its bytes; a layer among them stands for what is in it.

    It names all layers of ``config`` and has those that are ``present``; the same image always
    gives the same bytes.
    """
    for layer in present:
        yield _header(_layer_name(layer.diff_id), layer.size)
        yield layer
        yield bytes(-layer.size % BLOCKSIZE)
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [_layer_name(diff_id) for diff_id in diff_ids(config)]
    manifest = [{"Config": name, "RepoTags": [ref], "Layers": names}]
    yield _file(name, config) + _file("manifest.json", json.dumps(manifest).encode())
    yield bytes(2 * BLOCKSIZE)


def recipe(parts: Iterator[bytes | Layer], pieces: Mapping[Layer, Sequence[Piece]]) -> str:
    """An archive as ``transfer_join.sh`` reads it: bytes, and pieces of files over there."""
    lines = []
    for part in parts:
        if isinstance(part, Layer):
            lines += [f"part {piece.name} {piece.count}" for piece in pieces[part]]
        else:
            lines.append(f"bytes {base64.b64encode(part).decode()}")
    return "\n".join(lines)


def _layer_name(diff_id: str) -> str:
    return f"{diff_id.removeprefix('sha256:')}/layer.tar"


def _header(name: str, size: int) -> bytes:
    info = TarInfo(name)
    info.size = size
    return info.tobuf(GNU_FORMAT)


def _file(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCKSIZE)


def _object(text: bytes, what: str) -> dict[str, Any]:
    members = _json(text, what)
    if not isinstance(members, dict):
        raise _nonsense(f"{what} is no JSON object")
    return members


def _json(text: bytes, what: str) -> Any:  # noqa: ANN401  what json gives
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _nonsense(f"{what} is no JSON") from None


def _nonsense(what: str) -> ArchiveUnusable:
    return ArchiveUnusable(f"that is no image: {what}", hint="was it written by docker save?")
