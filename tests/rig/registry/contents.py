"""What the registry has: the rig's images, in each form in which a registry may keep one.

| image | form |
|---|---|
| `nvidia/pytorch:25.10-py3` | docker's manifest list: amd64, arm64 |
| `nvidia/pytorch:23.07-py3` | an OCI index as buildx makes it: the image, an attestation |
| `nvidia/tensorflow:20.10-tf2-py3` | docker's manifest, schema 2 |
| `nvidia/cuda:12.4.0-base` | an OCI manifest |
| `nvidia/clara:1`, `private/secret:1` | a list; three layers of 16 MiB that do not compress |
| `nvidia/arm:1` | a manifest list without this machine's architecture |

The ids are those that the box's docker has for the same tags. `private/` wants a login.
"""

import hashlib
import http.client
import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from tests.rig import archive, cache
from tests.rig.failures import RigError
from tests.rig.images import BARE, BUSYBOX, CLASSIC, LAB2, LAB4, Layer

Connect = Callable[[], http.client.HTTPConnection]

DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
_OCI: Final = "application/vnd.oci.image.manifest.v1+json"
_KINDS: Final = {
    _DOCKER: (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
    _OCI: (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ),
}
_LAB4: Final = LAB4.tag
_LAB2: Final = LAB2.tag
CLARA: Final = "nvcr.io/nvidia/clara:1"
SECRET: Final = "nvcr.io/private/secret:1"
FOREIGN: Final = "nvcr.io/nvidia/arm:1"
CLARA_LAYERS: Final = 3
CLARA_LAYER: Final = 16 << 20
_VERSION: Final = "2"  # of all that is written below


@dataclass(frozen=True)
class _Push:
    """One repository, and a way to it."""

    connect: Connect
    repository: str

    def blob(self, media_type: str, content: bytes | Path) -> dict[str, Any]:
        """Upload a blob that is not there yet; return its descriptor."""
        raw = content.read_bytes() if isinstance(content, Path) else content
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        where = self._call("POST", "blobs/uploads/", expect=202).headers["Location"]
        self._call("PUT", f"{where}&digest={digest}", body=raw, expect=201)
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def manifest(self, name: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Upload a manifest under a tag, or its digest; return its descriptor."""
        raw = json.dumps({"schemaVersion": 2, **members}).encode()
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        kind = str(members["mediaType"])
        self._call("PUT", f"manifests/{name or digest}", body=raw, kind=kind, expect=201)
        return {"mediaType": kind, "digest": digest, "size": len(raw)}

    def image(
        self, name: str, config: bytes, layers: Sequence[Path], kind: str = _DOCKER
    ) -> dict[str, Any]:
        """Upload an image; return its manifest's descriptor."""
        of_config, of_layer = _KINDS[kind]
        members = {
            "mediaType": kind,
            "config": self.blob(of_config, config),
            "layers": [self.blob(of_layer, layer) for layer in layers],
        }
        return self.manifest(name, members)

    def _call(
        self, method: str, path: str, *, body: bytes = b"", kind: str = "", expect: int
    ) -> http.client.HTTPResponse:
        where = path if path.startswith("/") else f"/v2/{self.repository}/{path}"
        connection = self.connect()
        headers = {"Content-Type": kind or "application/octet-stream"}
        connection.request(method, where, body=body, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != expect:
            message = f"docker-registry: {method} {where}: {answer.status} {said.decode()}"
            raise RigError(message)
        return answer


def recipe(layers: Mapping[str, Sequence[Layer]]) -> str:
    """Name what `fill` makes of these images."""
    digests = (layer.digest for tag in sorted(layers) for layer in layers[tag])
    return cache.recipe(_VERSION, *digests)


def fill(connect: Connect, layers: Mapping[str, Sequence[Layer]], scratch: Path) -> None:
    """Put every image into an empty registry."""
    place = scratch / "packed"
    place.mkdir()
    distinct = {layer.digest: layer for parts in layers.values() for layer in parts}
    with ThreadPoolExecutor(max_workers=2) as jobs:
        made = list(jobs.map(lambda layer: _packed(layer.tar, place), distinct.values()))
    packed = dict(zip(distinct, made, strict=True))
    small = [packed[layers[BUSYBOX][0].digest]]

    def image(tag: str, kind: str, name: str = "") -> dict[str, Any]:
        files = [packed[layer.digest] for layer in layers[tag]]
        return _at(connect, tag).image(name, archive.config_of(tag, layers[tag]), files, kind)

    arm = _config([layers[BUSYBOX][0].digest], "arm64")
    lab4 = _at(connect, _LAB4)
    _list(lab4, _LAB4, [(image(_LAB4, _DOCKER), _here()), (lab4.image("", arm, small), "arm64")])
    lab2 = _at(connect, _LAB2)
    attestation = lab2.image("", b"{}", small, _OCI)
    both = [(image(_LAB2, _OCI), _here()), (attestation, "unknown")]
    _list(lab2, _LAB2, both, OCI_INDEX)
    for tag, kind in ((CLASSIC.tag, _DOCKER), (BARE.tag, _OCI), (BUSYBOX, _DOCKER)):
        image(tag, kind, tag.rpartition(":")[2])
    for tag in (CLARA, SECRET):
        _random_image(_at(connect, tag), tag, place)
    foreign = _at(connect, FOREIGN)
    _list(foreign, FOREIGN, [(foreign.image("", arm, small), "arm64")])
    shutil.rmtree(place)


def _at(connect: Connect, tag: str) -> _Push:
    repository = tag.removeprefix("nvcr.io/").rpartition(":")[0]
    return _Push(connect, repository if "/" in repository else f"library/{repository}")


def _list(
    push: _Push, tag: str, images: Sequence[tuple[dict[str, Any], str]], kind: str = DOCKER_LIST
) -> None:
    entries = [
        {
            **descriptor,
            "platform": {"os": "unknown" if arch == "unknown" else "linux", "architecture": arch},
        }
        for descriptor, arch in images
    ]
    push.manifest(tag.rpartition(":")[2], {"mediaType": kind, "manifests": entries})


def _random_image(push: _Push, tag: str, place: Path) -> None:
    tars = [_noise(place / f"{number}.tar", f"{tag} {number}") for number in range(CLARA_LAYERS)]
    digests = [hashlib.sha256(tar.read_bytes()).hexdigest() for tar in tars]
    config = _config(digests, _here())
    image = push.image("", config, [_packed(tar, place) for tar in tars])
    _list(push, tag, [(image, _here())])


def _noise(path: Path, seed: str) -> Path:
    with tarfile.open(path, "w") as tar:
        file = tarfile.TarInfo(seed.replace("/", "-"))
        file.size = CLARA_LAYER
        tar.addfile(file, BytesIO(random.Random(seed).randbytes(file.size)))
    return path


def _config(digests: Sequence[str], architecture: str) -> bytes:
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created_by": "remotenb test rig"} for _ in digests],
    }
    return json.dumps(config).encode()


def _here() -> str:
    return archive.architecture()


def _packed(tar: Path, place: Path) -> Path:
    out = place / f"{tar.parent.name}-{tar.stem}.gz"
    with tar.open("rb") as read, out.open("wb") as write:
        subprocess.run(["gzip", "-1", "-n"], stdin=read, stdout=write, check=True)
    return out
