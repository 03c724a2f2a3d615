"""The zipped folder for a Windows that has neither Python nor internet."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from remotenb import __version__
from tests.machines.conftest import LAB4
from tests.windows import bundle, python, wine
from tests.windows.laptop import WindowsLaptop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, unpacked; and in it the library that Wine lacks."""
    place = tmp_path_factory.mktemp("a folder with spaces")
    with zipfile.ZipFile(bundle.build(place, wine.python_folder(python.BUNDLE))) as archive:
        archive.extractall(place)
    unpacked = place / bundle.NAME
    wine.give_stub(unpacked / "python")
    return unpacked


class Bundled(WindowsLaptop):
    """A laptop with the bundle alone: no other Python, no module of the tree's."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing leads to the tree."""
        return {**self.wine.environment, "PYTHONPATH": ""}

    def argv(self, *args: str) -> list[str]:
        """By its own program."""
        return self.wine.command(str(self.folder / "remotenb.exe"), *args)


def test_it_starts_by_both_its_ways_and_goes_to_the_box(
    laptop: WindowsLaptop, folder: Path
) -> None:
    bundled = Bundled(laptop.home, laptop.ssh_config, wine=laptop.wine)
    bundled.folder = folder
    assert bundled.run("--version").out.strip() == f"remotenb {__version__}"
    by_cmd = laptop.wine.command("cmd", "/c", str(folder / "remotenb.cmd"), "--version")
    said = subprocess.run(
        by_cmd, check=True, capture_output=True, input=b"", env=bundled.environment, timeout=60
    )
    assert said.stdout.decode().strip() == f"remotenb {__version__}"
    with bundled.connected("gpu-box", "--image", LAB4, "--gpus", "none") as session:
        assert session.ready["relay"] is True
        # Linux' signal would reach its program alone, which waits for Python's to be heard
        assert bundled.run("disconnect", "--all").code == 0
        assert session.process.wait(10) == 0
    done = bundled.run("connect", "gpu-box", "-d", "--json", "--no-browser")
    assert done.events[-1]["reused"] is True
    assert len(bundled.run("status", "--json").table) == 1
    assert bundled.run("disconnect", "--all").code == 0


def test_the_same_tree_gives_the_same_zip(folder: Path, tmp_path: Path) -> None:
    again = bundle.build(tmp_path, wine.python_folder(python.BUNDLE))
    first = folder.parent / f"{bundle.NAME}.zip"
    assert again.read_bytes() == first.read_bytes()
