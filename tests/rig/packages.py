"""What the rig needs of the machine it runs on: look for it, and install it.

Standard library only and no relative imports, so that a bare `python tests/rig/packages.py`
works before anything else does.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# Debian package -> one file or command that shows it is there.
PACKAGES: Final = {
    "autossh": "autossh",
    "busybox-static": "/bin/busybox",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
    "chromium": "chromium",
    "crun": "crun",
    "dbus-daemon": "dbus-run-session",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "debootstrap": "debootstrap",
    "docker.io": "dockerd",
    "docker-registry": "docker-registry",
    "fish": "fish",
    "gnome-keyring": "gnome-keyring-daemon",
    "iproute2": "ip",
    "iptables": "iptables-restore",
    "libpam-google-authenticator": "google-authenticator",
    "openssh-client": "ssh-keygen",
    "openssh-server": "sshd",
    "openssl": "openssl",
    "podman": "podman",
    "procps": "ps",
    "slirp4netns": "slirp4netns",
    "softhsm2": "softhsm2-util",
    "putty-tools": "puttygen",
    "sudo": "sudo",
    "tcsh": "tcsh",
    "tmux": "tmux",
    "uidmap": "newuidmap",
    "util-linux": "nsenter",
    "zsh": "zsh",
}
# The same for the laptop with Windows, which tests/windows makes of Wine.
WINE: Final = {
    "gcc-mingw-w64-x86-64-win32": "x86_64-w64-mingw32-gcc",
    "wine": "wine",
    "wine64": "/usr/lib/wine/wine64",
}
# Newer Debian and Ubuntu have the client and docker-init in packages of their own; the rig
# uses whatever is on PATH, so a docker from elsewhere will do as well.
COMMANDS: Final = ("docker", "docker-init", "setpriv", "unshare", "ss")
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing(wanted: Mapping[str, str] = PACKAGES) -> list[str]:
    """Say what this machine lacks, a phrase each; an empty list means that the rig can run."""
    return [*_unfit(), *(f"package {name}" for name in _absent(wanted)), *_no_commands()]


def install(wanted: Mapping[str, str] = PACKAGES) -> None:
    """Install the packages that are not here, on Debian or Ubuntu as root."""
    names = _absent(wanted)
    if not names:
        print("rig: every package is here")
        return
    unfit = [*_unfit(), *([] if shutil.which("apt-get") else ["apt-get"])]
    if unfit:
        print(f"rig: no real machines here (lacks {', '.join(unfit)}); their tests are skipped")
        return
    print("rig: installing " + " ".join(names), flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", *names]):
        done = subprocess.run(
            ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *step],
            env=quiet,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"rig: apt-get {step[0]} failed:\n{done.stdout}{done.stderr}")


def _unfit() -> list[str]:
    lacks = ["Linux"]
    if sys.platform == "linux":
        lacks = [] if os.geteuid() == 0 else ["root"]
    return lacks


def _absent(wanted: Mapping[str, str]) -> list[str]:
    return [name for name, sign in wanted.items() if not _here(sign)]


def _no_commands() -> list[str]:
    return [f"command {name}" for name in COMMANDS if not _here(name)]


def _here(sign: str) -> bool:
    if sign.startswith("/"):
        return Path(sign).exists()
    return shutil.which(sign, path=SYSTEM_PATH) is not None


if __name__ == "__main__":
    if "--missing" in sys.argv:
        print("\n".join(missing()))
    else:
        install()
