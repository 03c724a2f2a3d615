"""The order in which an image reaches a machine: what it lacks, a batch of layers at a time.

While one batch is on its way, the engine loads the one before. What was loaded is held by an
image without a use, so that the next attempt, or the next ``push``, begins behind it; what was
not is a file over there, and is gone on with at its last byte.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotenb.errors import (
    BlobDamaged,
    DiskFull,
    ImageDiffers,
    LayerDamaged,
    LinkError,
    PartialRefused,
    ProtocolFailed,
    TransferTaken,
)
from remotenb.images.reference import PARTIAL
from remotenb.transfer.archive import diff_ids, partial_config, partials, written
from remotenb.transfer.blocks import Pace, Ranges, packed
from remotenb.transfer.parts import batches, held, part_name
from remotenb.transfer.store import Folder, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remotenb.lasting import Lasting
    from remotenb.transfer.archive import Contents, Layer
    from remotenb.transfer.blocks import Shown
    from remotenb.transfer.source import Source

BATCH = 128 << 20
"""Bytes that are loaded at a time, at least: each load costs the engine a moment, and what is
loaded while the next batch is sent is not waited for at the end."""


@dataclass(slots=True)
class Sent:
    """What a push did."""

    bytes: int = 0
    """On the link, of layers."""
    layers: int = 0
    """That were missing."""


class Push:
    """One image on its way to one machine."""

    def __init__(
        self, target: Lasting, source: Source, ref: str, shown: Shown, *, batch: int = BATCH
    ) -> None:
        """``ref`` is the name that it shall have there."""
        self._batch = batch
        self._target = target
        self._source = source
        self._contents: Contents = source.contents
        self._ref = ref
        self._shown = shown
        self._whole = ""
        self._spare: set[str] = set()
        """Names over there that are not needed once the image has its own."""
        self._one_at_a_time = False
        self._pace = Pace()
        self.sent = Sent()

    def run(self) -> Sent:
        """Bring it there, through every outage; raises a :class:`RemotenbError`."""
        while True:
            try:
                self._attempt()
            except PartialRefused as error:
                if self._whole:
                    raise
                self._want_whole(f"the engine ({error.message})")
            except LinkError as error:
                self._mend(error)
            else:
                return self.sent

    def _mend(self, error: LinkError) -> None:
        """Make the next attempt possible; raises an error where nothing can."""
        if isinstance(error, ProtocolFailed) and self._target.alive and not self._one_at_a_time:
            self._one_at_a_time = True  # sshd has no second session for us (MaxSessions)
        elif not self._source.mend(error):
            self._target.mend(error)

    def _want_whole(self, why: str) -> None:
        self._whole = why
        self._target.machine.report.warning(
            "whole_image",
            f"{why} takes no parts of an image",
            "the whole image is sent, with what is there already",
        )

    def _attempt(self) -> None:
        """From what is there to the whole image; raises a :class:`LinkError` in between."""
        store = Store(self._target.machine)
        images = store.images()
        self._spare = partials((ref for one in images for ref in one.refs), self._contents.key)
        there = next((one for one in images if store.holds(one, self._contents)), None)
        if there is not None:
            store.settle(there.id, self._ref, self._spare)
            return
        if store.wants_whole and not self._whole:
            self._want_whole(store.wants_whole)
        wanted = diff_ids(self._contents.config)
        have = 0 if self._whole else held((one.diff_ids for one in images), wanted)
        folder = self._bring(store, have, store.root())
        self._check(store)
        store.settle(self._partial(), self._ref, self._spare, folder.path)

    def _bring(self, store: Store, have: int, root: str) -> Folder:
        """Send and load all layers but the lowest ``have``; where they arrived."""
        missing = self._contents.layers[have:]
        self.sent.layers = max(self.sent.layers, len(missing))
        groups = [list(missing)] if self._whole else batches(missing, self._batch)
        folder = self._folder(store, groups, root)
        there = sum(folder.arrived(layer).size for layer in missing)
        self._shown.begin(there, sum(layer.size for layer in missing))
        loader = ThreadPoolExecutor(1)
        try:
            loads = self._send(store, folder, groups, have, loader)
            self._shown.end()
            with self._target.machine.report.step(f"{store.host} loads it"):
                _raised(loads)
        except Exception:
            loader.shutdown(wait=True, cancel_futures=True)  # the next attempt asks what is there
            raise
        finally:
            self._shown.end()
            loader.shutdown(wait=False, cancel_futures=True)
        return folder

    def _send(
        self,
        store: Store,
        folder: Folder,
        groups: Sequence[Sequence[Layer]],
        have: int,
        loader: ThreadPoolExecutor,
    ) -> list[Future[None]]:
        """Send each batch; its load goes on beside the next one."""
        loads: list[Future[None]] = []
        for group in groups:
            for layer in group:
                self._carry(store, folder, layer)
            have += len(group)
            loads.append(loader.submit(self._load, store, group, have))
            _raised(one for one in loads if one.done() or self._one_at_a_time)
        return loads

    def _folder(self, store: Store, groups: Sequence[Sequence[Layer]], root: str) -> Folder:
        """Where parts wait; two batches do at a time. Raises :class:`DiskFull` beforehand."""
        sizes = [sum(layer.size for layer in group) for group in groups]
        need = max(sum(pair) for pair in zip(sizes, [*sizes[1:], 0], strict=True))
        folder = store.folder(self._contents.key, need, root)
        there = sum(size for _, size in folder.files)
        if folder.free + there < need:
            raise _too_small(store.host, folder.path, folder.free + there, need)
        if folder.engine_free is not None and folder.engine_free < sum(sizes):
            raise _too_small(store.host, "its engine", folder.engine_free, sum(sizes))
        return folder

    def _carry(self, store: Store, folder: Folder, layer: Layer) -> None:
        """Send what is missing of a layer."""
        there = folder.arrived(layer)
        offset, number = there.size, there.following
        digest = hashlib.sha256()
        blocks = Ranges(self._source.read(layer, offset))
        try:
            while offset < layer.size:
                size = min(self._pace.range(packable=layer.raw), layer.size - offset)
                file = f"{folder.path}/{part_name(layer, number, offset)}"
                self._put(store, file, blocks, size, digest, pack=layer.raw)
                offset, number = offset + size, number + 1
            if not there.size and layer.digest not in {"", f"sha256:{digest.hexdigest()}"}:
                raise self._damaged(layer, self._source.said)
        except (LayerDamaged, BlobDamaged):  # not to be gone on with
            store.discard(folder.path, store.folder(self._contents.key).arrived(layer).pieces)
            raise

    def _put(  # noqa: PLR0913  all but the store by what they are
        self,
        store: Store,
        file: str,
        blocks: Ranges,
        size: int,
        digest: hashlib._Hash,
        *,
        pack: bool,
    ) -> None:
        """Send a range; the first ones tell whether packing them pays."""
        went: list[tuple[float, int]] = []

        def seen(block: bytes) -> None:
            went.append((time.monotonic(), len(block)))
            digest.update(block)
            self._shown.moved(len(block))

        taken, packs = blocks.take(size, seen), pack and self._pace.packs
        store.put(file, packed(taken) if packs else taken, packed=packs, sent=self._went)
        self._pace.took(went, packed=packs)

    def _went(self, count: int) -> None:
        self.sent.bytes += count

    def _load(self, store: Store, group: Sequence[Layer], upto: int) -> None:
        """Let the engine take a batch; ``upto`` layers are there then."""
        folder = store.folder(self._contents.key)
        pieces = {layer: folder.arrived(layer).pieces for layer in group}
        for layer in group:
            self._verify(store, folder, layer)
        last = upto == len(self._contents.layers)
        config, name = self._contents.config, self._partial()
        if not last:
            user = self._target.machine.probe.user
            config, name = partial_config(config, upto, user), f"{name}-{upto}"
        try:
            store.load(folder.path, written(config, name, group), pieces)
        except LayerDamaged:
            store.remove(folder.path)  # not to be gone on with
            raise
        store.discard(folder.path, (piece for one in pieces.values() for piece in one))
        store.untag(*self._spare - {name})
        self._spare = {name}

    def _verify(self, store: Store, folder: Folder, layer: Layer) -> None:
        there = folder.arrived(layer)
        if there.size != layer.size:
            raise TransferTaken(
                f"another push of {self._ref} to {store.host} goes on",
                hint="let it end; this one is not needed",
            )
        if layer.raw and not self._whole:
            return  # docker holds it against the same digest
        if layer.digest and store.digest(folder.path, there.pieces) != layer.digest:
            store.discard(folder.path, there.pieces)
            raise self._damaged(layer, store.host)

    def _check(self, store: Store) -> None:
        """The image is what it was."""
        there = store.find(self._partial())
        if there is None or not store.holds(there, self._contents):
            store.untag(*self._spare)
            raise ImageDiffers(
                f"{store.host} made another image of {self._ref} "
                f"({there.id if there else 'none'}, not {self._contents.id})",
                hint="nothing was named so; please report it",
            )

    def _partial(self) -> str:
        return f"{PARTIAL}:{self._contents.key}"

    def _damaged(self, layer: Layer, where: str) -> LayerDamaged:
        return LayerDamaged(
            f"layer {layer.number + 1} of {len(self._contents.layers)} of {self._ref} is damaged: "
            f"{where} has not what its digest says",
            hint="save the image again, or fetch it again; nothing was named so",
        )


def _raised(loads: Iterable[Future[None]]) -> None:
    """The error of the first that failed; waits for each."""
    for one in loads:
        one.result()


def _too_small(host: str, what: str, free: int, need: int) -> DiskFull:
    return DiskFull(
        f"{host} has {free >> 20} MiB free for {what}, and {need >> 20} MiB are needed",
        hint=f"make room: remotenb prune {host}, remotenb rmi {host} IMAGE",
    )
