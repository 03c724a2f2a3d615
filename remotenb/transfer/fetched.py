"""An image of a registry, which the laptop reads without any engine; its login stays here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.errors import RegistryFailed
from remotenb.registry.manifests import parse_config
from remotenb.transfer.archive import Contents, Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.errors import RemotenbError
    from remotenb.images.reference import Reference
    from remotenb.registry.client import Registry
    from remotenb.registry.manifests import Platform


class Fetched:
    """An image as its registry has it for a platform: the layers are packed already."""

    def __init__(self, registry: Registry, image: Reference, platform: Platform) -> None:
        """Raises a :class:`RemotenbError`, as when it has no such image."""
        self.said = registry.host
        self._registry = registry
        self._image = image
        manifest = registry.image(image, platform)
        config = registry.config(image, manifest)
        _, diff_ids = parse_config(config)
        if len(diff_ids) != len(manifest.layers):
            raise RegistryFailed(
                f"{image.familiar} names {len(diff_ids)} layers and has {len(manifest.layers)}",
                hint="that image is damaged where it is; take another tag",
            )
        self._blobs = manifest.layers
        layers = (
            # what is not SHA-256 is proved by the client alone
            Layer(number, diff_id, blob.size, blob.digest if "sha256:" in blob.digest else "")
            for number, (diff_id, blob) in enumerate(zip(diff_ids, manifest.layers, strict=True))
        )
        self.contents = Contents(image.familiar, config, tuple(layers))

    def read(self, layer: Layer, offset: int) -> Iterator[bytes]:
        """See :class:`remotenb.transfer.source.Source`."""
        return self._registry.blob(self._image, self._blobs[layer.number], start=offset)

    def mend(self, error: RemotenbError) -> bool:  # noqa: ARG002  Source's signature
        """The client goes on by itself."""
        return False
