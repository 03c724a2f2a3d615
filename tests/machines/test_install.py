"""Packages in a container of a box without internet; the laptop's index is a folder of wheels."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import LAB4, did, on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.laptop import Done, Laptop
    from tests.rig.box import Box

NATIVE = "cp311-cp311-manylinux_2_17_x86_64"


def wheel(folder: Path, name: str, requires: str = "", tag: str = "py3-none-any") -> None:
    """A package that has its own name in it; whether it is native shows in its tag alone."""
    info = f"{name}-1.0.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    texts = {
        f"{name}.py": f"me = {tag!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "".join(f"{file},,\n" for file in (f"{name}.py", f"{info}/METADATA")),
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as file:
        for path, text in texts.items():
            file.writestr(path, text)


@pytest.fixture
def index(laptop: Laptop) -> Mapping[str, str]:
    """The laptop's index, as pip's own settings name it."""
    folder = laptop.home / "index"
    folder.mkdir()
    wheel(folder, "mine", requires="native")
    for tag in (NATIVE, "cp311-cp311-win_amd64", "cp312-cp312-manylinux_2_17_x86_64"):
        wheel(folder, "native", tag=tag)
    (folder / "onlysource-1.0.tar.gz").write_bytes(b"")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def install(laptop: Laptop, index: Mapping[str, str], *args: str) -> Done:
    return laptop.run(*on(laptop, "install", "gpu-box", *args), environment=dict(index))


def test_a_closed_box_gets_what_it_lacks_from_the_laptop_and_nothing_stays_behind(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    box.docker("run", "-d", "--init", "--name", "mine", "-u", "1000:1000", "-e", "HOME=/tmp/alice", LAB4, "sleep", "1000")
    (laptop.home / "r.txt").write_text("# what the model needs\nmine>=1  # and its own\n")
    done = install(
        laptop, index, "-r", str(laptop.home / "r.txt"), "jupyterlab", "--container=mine"
    )
    assert done.code == 0, done
    told = done.events[-1]
    assert told["carried"] == ["mine-1.0-py3-none-any.whl", f"native-1.0-{NATIVE}.whl"]
    assert (told["python"], told["index"]) == ("3.11", None)
    imported = "import mine, native; print(native.me)"
    assert box.docker("exec", "mine", "python3", "-c", imported).stdout == f"{NATIVE}\n"
    for name, word in (("onlysource", "source only"), ("native==2", "name right")):
        failed = install(laptop, index, name, "--container=mine")
        assert failed.error["error"] == "WheelsMissing"
        assert word in failed.error["hint"]
    assert "remotenb-wheels" not in box.docker("exec", "mine", "ls", "/tmp").stdout


def test_what_pip_over_there_says_is_shown_when_it_fails(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    readonly = ("--read-only", "--tmpfs=/tmp", "--label=remotenb.user=alice")
    box.docker("run", "-d", "--init", "--name", "mine", *readonly, LAB4, "sleep", "1000")
    failed = install(laptop, index, "mine")
    assert failed.error["error"] == "InstallFailed"
    assert "Read-only" in failed.error["detail"]
    assert "remotenb-wheels" not in box.docker("exec", "mine", "ls", "/tmp").stdout


def test_a_box_with_an_index_of_its_own_is_left_to_it(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    box.run(["mkdir", "-p", "/srv/index"])
    serve = "cd /srv/index && exec python3 -m http.server 8099 --bind 127.0.0.1"
    box.run(["sh", "-c", f"mkdir -p /srv/index/pip && ({serve}) >/dev/null 2>&1 &"])
    address = "--env=PIP_INDEX_URL=http://127.0.0.1:8099"
    start = ("run", "-d", "--init", "--name", "mine", "--net=host", address)
    box.docker(*start, "--label=remotenb.user=alice", LAB4, "sleep", "1000")
    told = did(laptop, "install", "gpu-box", "jupyterlab")
    assert (told["index"], told["carried"]) == ("http://127.0.0.1:8099", None)
    offline = install(laptop, index, "mine", "--offline")
    assert offline.events[-1]["carried"], offline
