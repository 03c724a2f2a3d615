"""``setup`` on a machine without docker: packages come from a repository on that machine.

No repository can be reached from the rig; Debian's own packages, fetched before, lie in a folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.laptop import Laptop
from tests.machines import test_setup
from tests.machines.conftest import LAB4
from tests.rig import cache
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


def repository() -> Path:
    """Debian's packages of docker, and their index, fetched once."""
    folder = cache.directory("debian-docker")
    index = folder / "Packages"
    if not index.exists():
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=folder, check=True)
        listed = subprocess.run(
            ["dpkg-scanpackages", "."], cwd=folder, check=True, capture_output=True
        )
        index.write_bytes(listed.stdout)
    return folder


@pytest.fixture
def bare() -> Iterator[Lab]:
    """Machines of this test's own: on the box docker is not installed, but could be."""
    if shutil.which("dpkg-scanpackages") is None:
        pytest.skip("no dpkg-scanpackages: apt-get install dpkg-dev")
    folder = repository()  # there is no way out of the machines' networks
    with Lab() as lab:
        lab.enter_laptop()
        box = lab.box
        box.dockerd_stop()
        # the box sees the files of this machine
        source = f"deb [trusted=yes] file:{folder} ./\n"
        box.run(["sh", "-ec", BARE, "sh", source], timeout=120)
        box.set_password("alice", test_setup.PASSWORD)
        box.sshd("PasswordAuthentication yes\nAuthorizedKeysFile .ssh/authorized_keys")
        box.write("/etc/sudoers.d/alice", test_setup.SUDOERS, mode=0o440)
        box.write("/etc/pam.d/sudo", test_setup.SUDO_PAM)
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
        shown = typist.rest()
        code = process.wait(60)
    assert "apt-get install -y --no-install-recommends docker.io" in shown
    assert code == 0, shown
    with laptop.connected("my-box", "--config", str(home / ".config/remotenb/config.toml")) as one:
        assert one.ready["image"] == LAB4
