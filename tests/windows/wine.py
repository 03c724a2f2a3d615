"""Wine: a prefix (Windows' drive C: and registry) and a Python in it, made once and kept.

Wine's server opens the sockets of all that runs in a prefix, so that each prefix belongs to one
run at a time, and is let go when the run ends.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.rig import cache, packages
from tests.windows import python

WINE: Final = "/usr/lib/wine/wine64"
"""Not the script of that name, which warns of a missing 32-bit Wine each time."""
STUB: Final = python.HERE / "bcryptprimitives.c"
USER: Final = "root"
TOP: Final = python.HERE.parents[1]

_TURN_S: Final = 60.0
_BUILD_S: Final = 600.0


@dataclass(frozen=True)
class Wine:
    """One prefix, and the Python that runs in it."""

    prefix: Path
    python: Path

    @property
    def home(self) -> Path:
        """What is ``~`` there, as it is seen from here."""
        return self.prefix / "drive_c" / "users" / USER

    @property
    def environment(self) -> dict[str, str]:
        """What Wine needs, and nothing of the developer's own."""
        return {
            "HOME": str(self.prefix),
            "LANG": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": windows_path(TOP),
            "USER": USER,
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
            "WINEPREFIX": str(self.prefix),
            "XDG_RUNTIME_DIR": str(self.prefix),
        }

    def argv(self, *args: str) -> list[str]:
        """Python for Windows with these arguments."""
        return self.command(str(self.python / "python.exe"), *args)

    def command(self, program: str, *args: str) -> list[str]:
        """A program for Windows."""
        return [WINE, program, *args]

    def run(
        self, *argv: str, timeout: float = 60, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Python with these arguments, to its end; its streams are pipes, as Wine 8 needs them."""
        return subprocess.run(
            self.argv(*argv),
            check=False,
            capture_output=True,
            input=b"",
            timeout=timeout,
            env={**self.environment, **(environment or {})},
        )

    def forget_the_user(self) -> None:
        """No settings, sessions and keys of remotenb's or ssh's any more."""
        for folder in (".ssh", "AppData/Local/remotenb", "AppData/Roaming/remotenb"):
            shutil.rmtree(self.home / folder, ignore_errors=True)

    def close(self) -> None:
        """End everything that runs in the prefix."""
        for option in ("-k", "-w"):
            subprocess.run(["wineserver", option], check=False, env=self.environment, timeout=30)


def windows_path(path: Path | str) -> str:
    """A path of this machine as Windows' programs see it: their drive Z: is its root."""
    return "Z:" + str(path).replace("/", "\\")


def python_folder(requirements: Path = python.TESTS) -> Path:
    """Python for Windows with ``requirements``; built when the cache has none like it."""
    recipe = cache.recipe(python.EMBEDDED, requirements.read_text(), STUB.read_text())
    place = cache.directory("windows") / f"{requirements.stem}-{recipe}"
    with cache.lock("windows", seconds=_BUILD_S):
        if not place.exists():
            for old in place.parent.glob(f"*{requirements.stem}-*"):
                shutil.rmtree(old)
            draft = place.with_name(f".{place.name}")
            python.install(draft, requirements)
            draft.rename(place)
    return place


@contextmanager
def opened() -> Iterator[Wine]:
    """A prefix that is nobody else's meanwhile."""
    folder = python_folder()
    for_tests(folder)
    with cache.slot("wine-prefix", seconds=_TURN_S) as prefix:
        wine = Wine(prefix, folder)
        wine.close()  # what a run that was killed left, in a network that is gone
        if not (prefix / "made").exists():
            _make(wine)
        wine.forget_the_user()
        try:
            yield wine
        finally:
            wine.close()


def for_tests(folder: Path) -> None:
    """Let PYTHONPATH lead to the tree, and give it what Wine lacks."""
    (folder / python.PATH_FILE).unlink(missing_ok=True)
    give_stub(folder)


def give_stub(folder: Path) -> None:
    """Put the library that Wine lacks beside a Python."""
    library = folder / "bcryptprimitives.dll"
    if not library.exists():
        options = ("-O2", "-s", "-shared", "-o", str(library), str(STUB), "-ladvapi32")
        subprocess.run(["x86_64-w64-mingw32-gcc", *options], check=True)


def _make(wine: Wine) -> None:
    shutil.rmtree(wine.prefix)
    wine.prefix.mkdir(mode=0o700)
    version = ("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    for argv in (("wineboot", "-i"), version):
        done = subprocess.run(
            wine.command(*argv),
            check=False,
            env=wine.environment,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done
    wine.close()
    (wine.prefix / "made").touch()


def missing() -> list[str]:
    """What this machine lacks for it."""
    return packages.missing(packages.WINE)
