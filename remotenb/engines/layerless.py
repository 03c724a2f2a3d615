"""An image archive without layers: another configuration for layers that the engine has already.

Docker loads such archives on purpose (moby/moby#18727); containerd's image store and podman
do not.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def configuration(
    base: Mapping[str, Any], made: Mapping[str, Any], *, labels: Mapping[str, str], comment: str
) -> bytes:
    """How containers of ``base`` start, upon the layers of ``made``; both as docker shows them."""
    layers = list(made["RootFS"]["Layers"])
    below = len(base["RootFS"]["Layers"])
    created = str(made["Created"])
    config = {**base["Config"], "Labels": {**(base["Config"].get("Labels") or {}), **labels}}
    history = [{"created": base["Created"], "created_by": comment} for _ in layers[:below]]
    history += [{"created": created, "created_by": "remotenb commit"} for _ in layers[below:]]
    return json.dumps(
        {
            "architecture": made["Architecture"],
            "os": made["Os"],
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": history,
        }
    ).encode()


def image_id(configuration: bytes) -> str:
    """The id of the image that has this configuration."""
    return hashlib.sha256(configuration).hexdigest()


def archive(configuration: bytes, tag: str) -> bytes:
    """What ``docker load`` reads."""
    layers = json.loads(configuration)["rootfs"]["diff_ids"]
    name = f"{image_id(configuration)}.json"
    absent = [f"{one.removeprefix('sha256:')}/layer.tar" for one in layers]
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": absent}]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, content in ((name, configuration), ("manifest.json", json.dumps(manifest))):
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()
