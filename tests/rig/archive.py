"""Layers as an image archive, in the form that `docker load` reads.

The same layers always give the same image id, so the rig can tell from the ids alone whether a
docker holds the images of the present recipe.
"""

import hashlib
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import IO, Final

from .images import BUSYBOX, Layer

_MADE: Final = "2025-10-01T00:00:00Z"
_ENV: Final = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "JUPYTER_PORT=8888",
    "TENSORBOARD_PORT=6006",
    "PIP_CONSTRAINT=/etc/pip/constraint.txt",
    "LC_ALL=C.UTF-8",
    "NVIDIA_VISIBLE_DEVICES=all",
    "SHELL=/bin/bash",
)
_NGC: Final = {
    "Entrypoint": ["/opt/nvidia/nvidia_entrypoint.sh"],
    "WorkingDir": "/workspace",
    "Env": _ENV,
    "ExposedPorts": {"8888/tcp": {}},
}
_BUSYBOX: Final = {"Cmd": ["sh"], "Env": ("PATH=/bin",)}

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def image_ids(layers: Mapping[str, Sequence[Layer]]) -> dict[str, str]:
    """Return the id that docker will give to the image of each tag."""
    return {tag: f"sha256:{_digest(config_of(tag, parts))}" for tag, parts in layers.items()}


def write(layers: Mapping[str, Sequence[Layer]], out: IO[bytes]) -> None:
    """Write one archive of all the images; a layer that several share goes in once."""
    distinct = {layer.digest: layer for parts in layers.values() for layer in parts}
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for layer in distinct.values():
            tar.add(layer.tar, _layer_name(layer))
        for tag, parts in layers.items():
            config = config_of(tag, parts)
            _add(tar, f"{_digest(config)}.json", config)
        manifest = [_entry(tag, parts) for tag, parts in layers.items()]
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def architecture() -> str:
    """Return what docker calls this machine's processor."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def _entry(tag: str, layers: Sequence[Layer]) -> dict[str, object]:
    return {
        "Config": f"{_digest(config_of(tag, layers))}.json",
        "RepoTags": [tag],
        "Layers": [_layer_name(layer) for layer in layers],
    }


def config_of(tag: str, layers: Sequence[Layer]) -> bytes:
    """Return an image's config, whose digest is the image's id."""
    config = {
        "architecture": architecture(),
        "os": "linux",
        "created": _MADE,
        "config": _BUSYBOX if tag == BUSYBOX else _NGC,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created": _MADE, "created_by": "remotenb test rig"} for _ in layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, BytesIO(content))


def _layer_name(layer: Layer) -> str:
    return f"{layer.digest}/layer.tar"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
