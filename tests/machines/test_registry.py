"""The registry client against a real registry, whose front is like NVIDIA's."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from remotenb import errors
from remotenb.errors import UsageError
from remotenb.images.reference import Reference, parse
from remotenb.model import RegistryLogin
from remotenb.registry.client import Registry as Client
from remotenb.registry.manifests import Index, Platform, parse_config
from remotenb.secret import Secret
from tests.pure.test_reference import REFUSED, UNDERSTOOD
from tests.rig import archive, images
from tests.rig.registry import contents
from tests.rig.registry.front import API_KEY, USER

if TYPE_CHECKING:
    from tests.rig.lab import Lab
    from tests.rig.registry import Registry

HERE = Platform(archive.architecture())
LOGIN = RegistryLogin(USER, Secret(API_KEY))


def at(registry: Registry, tag: str) -> Reference:
    """An image of the rig as the laptop's loopback has it."""
    return parse(f"{registry.plain}/{tag.removeprefix('nvcr.io/')}")


@pytest.mark.long
def test_docker_takes_and_refuses_the_same_names(lab: Lab) -> None:
    """Left out: IPv6, which is newer than the box's dockerd, and ids, which it takes here."""
    random_ones = random.Random(7)
    made = ["".join(random_ones.choices("aA0.:/@-_x", k=9)) for _ in range(200)]
    asked = [
        name
        for name in (*UNDERSTOOD, *REFUSED, *made)
        if name.strip() and not name.startswith(("-", "[")) and "\n" not in name and len(name) != 64
    ]
    script = (
        'while IFS= read -r name; do docker create --pull=never "$name" x 2>&1 | head -n 1; done'
    )
    told = lab.box.run(
        ["sh", "-c", script], user="alice", input="\n".join(asked) + "\n", timeout=100
    )
    for name, said in zip(asked, told.stdout.splitlines(), strict=True):
        taken = "No such image" in said or len(said.strip()) == 64
        try:
            parse(name)
        except UsageError:
            assert not taken, (name, said)
        else:
            assert taken, (name, said)


@pytest.mark.parametrize("kind", images.KINDS, ids=lambda kind: kind.name)
def test_each_form_of_an_image_is_the_one_that_docker_has(
    registry: Registry, kind: images.Kind
) -> None:
    layers = images.build()[kind.tag]
    name = at(registry, kind.tag)
    with Client(registry.plain) as client:
        manifest = client.image(name, HERE)
        config = client.config(name, manifest)
    assert manifest.config.digest == archive.image_ids({kind.tag: layers})[kind.tag]
    platform, diff_ids = parse_config(config)
    assert platform == HERE
    assert diff_ids == tuple(f"sha256:{layer.digest}" for layer in layers)


def test_a_blob_goes_on_where_it_was_cut_and_is_proved(registry: Registry) -> None:
    name = at(registry, contents.CLARA)
    with Client(registry.plain) as client:
        layer = client.image(name, HERE).layers[0]
        registry.faults.cut_after, registry.faults.cuts = 6 << 20, 2
        got = b"".join(client.blob(name, layer))
        assert hashlib.sha256(got).hexdigest() == layer.digest.removeprefix("sha256:")
        ranges = [one.range for one in registry.seen if one.path.startswith("/store/")]
        assert ranges == ["", f"bytes={6 << 20}-", f"bytes={12 << 20}-"]
        assert b"".join(client.blob(name, layer, start=1000)) == got[1000:]
        registry.faults.ignore_range = True
        assert b"".join(client.blob(name, layer, start=layer.size - 3)) == got[-3:]
        registry.faults.damage = True
        with pytest.raises(errors.BlobDamaged):
            list(client.blob(name, layer))


def test_the_password_and_the_token_reach_no_other_origin(registry: Registry) -> None:
    name = at(registry, contents.SECRET)
    with Client(registry.plain) as client, pytest.raises(errors.LoginNeeded) as caught:
        client.image(name, HERE)
    assert "remotenb login" in caught.value.hint
    with Client(registry.plain, LOGIN) as client:
        client.check_login()
        manifest = client.image(name, HERE)
        client.config(name, manifest)
    stored = [one for one in registry.seen if one.path.startswith("/store/")]
    assert stored
    assert {one.host for one in stored} == {"localhost:5000"}
    assert {one.authorization for one in stored} == {""}
    basic = [one.path for one in registry.seen if one.authorization.startswith("Basic ")]
    assert basic
    assert all(path.startswith("/proxy_auth?") for path in basic)


def test_what_is_wrong_is_said_in_one_line(registry: Registry) -> None:
    wrong = RegistryLogin(USER, Secret("nvapi-wrong"))
    with Client(registry.plain, wrong) as client, pytest.raises(errors.LoginRefused):
        client.check_login()
    with Client(registry.plain) as client:
        for tag in ("nvidia/pytorch:none", "nvidia/none:1", f"nvidia/pytorch@sha256:{'0' * 64}"):
            with pytest.raises(errors.ImageUnknown):
                client.image(at(registry, tag), HERE)
        with pytest.raises(errors.ImageUnknown) as caught:
            client.image(at(registry, contents.FOREIGN), Platform("amd64"))
        assert "linux/arm64" in caught.value.hint
        both = client.manifest(at(registry, images.LAB2.tag), images.LAB2.tag.rpartition(":")[2])
        assert isinstance(both, Index)
        registry.faults.status = 503
        with pytest.raises(errors.RegistryFailed):
            client.image(at(registry, images.LAB4.tag), HERE)
    for closed in ("127.0.0.1:1", "localhost:1"):
        with Client(closed) as client, pytest.raises(errors.RegistryUnreachable) as unreached:
            client.check_login()
        assert "\n" not in unreached.value.message
