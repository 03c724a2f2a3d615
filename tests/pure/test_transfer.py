"""An image in archives and in parts: what is written is read again, and cuts lose nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import ArchiveUnusable
from remotenb.transfer.archive import (
    Contents,
    Layer,
    chosen,
    entries,
    partial_config,
    unlike,
    written,
)
from remotenb.transfer.blocks import Pace, Ranges, packed
from remotenb.transfer.index import Index
from remotenb.transfer.parts import arrived, batches, held, part_name

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOBS = (b"low" * 700, b"high" * 900)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


IDS = [digest(blob) for blob in BLOBS]
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["SECRET=1"]},
        "rootfs": {"type": "layers", "diff_ids": IDS},
    }
).encode()
LAYERS = tuple(
    Layer(number, diff_id, len(blob), diff_id)
    for number, (diff_id, blob) in enumerate(zip(IDS, BLOBS, strict=True))
)
IMAGE = Contents("team/work:1", CONFIG, LAYERS)


def joined(present: tuple[Layer, ...] = LAYERS) -> bytes:
    parts = written(CONFIG, IMAGE.ref, present)
    return b"".join(BLOBS[one.number] if isinstance(one, Layer) else one for one in parts)


def index(archive: bytes) -> Index:
    return Index(io.BytesIO(archive), len(archive), "x.tar")


def tar(files: Mapping[str, bytes | str]) -> bytes:
    """An archive; a file whose content is text is a link to that."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def manifest(*layers: str, refs: tuple[str, ...] = ("a:1",)) -> bytes:
    return json.dumps([{"Config": "c", "RepoTags": list(refs), "Layers": list(layers)}]).encode()


def test_what_is_written_is_read_again() -> None:
    archive = joined()
    found = index(archive).contents("team/work:1")
    assert (found.id, found.ref) == (IMAGE.id, IMAGE.ref)
    assert [(one.diff_id, one.size, one.raw) for one in found.layers] == [
        (one.diff_id, one.size, True) for one in LAYERS
    ]
    extent = index(archive).extent(found.layers[1])
    assert archive[extent.begin :][: extent.size] == BLOBS[1]


def test_an_archive_may_lack_layers_that_it_names() -> None:
    with tarfile.open(fileobj=io.BytesIO(joined(LAYERS[1:]))) as archive:
        names = archive.getnames()
        told = archive.extractfile("manifest.json")
        assert told is not None
        (entry,) = entries(told.read())
    assert [name for name in names if name.endswith("/layer.tar")] == [entry.layers[1]]
    assert len(entry.layers) == 2


def test_what_only_holds_layers_has_nothing_else_of_the_image() -> None:
    members = json.loads(partial_config(CONFIG, 1, "alice"))
    assert members["config"] == {"Labels": {"remotenb.partial": "alice"}}
    assert members["rootfs"]["diff_ids"] == IDS[:1]


@given(st.integers(0, len(joined()) - 2 * tarfile.BLOCKSIZE - 1))
def test_an_archive_that_was_cut_off_is_refused(size: int) -> None:
    with pytest.raises(ArchiveUnusable):
        index(joined()[:size]).contents("")


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (b"", "no tar"),
        (b"\0" * 4096, "no manifest"),
        (b"GIF89a" * 999, "no tar"),
        (tar({"etc": b"x"}), "docker export"),
        (tar({"manifest.json": b"{"}), "no JSON"),
        (tar({"manifest.json": b"[1]"}), "no image"),
        (tar({"manifest.json": manifest("l"), "c": CONFIG}), "other layers"),
        (tar({"manifest.json": manifest("l", "m"), "c": CONFIG}), "l is missing"),
        (tar({"manifest.json": manifest("l", "m"), "c": b"{}"}), "names no layers"),
        (tar({"manifest.json": manifest("l"), "c": "../../etc/passwd"}), "c is missing"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(archive: bytes, why: str) -> None:
    with pytest.raises(ArchiveUnusable) as failure:
        index(archive).contents("")
    assert why in f"{failure.value.message} {failure.value.hint}"


def test_a_layer_that_older_dockers_link_to_is_found_and_a_packed_one_is_known() -> None:
    packed_one = b"\x1f\x8b" + b"?" * 99
    config = json.dumps({"rootfs": {"diff_ids": [IDS[0], IDS[0], IDS[1]]}}).encode()
    named = manifest("x/layer.tar", "y/layer.tar", "z")
    layers: dict[str, bytes | str] = {
        "x/layer.tar": BLOBS[0],
        "y/layer.tar": "../x/layer.tar",
        "z": packed_one,
    }
    found = index(tar(layers | {"c": config, "manifest.json": named})).contents("a:1")
    assert [(one.size, one.raw) for one in found.layers] == [
        (2100, True),
        (2100, True),
        (101, False),
    ]
    assert len({one.key for one in found.layers}) == 3


def test_an_image_is_chosen_by_the_name_that_is_meant() -> None:
    two = (*entries(manifest(refs=("docker.io/library/a:1",))), *entries(manifest(refs=("b:1",))))
    assert chosen(two, "a:1", "x") is two[0]
    for wanted in ("", "c:1"):
        with pytest.raises(ArchiveUnusable) as failure:
            chosen(two, wanted, "x.tar")
        assert "b:1" in failure.value.hint


def test_layers_count_as_held_only_with_the_same_ones_below() -> None:
    images = [("a", "b"), ("a", "x", "c"), ("b", "c")]
    assert held(images, ("a", "b", "c")) == 2
    assert held(images, ("c",)) == 0
    assert held([], ("a",)) == 0


@given(st.lists(st.integers(1, 50)), st.integers(1, 100))
def test_batches_keep_the_order_and_are_no_smaller_than_told(sizes: list[int], least: int) -> None:
    layers = [replace(LAYERS[0], number=n, size=size) for n, size in enumerate(sizes)]
    groups = batches(layers, least)
    assert [one for group in groups for one in group] == layers
    assert all(sum(one.size for one in group) >= least for group in groups[:-1])


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=8))
def test_no_schedule_of_cuts_and_of_writers_that_come_late_mixes_up_a_layer(
    attempts: list[tuple[int, int]],
) -> None:
    """Each attempt writes so much before its link breaks, and so much when nobody waits for it."""
    blob, layer = BLOBS[1], LAYERS[1]
    files: dict[str, bytes] = {"remains": b"?", f"{LAYERS[0].key}.000000.0": BLOBS[0]}
    late: list[tuple[str, int, int]] = []

    def there() -> bytes:
        pieces = arrived(((name, len(data)) for name, data in files.items()), layer).pieces
        return b"".join(files[piece.name][: piece.count] for piece in pieces)

    for now, later in attempts:
        known = arrived(((name, len(data)) for name, data in files.items()), layer)
        name = part_name(layer, known.following, known.size)
        assert name not in files
        files[name] = blob[known.size : known.size + now]
        for other, begin, end in late:
            files[other] = blob[begin:end]
        late = [(name, known.size, known.size + now + later)]
        assert blob.startswith(there())
    for other, begin, end in late:
        files[other] = blob[begin:end]
    assert blob.startswith(there())


def test_a_part_behind_a_hole_does_not_count() -> None:
    files = [(part_name(LAYERS[0], 0, 0), 100), (part_name(LAYERS[0], 1, 500), 100)]
    assert arrived(files, LAYERS[0]).size == 100
    assert arrived(files, LAYERS[0]).following == 2


def blocks_at(rate: float, count: int = 16, start: float = 0.0) -> list[tuple[float, int]]:
    """Of 1 MB, so many bytes a second, once the other end has begun."""
    return [(start * (number > 2) + number * 1e6 / rate, 10**6) for number in range(count)]


def test_a_rate_is_measured_without_the_start_of_the_other_end_and_not_of_what_is_small() -> None:
    pace = Pace()
    pace.took(blocks_at(100e6, start=0.5), packed=False)
    assert not pace.packs
    pace.took(blocks_at(1e6, count=4), packed=False)
    assert not pace.packs
    pace.took(blocks_at(1e6), packed=False)
    assert pace.packs


@pytest.mark.parametrize(
    ("plain", "with_gzip", "packs"), [(100e6, 0, False), (10e6, 25e6, True), (40e6, 30e6, False)]
)
def test_packing_is_tried_on_a_slow_link_alone_and_kept_if_it_is_faster(
    plain: float, with_gzip: float, *, packs: bool
) -> None:
    pace = Pace()
    first = pace.range(packable=True)
    pace.took(blocks_at(plain), packed=False)
    if with_gzip:
        assert pace.packs
        assert pace.range(packable=True) == first < pace.range(packable=False)
        pace.took(blocks_at(with_gzip), packed=True)
    assert pace.packs is packs
    assert pace.range(packable=True) > first


@given(st.lists(st.binary(min_size=1)), st.lists(st.integers(0, 40)))
def test_ranges_lose_no_byte(blocks: list[bytes], sizes: list[int]) -> None:
    ranges, seen = Ranges(iter(blocks)), bytearray()
    taken = [b"".join(ranges.take(size, seen.extend)) for size in sizes]
    whole = b"".join(blocks)
    assert b"".join(taken) == bytes(seen) == whole[: sum(sizes)]


def test_packed_blocks_are_gzips() -> None:
    assert gzip.decompress(b"".join(packed(iter(BLOBS)))) == b"".join(BLOBS)


def blobs(*contents: bytes) -> dict[str, bytes | str]:
    return {f"blobs/{digest(one).replace(':', '/')}": one for one in contents}


def described(content: bytes, **more: object) -> dict[str, object]:
    return {"digest": digest(content), "size": len(content), **more}


OCI = json.dumps(
    {
        "schemaVersion": 2,
        "config": described(CONFIG),
        "layers": [described(blob) for blob in BLOBS],
    }
).encode()
ATTESTATION = json.dumps({"schemaVersion": 2, "config": described(b"{}"), "layers": []}).encode()
INDEX = json.dumps(
    {
        "manifests": [
            described(OCI, platform={"os": "linux", "architecture": "amd64"}),
            described(b"absent", platform={"os": "linux", "architecture": "arm64"}),
            described(ATTESTATION, platform={"os": "unknown", "architecture": "unknown"}),
        ]
    }
).encode()
REF_NAME = "org.opencontainers.image.ref.name"


def oci(top: bytes, *more: bytes, **annotations: str) -> bytes:
    """An archive as OCI lays it out, whose index names ``top``."""
    listed = {"manifests": [described(top, annotations=annotations)]}
    files = {"index.json": json.dumps(listed).encode(), "oci-layout": b"{}"}
    return tar({**files, **blobs(top, CONFIG, *BLOBS, *more)})


@pytest.mark.parametrize("archive", [oci(OCI), oci(INDEX, OCI, ATTESTATION)])
def test_an_image_that_lies_as_oci_has_it_is_the_same_image(archive: bytes) -> None:
    found = index(archive).contents("")
    assert (found.id, found.ref) == (IMAGE.id, "")
    assert [(one.diff_id, one.digest, one.size) for one in found.layers] == [
        (one.diff_id, one.digest, one.size) for one in LAYERS
    ]


@pytest.mark.parametrize(
    ("annotations", "refs"),
    [
        ({REF_NAME: "localhost/team/work:1"}, ("localhost/team/work:1",)),
        ({REF_NAME: "1"}, ()),
        ({REF_NAME: "1", "io.containerd.image.name": "a.io/b:1"}, ("a.io/b:1",)),
        ({}, ()),
    ],
)
def test_an_oci_image_is_named_by_its_annotations_and_a_tag_alone_is_no_name(
    annotations: dict[str, str], refs: tuple[str, ...]
) -> None:
    (entry,) = index(oci(OCI, **annotations)).images
    assert entry.refs == refs


BOTH = INDEX.replace(digest(b"absent").encode(), digest(ATTESTATION).encode())


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (oci(BOTH, OCI, ATTESTATION), "several processors"),
        (oci(INDEX, ATTESTATION), "an image that is not in it"),
        (oci(b"{}"), "makes no sense"),
        (tar({"index.json": b"[]"}), "describes no image"),
        (tar({"index.json": b'{"manifests": [{}]}'}), "describes no image"),
        (oci(OCI).replace(b'"SECRET=1"', b'"SECRET=2"'), "not what its name says"),
        (oci(OCI).replace(digest(BLOBS[1])[7:].encode(), b"0" * 64, 1), "not what its name says"),
    ],
)
def test_an_oci_layout_that_is_no_image_is_refused_with_a_reason(archive: bytes, why: str) -> None:
    with pytest.raises(ArchiveUnusable) as failure:
        index(archive).contents("")
    assert why in failure.value.message


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists), st.data())
def test_whatever_an_index_says_it_is_read_or_refused(value: object, data: st.DataObject) -> None:
    members = data.draw(st.dictionaries(st.sampled_from(["digest", "annotations"]), st.just(value)))
    for told in (value, {"manifests": value}, {"manifests": [members]}):
        try:
            index(tar({"index.json": json.dumps(told).encode()}))
        except ArchiveUnusable:
            continue


SHOWN = {"Env": ["SECRET=1"], "Cmd": None}


@pytest.mark.parametrize(
    ("layers", "config", "alike"),
    [
        (tuple(IDS), SHOWN, True),
        (tuple(IDS), {**SHOWN, "Labels": {}}, True),
        (tuple(IDS[:1]), SHOWN, False),
        (tuple(IDS), {**SHOWN, "User": "root"}, False),
        (tuple(IDS), {**SHOWN, "Env": ["SECRET=2"]}, False),
        (tuple(IDS), {**SHOWN, "Labels": {"a": "b"}}, False),
    ],
)
def test_where_an_id_tells_nothing_images_are_held_against_each_other_by_what_is_in_them(
    layers: tuple[str, ...], config: dict[str, object], *, alike: bool
) -> None:
    assert IMAGE.like(layers, config) is alike


def test_an_environment_in_another_order_is_the_same() -> None:
    base = {"Env": ["A=1", "B=2"], "Cmd": ["sh", "-l"], "User": ""}
    assert unlike(base, {"Env": ["B=2", "A=1"], "Cmd": ["sh", "-l"]}) == []
    assert unlike(base, {"Env": ["A=1"], "Cmd": ["-l", "sh"], "User": "0"}) == [
        "Cmd",
        "Env",
        "User",
    ]
