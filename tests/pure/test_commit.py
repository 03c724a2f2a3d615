"""What a commit takes, what stays behind, and the archive that gives an image its configuration."""

from __future__ import annotations

import io
import json
import re
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.engines import layerless
from remotenb.errors import DiskFull
from remotenb.images.commit import PRIVATE, Folder, check_room, parse


@pytest.mark.parametrize(
    "path",
    [
        "/root/.bash_history",
        "/home/alice/.python_history",
        "/home/alice/.ssh/id_ed25519",
        "/home/alice/.cache/pip/http/a",
        "/home/alice/.cache/huggingface/token",
        "/home/alice/.ipython/profile_default/history.sqlite-journal",
        "/home/alice/.local/share/jupyter/runtime/jpserver-1.json",
        "/home/alice/.jupyter/jupyter_server_config.json",
        "/run/remotenb/token",
        "/tmp/x",
        "/etc/resolv.conf",
    ],
)
def test_what_is_private_or_of_one_run_stays_behind(path: str) -> None:
    assert re.search(PRIVATE, path)


@pytest.mark.parametrize(
    "path",
    [
        "/home/alice/.local/lib/python3.12/site-packages/x.py",
        "/home/alice/.local/bin/tool",
        "/home/alice/.cache/torch/hub/model.pt",
        "/home/alice/.cache/huggingface/hub/model",
        "/usr/local/lib/python3.12/dist-packages/ssh/.ssh/x",
        "/opt/history",
        "/etc/passwd",
        "/runs/1",
        "/workspace/.bash_history.md",
        "/home/alice/.sshx",
    ],
)
def test_what_was_installed_goes_in(path: str) -> None:
    assert not re.search(PRIVATE, path)


def test_the_records_of_the_machine_are_read() -> None:
    said = (
        "size\t500\nbase\tsha256:b\nmount\t/data\nfree\t1000\nbehind\t/tmp\n"
        "deleted\t2\nfolder\t/a\t1\t10\nfolder\t/b\t2\t20\nnonsense\n"
    )
    changes = parse(said)
    assert changes.folders == (Folder("/b", 2, 20), Folder("/a", 1, 10))
    assert (changes.size, changes.free, changes.base) == (500, 1000, "sha256:b")
    assert (changes.deleted, changes.left_out, changes.mounts) == (2, ("/tmp",), ("/data",))


@given(st.text(st.sampled_from("size\tfree\tfolder0123456789\n-²\x1b[x")))
def test_no_answer_of_the_machine_is_a_traceback(said: str) -> None:
    parse(said)


def test_a_disk_that_would_be_filled_is_said_before_anything_is_done() -> None:
    check_room(parse(f"size\t{1 << 30}\nfree\t{4 << 30}"), "gpu-box")
    check_room(parse(f"size\t{1 << 30}"), "gpu-box")  # it may not tell
    with pytest.raises(DiskFull, match="needs 3136 MiB for a moment, and 2048 MiB are free"):
        check_room(parse(f"size\t{1 << 30}\nfree\t{2 << 30}"), "gpu-box")


def test_the_archive_has_the_bases_configuration_and_names_layers_that_are_not_in_it() -> None:
    shown = {"Created": "2026-01-01T00:00:00Z", "Architecture": "amd64", "Os": "linux"}
    config = {"Entrypoint": ["/e"], "Cmd": None, "Env": ["A=1"], "Labels": {"x": "y"}}
    base = {**shown, "Config": config, "RootFS": {"Layers": ["sha256:1"]}}
    made = {**shown, "Config": {}, "RootFS": {"Layers": ["sha256:1", "sha256:2"]}}
    exact = layerless.configuration(base, made, labels={"b": "c"}, comment="base:1")
    with tarfile.open(fileobj=io.BytesIO(layerless.archive(exact, "a/b:1"))) as tar:
        files = {one.name: tar.extractfile(one) for one in tar}
        read = {name: json.load(stream) for name, stream in files.items() if stream}
    (manifest,) = read["manifest.json"]
    assert manifest["RepoTags"] == ["a/b:1"]
    assert manifest["Layers"] == ["1/layer.tar", "2/layer.tar"]
    image = read[manifest["Config"]]
    assert image["config"] == {**config, "Labels": {"x": "y", "b": "c"}}
    assert image["rootfs"]["diff_ids"] == ["sha256:1", "sha256:2"]
    assert len(image["history"]) == 2
    assert manifest["Config"] == f"{layerless.image_id(exact)}.json"
