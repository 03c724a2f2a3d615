"""``setup`` on a machine without docker: packages come from a repository on that machine.

No repository can be reached from the rig; Debian's own packages, fetched before, lie in a folder.
NVIDIA's toolkit is a stand-in, made here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.laptop import Laptop
from tests.machines import test_setup
from tests.machines.conftest import LAB4
from tests.rig import cache
from tests.rig.gpus import HOOK, Gpu
from tests.rig.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rig.box import Box

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

assert sys.platform != "win32"  # a terminal of its own

PACKAGES = ("docker.io", "containerd", "runc")
# Docker's start script raises root's limits, which no test machine allows: it is told not to, in
# the file for its settings.
BARE = f"""
dpkg --remove --force-depends {" ".join(PACKAGES)}
rm -rf /usr/local/bin/docker /etc/apt/sources.list /etc/apt/sources.list.d/*
printf '%s' "$1" >/etc/apt/sources.list
printf 'ulimit() {{ :; }}\\n' >/etc/default/docker
printf 'Dpkg::Options {{ "--force-confold"; }};\\n' >/etc/apt/apt.conf.d/rig
apt-get -qq update
"""


TOOLKIT = "nvidia-container-toolkit"
CONTROL = f"""\
Package: {TOOLKIT}
Version: 1.18.0-1
Architecture: all
Maintainer: the remotenb test rig
Description: A STAND-IN of NVIDIA's: the rig's hook, and an nvidia-ctk that names a runtime
"""
CTK = """\
#!/bin/sh
[ "$*" = "runtime configure --runtime=docker" ] || exit 2
printf '{"storage-driver": "overlay2", "runtimes": {"nvidia": {"path": "%s"}}}\\n' \\
    "$(command -v runc)" >/etc/docker/daemon.json
"""


def repository() -> Path:
    """Debian's packages of docker, fetched once, a stand-in of NVIDIA's toolkit, their index."""
    folder = cache.directory("debian-docker")
    if not list(folder.glob("docker.io_*")):
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=folder, check=True)
    tree = folder / TOOLKIT
    hook = (cache.SCRIPTS / HOOK).read_text()
    files = {"DEBIAN/control": CONTROL, "usr/bin/nvidia-ctk": CTK, f"usr/bin/{HOOK}": hook}
    for name, text in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    for argv, out in (
        (["dpkg-deb", "--root-owner-group", "--build", TOOLKIT, f"{TOOLKIT}.deb"], "built"),
        (["dpkg-scanpackages", "."], "Packages"),
    ):
        said = subprocess.run(argv, cwd=folder, check=True, capture_output=True)
        (folder / out).write_bytes(said.stdout)
    return folder


@contextmanager
def bare_machine() -> Iterator[Lab]:
    """Machines of one's own: on the box docker is not installed, but could be; it has a GPU."""
    folder = repository()  # there is no way out of the machines' networks
    with Lab() as lab:
        lab.enter_laptop()
        box = lab.box
        box.dockerd_stop()
        # the box sees the files of this machine
        source = f"deb [trusted=yes] file:{folder} ./\n"
        box.run(["sh", "-ec", BARE, "sh", source], timeout=120)
        box.set_gpus([Gpu(0)])
        box.run(["rm", f"/usr/bin/{HOOK}"])
        box.set_password("alice", test_setup.PASSWORD)
        box.sshd("PasswordAuthentication yes\nAuthorizedKeysFile .ssh/authorized_keys")
        box.write("/etc/sudoers.d/alice", test_setup.SUDOERS, mode=0o440)
        box.write("/etc/pam.d/sudo", test_setup.SUDO_PAM)
        yield lab


@pytest.fixture
def bare() -> Iterator[Lab]:
    """Such machines."""
    if shutil.which("dpkg-scanpackages") is None:
        pytest.skip("no dpkg-scanpackages: apt-get install dpkg-dev")
    with bare_machine() as lab:
        yield lab


def test_a_bare_machine_gets_docker_and_opens_a_notebook(bare: Lab, tmp_path: Path) -> None:
    box: Box = bare.box
    home = tmp_path / "newcomer"
    config = home / ".ssh" / "config"
    config.parent.mkdir(parents=True)
    config.write_text(f"Host *\n    UserKnownHostsFile {bare.known_hosts}\n")
    laptop = Laptop(home, config)
    assert box.run(["sh", "-c", "command -v docker dockerd"], check=False).stdout == ""
    setup = ("setup", f"alice@{box.ip}", "--name", "my-box", "--image", LAB4)
    with test_setup.at_terminal(laptop, *setup) as (typist, process):
        typist.answers(b"No key logs in yet: make the key", "yes")
        typist.answers(b"Passphrase for", "")
        typist.answers(b"password: ", test_setup.PASSWORD)
        typist.answers(b"Run this on", "yes")
        typist.answers(b"sudo password of alice", test_setup.PASSWORD)
        typist.answers(b"Run this on", "yes")  # the toolkit, as there are GPUs
        shown = typist.rest()
        code = process.wait(60)
    assert "apt-get install -y --no-install-recommends docker.io" in shown
    assert "apt-get install -y nvidia-container-toolkit" in shown
    assert "nvidia-ctk runtime configure --runtime=docker" in shown
    assert shown.count("sudo password of alice") == 1
    assert code == 0, shown
    with laptop.connected("my-box", "--config", str(home / ".config/remotenb/config.toml")) as one:
        assert one.ready["image"] == LAB4
        seen = box.docker("exec", one.ready["container"], "nvidia-smi", "-L").stdout
        assert seen.startswith("GPU 0")
