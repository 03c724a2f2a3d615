"""What dockerd and podman say of registries, as they were met."""

from __future__ import annotations

import json

import pytest

from remotenb import errors
from remotenb.engines.registries import understand_pull
from remotenb.errors import DiskFull, FarSideError
from remotenb.images.reference import parse
from remotenb.images.room import Room
from remotenb.registry.manifests import Descriptor, Manifest, Platform

IMAGE = parse("nvcr.io/nvidia/pytorch:25.10")
HEAD = 'Error response from daemon: Head "https://nvcr.io/v2/nvidia/pytorch/manifests/25.10": '

SAID: tuple[tuple[str, type[FarSideError], str], ...] = (
    (f"{HEAD}unauthorized: unauthorized", errors.LoginNeeded, "remotenb login box nvcr.io"),
    (
        "pull access denied for a/b, repository does not exist or may require 'docker login'",
        errors.LoginNeeded,
        "remotenb login box",
    ),
    (f"{HEAD}denied: denied", errors.LoginNeeded, "remotenb login"),
    (
        "manifest for nvcr.io/a/b:1 not found: manifest unknown: manifest unknown",
        errors.ImageUnknown,
        "did you mean nvcr.io/nvidia/pytorch:25.10-py3?",
    ),
    ("repository name not known to registry", errors.ImageUnknown, ""),
    (
        "no matching manifest for linux/amd64 in the manifest list entries",
        errors.ImageUnknown,
        "another tag",
    ),
    (
        "dial tcp: lookup nvcr.io on [::1]:53: read udp [::1]:1->[::1]:53: connection refused",
        errors.RegistryUnreachable,
        "remotenb push box nvcr.io/nvidia/pytorch:25.10",
    ),
    (
        'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host',
        errors.RegistryUnreachable,
        "push",
    ),
    (
        "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        errors.RegistryUnreachable,
        "push",
    ),
    (
        'Get "https://nvcr.io/v2/": x509: certificate signed by unknown authority',
        errors.RegistryUnreachable,
        "push",
    ),
    (
        'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client',
        errors.RegistryFailed,
        "insecure-registries",
    ),
    (
        "toomanyrequests: You have reached your unauthenticated pull rate limit",
        errors.RegistryFailed,
        "log in",
    ),
    (
        "failed to register layer: write /x: no space left on device",
        errors.DiskFull,
        "make room",
    ),
    (
        "failed to register layer: something new",
        errors.EngineRefused,
        "",
    ),
)


@pytest.mark.parametrize(("said", "error", "hint"), SAID, ids=range(len(SAID)))
def test_the_engines_words_become_an_error_with_what_to_do(
    said: str, error: type[FarSideError], hint: str
) -> None:
    found = understand_pull(said, IMAGE, "box", logged_in=False)
    assert type(found) is error, found.message
    assert hint in found.hint
    assert "\n" not in found.message


def test_who_is_logged_in_is_not_told_to_log_in_only() -> None:
    found = understand_pull("denied: denied", IMAGE, "box", logged_in=True)
    assert "kept here" in found.message
    assert "check the name" in found.hint


def blob(number: int) -> Descriptor:
    return Descriptor(f"sha256:{number:064x}", 1 << 30)


def test_only_the_layers_behind_a_common_beginning_are_fetched() -> None:
    ids = [f"sha256:{number:064x}" for number in range(4)]
    config = json.dumps({"rootfs": {"diff_ids": ids}}).encode()
    manifest = Manifest("", "", blob(9), tuple(blob(number) for number in range(4)))
    there = ((ids[0],), (ids[0], ids[1], "sha256:other"), (ids[2], ids[3]), ())
    room = Room(Platform("amd64"), 3 << 30, there)
    assert room.missing(manifest, config) == manifest.layers[2:]
    assert Room(Platform("amd64"), None, ()).missing(manifest, config) == manifest.layers
    assert Room(Platform("amd64"), None, (tuple(ids),)).missing(manifest, config) == ()


def test_what_surely_does_not_fit_is_refused_before_it_begins() -> None:
    room = Room(Platform("amd64"), 10 << 30, ())
    assert room.fits(2 << 30)
    assert not room.fits(5 << 30)
    with pytest.raises(DiskFull) as caught:
        room.fits(11 << 30)
    assert "11.8 GB" in caught.value.message
    assert Room(Platform("amd64"), None, ()).fits(1 << 50)
