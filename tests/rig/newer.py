"""A dockerd that knows containerd's image store, where this Debian's own is too old for it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from . import cache
from .failures import RigError

_SUITE: Final = "trixie"
"""Its docker 26 runs on the libraries of Debian 12 too."""
_SINCE: Final = 24
"""The first major version that has ``features.containerd-snapshotter``."""
_FETCH: Final = """
cd "$1"
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" >sources.list
apt() {
    apt-get -qq -o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null \\
        -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User=root "$@"
}
apt update && apt download docker.io
dpkg-deb --fsys-tarfile docker.io_*.deb | tar -x ./usr/sbin/dockerd
rm -rf lists cache sources.list docker.io_*.deb
"""


def dockerd() -> Path | None:
    """The program: this machine's own where that is new enough, else what was fetched."""
    own = shutil.which("dockerd")
    program = Path(own) if own and _major(own) >= _SINCE else _folder() / "usr/sbin/dockerd"
    return program if program.exists() else None


def prepare() -> None:
    """Fetch it, once; the machines' own networks have no way out."""
    with cache.lock(f"dockerd-{_SUITE}", seconds=300):
        if dockerd() is None:
            _fetch(_folder())


def _folder() -> Path:
    return cache.directory(f"dockerd-{_SUITE}")


def _fetch(folder: Path) -> None:
    done = subprocess.run(
        ["sh", "-ec", _FETCH, "sh", str(folder), _SUITE],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        message = f"no docker of Debian {_SUITE} is to be had: {done.stderr or done.stdout}"
        raise RigError(message)


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    number = said.partition("version ")[2].partition(".")[0]
    return int(number) if number.isdigit() else 0
