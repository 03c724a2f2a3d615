"""An engine's images, and the folder beside it where an image arrives: what is said to the box."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remotenb import far
from remotenb.engines import container_engine
from remotenb.errors import DiskFull, EngineRefused, FarSideError, ImageMissing, PartialRefused
from remotenb.ssh.failures import reported
from remotenb.ssh.process import feed
from remotenb.text import one_line
from remotenb.transfer.archive import recipe
from remotenb.transfer.parts import Arrived, arrived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from remotenb.machine import Machine
    from remotenb.transfer.archive import Contents, Layer
    from remotenb.transfer.parts import Piece

ASK_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 3600.0
"""For layers of many GB, and a disk that turns."""

_IMAGE = "[{{json %s}},{{json .RootFS.Layers}},{{json .RepoTags}},%s]"
_ROOT = "$ENGINE info -f '{{.DockerRootDir}}' 2>/dev/null || $ENGINE info -f '{{.Store.GraphRoot}}'"
_REFUSES_PARTS = re.compile(
    r"no such file|not found|does not exist|unexpected end|missing (blob|layer)", re.IGNORECASE
)
"""Said by an engine that looks for a layer in the archive alone."""


@dataclass(frozen=True, slots=True)
class Held:
    """An image of the engine's."""

    id: str
    diff_ids: tuple[str, ...]
    refs: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where parts wait: its path, what is free there and in the engine's, and its files."""

    path: str
    free: int
    engine_free: int | None
    files: tuple[tuple[str, int], ...]

    def arrived(self, layer: Layer) -> Arrived:
        """What of ``layer`` is there."""
        return arrived(self.files, layer)


class Store:
    """The images of a machine's engine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.host = machine.host.name
        self.engine = shlex.join(machine.engine)
        speaks = container_engine(machine.probe.engine)
        self.wants_whole = speaks.whole_images
        """What takes images only whole, in words; empty if it does not."""
        # there may be secrets in a configuration: it is read only where it must be compared
        config = "{{json .Config}}" if machine.probe.engine.manifest_ids else "null"
        self._image = _IMAGE % (speaks.id_field, config)

    def root(self) -> str:
        """The engine's own folder; empty if it does not tell."""
        done = self._machine.link.script(_ROOT, timeout=ASK_TIMEOUT_S, ENGINE=self.engine)
        return done.out.decode("utf-8", "surrogateescape").strip()

    def holds(self, image: Held, contents: Contents) -> bool:
        """Whether they are the same: by the id, or where that tells nothing by all that matters."""
        by_id = not self._machine.probe.engine.manifest_ids
        return image.id == contents.id if by_id else contents.like(image.diff_ids, image.config)

    def images(self) -> tuple[Held, ...]:
        """All images, those without a name too."""
        done = self._machine.link.script(
            'ids=$("$@" image ls -aq --no-trunc | sort -u) && [ -n "$ids" ] || exit 0\n'
            f'"$@" image inspect -f {shlex.quote(self._image)} $ids',
            *self._machine.engine,
            timeout=ASK_TIMEOUT_S,
        )  # one that is removed meanwhile makes it fail, and the others are told all the same
        lines = done.out.decode("utf-8", "replace").splitlines()
        return tuple(image for line in lines if (image := _held(line)))

    def find(self, ref: str) -> Held | None:
        """The image of that name or id."""
        try:
            said = self._machine.run("image", "inspect", "-f", self._image, ref)
        except ImageMissing:
            return None
        return _held(said)

    def folder(self, key: str, need: int = 0, root: str = "") -> Folder:
        """The folder of ``key``, made if need be, best where ``need`` bytes are free."""
        done = self._machine.link.script(
            far.source("transfer_folder.sh"),
            timeout=ASK_TIMEOUT_S,
            KEY=key,
            NEED=str(need >> 10),
            ROOT=root,
        )
        lines = done.out.decode("utf-8", "surrogateescape").splitlines()
        if done.code != 0 or len(lines) < 3:  # noqa: PLR2004  folder, free, engine's free
            raise DiskFull(
                f"{self.host} has no folder for it: {one_line(done.err)}",
                hint="is your home full, or read-only?",
            )
        files = (line.partition(" ") for line in lines[3:])
        return Folder(
            lines[0],
            _bytes(lines[1]) or 0,
            _bytes(lines[2]),
            tuple((name, int(size)) for size, _, name in files if size.isdecimal()),
        )

    def put(
        self,
        file: str,
        blocks: Iterable[bytes],
        *,
        packed: bool,
        sent: Callable[[int], None],
    ) -> None:
        """Write ``blocks``, which are gzip's if ``packed``, to a new file over there.

        Raises :class:`DiskFull`, and a :class:`LinkError` after which some of it may be there.
        """
        decode = "exec gzip -dc" if packed else "exec cat"
        host = self._machine.host
        channel = self._machine.link.begin(
            f'umask 077; {decode} >"$1"', (file,), {}, term="", size=(80, 24)
        )
        with reported(host):
            code, said = feed(channel, blocks, host.name, sent=sent)
        if code != 0:
            error = DiskFull if "space" in said or "quota" in said.lower() else FarSideError
            raise error(
                f"{host.name} could not write {one_line(file)}: {one_line(said)}",
                hint="make room; the same command goes on where this one stopped",
            )

    def digest(self, folder: str, pieces: Iterable[Piece]) -> str:
        """The SHA-256 of what ``pieces`` make, as the far side reads it."""
        lines = "\n".join(f"part {piece.name} {piece.count}" for piece in pieces)
        done = self._join(folder, lines)
        return "sha256:" + done.partition(" ")[0].strip()

    def load(
        self,
        folder: str,
        parts: Iterator[bytes | Layer],
        pieces: Mapping[Layer, tuple[Piece, ...]],
    ) -> None:
        """Give the engine an archive made of bytes and of what is in the folder.

        Raises :class:`PartialRefused` if it does not take one without all layers.
        """
        self._join(folder, recipe(parts, pieces), *self._machine.engine, "load")

    def untag(self, *refs: str) -> None:
        """Take names away, and what only had those."""
        if refs:
            self._machine.run("rmi", *refs)

    def settle(self, image: str, ref: str, spare: Iterable[str], folder: str = "") -> None:
        """Give an image its name; then names that are not needed any more go, and the folder."""
        done = self._machine.link.script(
            '$ENGINE tag "$1" "$2" && shift 2 && { [ $# -eq 0 ] || $ENGINE rmi "$@" >/dev/null; } '
            '&& { [ -z "$FOLDER" ] || rm -rf -- "$FOLDER"; }',
            image,
            ref,
            *spare,
            timeout=ASK_TIMEOUT_S,
            ENGINE=self.engine,
            FOLDER=folder,
        )
        if done.code != 0:
            raise self._machine.complaint(done.err.decode("utf-8", "replace"))

    def discard(self, folder: str, pieces: Iterable[Piece]) -> None:
        """Remove files of a folder."""
        names = (piece.name for piece in pieces)
        self._machine.link.script(
            'cd "$1" && shift && rm -f -- "$@"', folder, *names, timeout=ASK_TIMEOUT_S
        )

    def remove(self, folder: str) -> None:
        """Remove a folder."""
        self._machine.link.script('rm -rf -- "$1"', folder, timeout=ASK_TIMEOUT_S)

    def _join(self, folder: str, lines: str, *command: str) -> str:
        done = self._machine.link.script(
            far.source("transfer_join.sh"),
            *command,
            timeout=LOAD_TIMEOUT_S,
            FOLDER=folder,
            RECIPE=lines,
        )
        if done.code == 0:
            return done.out.decode("utf-8", "replace")
        said = done.err.decode("utf-8", "replace")
        error = self._machine.complaint(said)
        if type(error) is EngineRefused and _REFUSES_PARTS.search(said):
            raise PartialRefused(error.message, hint=error.hint)
        raise error


def _held(line: str) -> Held | None:
    """The image that a line of :data:`_IMAGE` describes; None when it describes none."""
    try:
        id_, layers, refs, config = json.loads(line)
        whole = id_ if ":" in id_ else f"sha256:{id_}"  # podman leaves it out
        names = tuple(map(str, refs or ()))
        return Held(whole, tuple(map(str, layers or ())), names, dict(config or {}))
    except (TypeError, ValueError, RecursionError):
        return None


def _bytes(kib: str) -> int | None:
    return int(kib) << 10 if kib.isdecimal() else None
