"""Nouns to test with: each is complete, and a test says only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from remotenb.model import Container, EngineState, Gpu, Image, Probe, RuntimeFile, Scan
from remotenb.secret import Secret
from remotenb.server import Endpoint, Found, Server
from remotenb.settings import Settings
from remotenb.spec import Wish

PYTORCH = "nvcr.io/nvidia/pytorch:25.10-py3"
TENSORFLOW = "nvcr.io/nvidia/tensorflow:20.10-tf2-py3"
PYTORCH_ID = "sha256:" + "a" * 64
TENSORFLOW_ID = "sha256:" + "b" * 64
IMAGES = (Image(PYTORCH, PYTORCH_ID, "20GB"), Image(TENSORFLOW, TENSORFLOW_ID, "9GB"))

DOCKER = EngineState("docker", ("docker",), "28.2.2")
PODMAN = EngineState("podman", ("podman",), "4.3.1", rootless=True, keeps_ids=True)
WITH_JUPYTER = Scan(python="/usr/bin/python3", jupyter="/usr/local/bin/jupyter")
LABEL = "remotenb.name"


def probe(**changes: Any) -> Probe:
    """Alice's box: docker, two images, nothing running."""
    plain = Probe(user="alice", uid=1000, home="/home/alice", engine=DOCKER, images=IMAGES)
    return replace(plain, **changes)


def container(name: str = "nb", **changes: Any) -> Container:
    """A running container of alice's with a Jupyter in it, of the PyTorch image."""
    plain = Container(
        id=(name.encode().hex() + "0" * 64)[:64],
        name=name,
        image=PYTORCH,
        image_id=PYTORCH_ID,
        status="running",
        addresses=("172.17.0.2",),
        ownership="mine",
        owner="alice",
        scan=WITH_JUPYTER,
    )
    return replace(plain, **changes)


def ours(name: str, **changes: Any) -> Container:
    """A container that remotenb made for alice."""
    return container(name, labels={LABEL: name, "remotenb.user": "alice"}, **changes)


def gpu(index: int, *, used: int = 0, load: int = 0, processes: int = 0) -> Gpu:
    """An A100."""
    return Gpu(index, f"GPU-{index}", "NVIDIA A100", 81920, used, load, processes)


def runtime_file(**changes: Any) -> RuntimeFile:
    """What a live server on port 8888 writes."""
    plain = RuntimeFile(
        path=PurePosixPath("/root/.local/share/jupyter/runtime/jpserver-7.json"),
        pid=7,
        port=8888,
        token=Secret("s3cret"),
        base_url="/",
        root_dir="/workspace",
        alive=True,
        modified=1000,
    )
    return replace(plain, **changes)


def found(within: Container | None = None, **changes: Any) -> Found:
    """A file that leads to 127.0.0.1:8888."""
    plain = Found(runtime_file(), within, (Endpoint("127.0.0.1", 8888),))
    return replace(plain, **changes)


def server(within: Container | None = None, **changes: Any) -> Server:
    """A verified server that wants its token."""
    plain = Server(
        endpoint=Endpoint("127.0.0.1", 8888),
        token=Secret("s3cret"),
        base_url="/",
        version="2.14.0",
        root_dir="/workspace",
        port=8888,
        started="2026-11-23T10:00:00.000000Z",
        container=within,
    )
    return replace(plain, **changes)


def wish(*, new: bool = False, image_demanded: bool = False, **settings: Any) -> Wish:
    """What was asked for; nothing but the defaults."""
    return Wish(Settings(**settings), new=new, image_demanded=image_demanded)
