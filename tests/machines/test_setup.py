"""``setup``: from an account with a password to an open notebook, on a real machine."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.laptop import Laptop
from tests.machines.conftest import LAB4
from tests.rig.gpus import Gpu

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rig.box import Box
    from tests.rig.lab import Lab

assert sys.platform != "win32"  # a terminal of its own

PASSWORD = "correct horse"
SUDOERS = "alice ALL=(ALL:ALL) ALL\n"
SUDO_PAM = (
    "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n"
)


@pytest.fixture
def newcomer(lab: Lab, tmp_path: Path) -> Iterator[Laptop]:
    """A laptop without any key; alice has a password there, may use sudo, and no docker yet."""
    box = lab.box
    box.set_password("alice", PASSWORD)
    box.sshd("PasswordAuthentication yes\nAuthorizedKeysFile .ssh/authorized_keys")
    box.write("/etc/sudoers.d/alice", SUDOERS, mode=0o440)
    box.write("/etc/pam.d/sudo", SUDO_PAM)
    box.run(["gpasswd", "-d", "alice", "docker"])
    home = tmp_path / "newcomer"
    config = home / ".ssh" / "config"
    config.parent.mkdir(parents=True)
    config.write_text(f"Host *\n    UserKnownHostsFile {lab.known_hosts}\n")
    yield Laptop(home, config)
    box.run(["rm", "-f", "/etc/sudoers.d/alice"])
    box.run(["gpasswd", "-a", "alice", "docker"])


@dataclass
class Typist:
    """A person at a terminal: answers what is asked, and sees all that is shown."""

    fd: int
    shown: bytes = b""

    def answers(self, question: bytes, answer: str) -> None:
        """Type ``answer`` when ``question`` has been shown."""
        start = len(self.shown)
        while question not in self.shown[start:]:
            self.shown += os.read(self.fd, 4096)
        os.write(self.fd, answer.encode() + b"\n")

    def rest(self) -> str:
        """All that was shown, to the end."""
        try:
            while data := os.read(self.fd, 4096):
                self.shown += data
        except OSError:  # how a terminal ends
            pass
        return self.shown.decode()


@contextmanager
def at_terminal(laptop: Laptop, *args: str) -> Iterator[tuple[Typist, subprocess.Popen[bytes]]]:
    """The command on a terminal of its own."""
    ours, theirs = pty.openpty()
    environment = {**laptop.environment, "TERM": "dumb"}
    argv = [*laptop.argv(*args), "-F", str(laptop.ssh_config)]
    with subprocess.Popen(
        argv, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Typist(ours), process
        finally:
            process.kill()
            os.close(ours)


def test_a_password_and_a_host_name_lead_to_an_open_notebook(newcomer: Laptop, box: Box) -> None:
    where = f"alice@{box.ip}"
    setup = ("setup", where, "--name", "my-box", "--ssh-entry")
    with at_terminal(newcomer, *setup) as (typist, process):
        typist.answers(b"No key logs in yet: make the key", "yes")
        typist.answers(b"Passphrase for", "")
        typist.answers(b"password: ", PASSWORD)
        typist.answers(b"Run this on", "yes")
        typist.answers(b"sudo password of alice", "wrong")
        typist.answers(b"sudo password of alice", PASSWORD)
        typist.answers(b"Which image for new containers?", "0")
        shown = typist.rest()
        assert process.wait(60) == 0, shown
    key = newcomer.home / ".ssh" / "id_ed25519"
    assert key.stat().st_mode & 0o077 == 0
    assert PASSWORD not in shown
    assert "sudo usermod -aG docker alice" in shown
    assert f"Host my-box\n    HostName {box.ip}" in newcomer.ssh_config.read_text()
    mode = box.run(["stat", "-c", "%a %U", "/home/alice/.ssh/authorized_keys"]).stdout.split()
    assert mode == ["600", "alice"]
    with newcomer.connected("my-box", "--image", LAB4) as session:
        assert session.ready["image"] == LAB4
    again = newcomer.run(
        *setup, "--image", "pytorch:25.10", "--json", "-F", str(newcomer.ssh_config)
    )
    steps = {one["step"]: one["state"] for one in again.events[:-1]}
    assert steps.pop("config") == "done"  # it has that image now, by its whole name
    assert f'image = "{LAB4}"' in (newcomer.home / ".config/remotenb/config.toml").read_text()
    assert set(steps.values()) == {"there"}, again


def test_what_would_be_done_is_shown_and_not_done(newcomer: Laptop, box: Box) -> None:
    box.set_gpus((Gpu(0),))
    before = box.run(["cat", "/etc/group"]).stdout
    with at_terminal(newcomer, "setup", f"alice@{box.ip}", "--dry-run") as (typist, process):
        typist.answers(b"password: ", PASSWORD)
        shown = typist.rest()
        assert process.wait(60) == 0, shown
    assert "make the key" in shown
    assert "sudo usermod -aG docker alice" in shown
    assert box.run(["cat", "/etc/group"]).stdout == before
    assert not (newcomer.home / ".ssh" / "id_ed25519").exists()
    assert not (newcomer.home / ".config").exists()


def test_nobody_to_ask_and_no_key_is_one_clear_line(newcomer: Laptop, box: Box) -> None:
    done = newcomer.run("setup", f"alice@{box.ip}", "--json", "-F", str(newcomer.ssh_config))
    assert done.error["code"] == 3
    assert done.error["hint"]
