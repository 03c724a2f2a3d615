"""What a registry says, read as if it were hostile."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import RegistryFailed
from remotenb.registry import challenge
from remotenb.registry.challenge import Basic, Bearer
from remotenb.registry.manifests import (
    LISTS,
    MANIFESTS,
    Index,
    Manifest,
    Platform,
    parse,
    parse_config,
)

DIGEST = "sha256:" + "ab" * 32
BLOB = {"digest": DIGEST, "size": 7, "mediaType": "x"}


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (['Bearer realm="https://a/t"'], Bearer("https://a/t")),
        (
            ['bearer realm="https://a/t",service="s, x",scope="repository:a/b:pull,push"'],
            Bearer("https://a/t", "s, x", "repository:a/b:pull,push"),
        ),
        (['Bearer error="x" , realm=https://a/t ,service="a\\"b"'], Bearer("https://a/t", 'a"b')),
        (['Basic realm="r"', 'Bearer realm="https://a"'], Bearer("https://a")),
        (['Basic realm="r"'], Basic()),
        (["Bearer"], None),
        (["Negotiate"], None),
        ([], None),
    ],
)
def test_a_challenge_is_understood(headers: list[str], wanted: challenge.Challenge) -> None:
    assert challenge.parse(headers) == wanted


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_challenge_is_too_odd(headers: list[str]) -> None:
    challenge.parse(headers)
    challenge.parse([f"Bearer {header}" for header in headers])


def listed(*platforms: dict[str, str]) -> bytes:
    entries = [
        {**BLOB, "digest": f"sha256:{number:064x}", "platform": platform}
        for number, platform in enumerate(platforms)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": LISTS[0], "manifests": entries}).encode()


@pytest.mark.parametrize(
    ("platform", "number"),
    [
        (Platform("amd64"), 1),
        (Platform("arm64"), 2),
        (Platform("arm", variant="v7"), 4),
        (Platform("arm", variant="v6"), 3),
        (Platform("riscv64"), None),
        (Platform.of_machine("aarch64"), 2),
    ],
)
def test_the_machines_own_image_is_chosen_from_a_list(
    platform: Platform, number: int | None
) -> None:
    found = parse(
        listed(
            {"os": "windows", "architecture": "amd64"},
            {"os": "linux", "architecture": "amd64"},
            {"os": "linux", "architecture": "arm64", "variant": "v8"},
            {"os": "linux", "architecture": "arm", "variant": "v6"},
            {"os": "linux", "architecture": "arm", "variant": "v7"},
            {"os": "unknown", "architecture": "unknown"},
        ),
        "",
        DIGEST,
    )
    assert isinstance(found, Index)
    chosen = found.choose(platform)
    assert (int(chosen.digest[7:], 16) if chosen else None) == number


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_is_the_image_and_what_it_weighs(kind: str) -> None:
    raw = json.dumps({"schemaVersion": 2, "config": BLOB, "layers": [BLOB, BLOB]}).encode()
    found = parse(raw, f"{kind}; charset=utf-8", DIGEST)
    assert isinstance(found, Manifest)
    assert (found.config.digest, len(found.layers), found.size) == (DIGEST, 2, 21)
    assert found.media_type == kind


SENSELESS = (
    b"",
    b"[]",
    b"{",
    b"[" * 100_000,
    b'{"schemaVersion": 1}',
    b'{"schemaVersion": 2}',
    json.dumps({"schemaVersion": 2, "config": BLOB, "layers": "abc"}).encode(),
    json.dumps({"schemaVersion": 2, "config": BLOB, "layers": [7]}).encode(),
    json.dumps({"schemaVersion": 2, "config": BLOB, "layers": [BLOB] * 2000}).encode(),
    json.dumps({"schemaVersion": 2, "config": {**BLOB, "size": -1}, "layers": []}).encode(),
    json.dumps({"schemaVersion": 2, "config": {**BLOB, "size": 1e300}, "layers": []}).encode(),
    json.dumps({"schemaVersion": 2, "config": {**BLOB, "size": True}, "layers": []}).encode(),
    json.dumps({"schemaVersion": 2, "config": {**BLOB, "digest": "../x"}, "layers": []}).encode(),
    json.dumps({"mediaType": LISTS[0], "manifests": {"a": 1}}).encode(),
)


@pytest.mark.parametrize("raw", SENSELESS, ids=range(len(SENSELESS)))
def test_a_manifest_that_makes_no_sense_is_one_clear_line(raw: bytes) -> None:
    with pytest.raises(RegistryFailed) as caught:
        parse(raw, MANIFESTS[0], DIGEST)
    assert caught.value.hint


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["config", "layers", "manifests", "platform", "digest", "size", "rootfs"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([*LISTS, *MANIFESTS, ""]))
def test_any_json_is_an_image_or_one_clear_error(value: object, kind: str) -> None:
    raw = json.dumps(value).encode()
    for read in (lambda: parse(raw, kind, DIGEST), lambda: parse_config(raw)):
        with suppress(RegistryFailed):
            read()


def test_a_config_tells_the_platform_and_the_unpacked_layers() -> None:
    raw = json.dumps(
        {"os": "linux", "architecture": "arm64", "variant": "v8", "rootfs": {"diff_ids": [DIGEST]}}
    ).encode()
    assert parse_config(raw) == (Platform("arm64"), (DIGEST,))
