"""NGC-like images out of Debian and PyPI packages: one base layer, and a small one per kind.

No registry can be reached from a test machine, and the real images are 20 GB. These have what
remotenb can see of one: the entry point with its banner, the environment, Python, and the
generation of Jupyter that the tag of that name ships.
"""

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from . import cache
from .failures import RigError

# Jupyter of before 2023 needs the libraries of its time.
_OLD: Final = (
    "notebook==6.5.7",
    "jupyter_client==7.4.9",
    "traitlets==5.9.0",
    "setuptools==69.5.1",
)


@dataclass(frozen=True)
class Kind:
    """One kind of image: its tag, the title in its banner, and what pip installs in it."""

    name: str
    tag: str
    title: str
    requirements: tuple[str, ...]


LAB4: Final = Kind(
    "lab4",
    "nvcr.io/nvidia/pytorch:25.10-py3",
    "PyTorch",
    ("jupyterlab==4.6.6", "notebook==7.6.5", "jupyter_server==2.21.1", "ipykernel==7.4.0"),
)
LAB2: Final = Kind(
    "lab2", "nvcr.io/nvidia/pytorch:23.07-py3", "PyTorch", ("jupyterlab==2.3.2", *_OLD)
)
CLASSIC: Final = Kind("classic", "nvcr.io/nvidia/tensorflow:20.10-tf2-py3", "TensorFlow", _OLD)
BARE: Final = Kind("bare", "nvcr.io/nvidia/cuda:12.4.0-base", "CUDA", ())
KINDS: Final = (LAB4, LAB2, CLASSIC, BARE)
BUSYBOX: Final = "busybox:1"


@dataclass(frozen=True)
class Layer:
    """One layer of an image: its tar, and the digest that docker knows it by."""

    tar: Path
    digest: str


def build() -> dict[str, tuple[Layer, ...]]:
    """Return the layers of every tag, built first where the cache has none."""
    with cache.lock("images", seconds=1800.0):
        base = _base()
        with ThreadPoolExecutor(max_workers=2) as jobs:
            deltas = list(jobs.map(lambda kind: _delta(kind, base.tar.parent), KINDS))
        busybox = _busybox()
        _sweep({layer.tar.parent for layer in (base, busybox, *deltas)})
    layers = {kind.tag: (base, delta) for kind, delta in zip(KINDS, deltas, strict=True)}
    return {**layers, BUSYBOX: (busybox,)}


def _base() -> Layer:
    texts = [_script(name).read_text() for name in ("build_base.sh", "nvidia_entrypoint.sh")]

    def make(place: Path) -> None:
        _shell(_script("build_base.sh"), place)

    return _layer("base", texts, make)


def _delta(kind: Kind, base: Path) -> Layer:
    banner = _banner(kind)

    def make(place: Path) -> None:
        text = place / "banner"
        text.write_text(banner)
        apart = ("unshare", "--mount", "--propagation", "private")
        script = _script("build_kind.sh")
        _shell(*apart, script, base / "root", place, text, *kind.requirements)

    texts = [base.name, banner, _script("build_kind.sh").read_text(), *kind.requirements]
    return _layer(kind.name, texts, make)


def _busybox() -> Layer:
    binary = Path("/bin/busybox")
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()
    return _layer("busybox", [digest], lambda place: _pack_busybox(binary, place / "layer.tar"))


def _pack_busybox(binary: Path, out: Path) -> None:
    listed = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(out, "w") as tar:
        tar.add(binary, "bin/busybox")
        for applet in listed.stdout.split():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if applet != "busybox":
                tar.addfile(link)
        for name, mode in (("tmp", 0o1777), ("root", 0o700), ("etc", 0o755)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("etc/hostname"), BytesIO())


def _layer(name: str, recipe: Sequence[str], make: Callable[[Path], None]) -> Layer:
    """Take a layer from the cache, or make it aside and move it there in one step."""
    place = cache.directory("images") / f"{name}-{cache.recipe(*recipe)}"
    if not place.exists():
        partial = place.with_name(f".{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        make(partial)
        with (partial / "layer.tar").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        (partial / "digest").write_text(digest)
        partial.rename(place)
    return Layer(place / "layer.tar", (place / "digest").read_text())


def _sweep(wanted: set[Path]) -> None:
    """Remove what older recipes and broken builds left."""
    for path in cache.directory("images").iterdir():
        if path not in wanted:
            shutil.rmtree(path)


def _script(name: str) -> Path:
    return cache.SCRIPTS / name


def _shell(*argv: str | Path) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        message = f"building an image failed: {argv}\n{done.stdout}{done.stderr}"
        raise RigError(message)


def _banner(kind: Kind) -> str:
    release = kind.tag.partition(":")[2].partition("-")[0]
    rule = "=" * (len(kind.title) + 6)
    return (
        f"\n{rule}\n== {kind.title} ==\n{rule}\n\n"
        f"NVIDIA Release {release} (a stand-in of the remotenb test rig)\n\n"
        "NOTE: The SHMEM allocation limit is set to the default of 64MB. This may be\n"
        "   insufficient. Use: docker run --gpus all --ipc=host --ulimit memlock=-1 ...\n\n"
    )
