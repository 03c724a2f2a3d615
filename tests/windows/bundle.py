"""`make windows-bundle`: a zipped folder that runs remotenb on a Windows that has nothing of it.

In it: Python, remotenb with all its dependencies, and two ways to start it. ``remotenb.exe`` is
the small program that pip puts before a package's commands; where a company's rules forbid programs
that it did not sign, ``remotenb.cmd`` starts the signed ``python.exe`` itself. The same tree gives
the same zip, to the byte.
"""

import shutil
import subprocess
import sys
import zipfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from remotenb import __version__
from tests.windows import python

TOP: Final = python.HERE.parents[1]
NAME: Final = f"remotenb-{__version__}-windows"
LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip."""

SHEBANG: Final = b"#!<launcher_dir>\\python\\python.exe\r\n"
MAIN: Final = "from remotenb.cli import main\n\nmain()\n"
CMD: Final = '@"%~dp0python\\python.exe" -m remotenb %*\r\n'
README: Final = """\
remotenb for Windows. Nothing needs to be installed.

Put this folder where you like, and say in a terminal (PowerShell, cmd):

    .\\remotenb connect alice@10.0.0.5

To say just remotenb from anywhere, add the folder to your PATH. Where programs
that your company has not signed are forbidden, say .\\remotenb.cmd instead.
"""


def build(into: Path, base: Path | None = None) -> Path:
    """Make the zip in ``into``; ``base`` is a Python with all that we depend on, or fetched."""
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / NAME
        if base is not None:
            shutil.copytree(base, folder / "python")
        else:
            python.install(folder / "python", python.BUNDLE)
        python.add_wheel(_wheel(Path(temporary)), folder / "python")
        (folder / "remotenb.exe").write_bytes(_launcher())
        (folder / "remotenb.cmd").write_bytes(CMD.encode())
        for name, text in (("README.txt", README), ("LICENSE.txt", _text(TOP / "LICENSE"))):
            (folder / name).write_text(text, newline="\r\n")
        return _zipped(folder, into / f"{NAME}.zip")


def _wheel(folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "wheel")
    options = ("--no-deps", "--no-build-isolation", "-w", str(folder / "wheel"), str(TOP))
    subprocess.run([*pip, *options], check=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    return wheel


def _launcher() -> bytes:
    """Distlib's program for the console, what it starts, and with what."""
    script = BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", LONG_AGO), MAIN)
    return files("distlib").joinpath("t64.exe").read_bytes() + SHEBANG + script.getvalue()


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder.parent)), LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return file


if __name__ == "__main__":
    made = build(Path(sys.argv[1]))
    print(f"{made}: {made.stat().st_size / 2**20:.1f} MiB")
