"""Hosts that an authority vouches for: a real sshd with a certificate, OpenSSH's own ssh beside."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from remotenb.errors import HostKeyChanged, HostKeyUnknown, LinkError
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from remotenb.ssh.remembered import Remembered
from tests.rig import sshd

if TYPE_CHECKING:
    from pathlib import Path

    from remotenb.model import Host
    from tests.rig.lab import Lab

CERTIFIED = f"HostCertificate {sshd.HOST_KEY}-cert.pub\n"


@dataclass
class Clinic:
    """gpu-box with a certificate, and a laptop that knows its authority and no host key."""

    lab: Lab
    folder: Path
    host: Host

    def certify(self, *options: str, authority: str = "authority") -> None:
        """Give the box a certificate, made by ssh-keygen with these options."""
        public = self.lab.box.run(["ssh-keygen", "-y", "-f", sshd.HOST_KEY]).stdout
        (self.folder / "host.pub").write_text(public)
        keygen("-s", str(self.folder / authority), "-I", "box", *options, f"{self.folder}/host.pub")
        made = (self.folder / "host-cert.pub").read_text()
        self.lab.box.write(f"{sshd.HOST_KEY}-cert.pub", made)
        self.lab.box.sshd(CERTIFIED)

    def knows(self, *lines: str) -> None:
        """Write known_hosts."""
        self.host.user_known_hosts[0].write_text("\n".join(lines) + "\n")

    def public(self, name: str = "authority") -> str:
        return (self.folder / f"{name}.pub").read_text().strip()

    def by_ssh(self) -> bool:
        """Whether OpenSSH lets itself in."""
        known = self.host.user_known_hosts[0]
        options = ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"]
        options += ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
        argv = ["ssh", "-F", str(self.lab.ssh_config), *options, "gpu-box", "true"]
        return subprocess.run(argv, check=False, timeout=30, capture_output=True).returncode == 0

    def refused(self) -> LinkError:
        with pytest.raises(LinkError) as raised:
            open_link(self.host).close()
        assert not self.by_ssh()
        assert raised.value.hint
        return raised.value


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, timeout=30, capture_output=True)


@pytest.fixture
def clinic(lab: Lab, tmp_path: Path) -> Clinic:
    for name in ("authority", "other"):
        keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
    host = replace(
        resolve("gpu-box", config_file=lab.ssh_config),
        user_known_hosts=(tmp_path / "known",),
        global_known_hosts=(),
        strict_host_key="yes",
    )
    one = Clinic(lab, tmp_path, host)
    one.knows(f"@cert-authority 10.77.* {one.public()}")
    return one


def test_a_host_that_the_authority_vouches_for_is_known_without_a_question(clinic: Clinic) -> None:
    clinic.certify("-h", "-n", "10.77.0.2,gpu-box")
    assert clinic.by_ssh()
    memory = Remembered()
    for _again in range(2):
        open_link(clinic.host, remembered=memory).close()
    only = replace(clinic.host, host_key_algorithms="ssh-ed25519-cert-v01@openssh.com,ssh-ed25519")
    open_link(only).close()
    clinic.certify("-h")  # for every host
    assert clinic.by_ssh()
    open_link(clinic.host).close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-h", "-n", "another.host"), "it is for another.host"),
        (("-n", "10.77.0.2"), "it is a user's"),
        (("-h", "-V", "20990101:20990201"), "not valid yet"),
        (("-h", "-V", "20010101:20020101"), "not valid any more"),
    ],
)
def test_a_certificate_that_does_not_count_is_refused_with_the_reason(
    clinic: Clinic, options: tuple[str, ...], words: str
) -> None:
    clinic.certify(*options)
    error = clinic.refused()
    # sshd itself shows no user's certificate for its own; then the key alone is what it is
    assert type(error) is HostKeyUnknown
    assert words in error.message or "-h" not in options


def test_whoever_is_not_the_authority_vouches_for_nobody(clinic: Clinic) -> None:
    clinic.certify("-h", authority="other")
    assert "is unknown" in clinic.refused().message
    clinic.certify("-h")
    clinic.knows(f"@cert-authority elsewhere.* {clinic.public()}")
    assert type(clinic.refused()) is HostKeyUnknown
    clinic.knows(f"10.77.* {clinic.public()}")  # the authority's key is no host's key
    assert type(clinic.refused()) is HostKeyChanged


def test_an_authority_and_a_key_that_are_revoked_are_refused(clinic: Clinic) -> None:
    clinic.certify("-h")
    trusted = f"@cert-authority * {clinic.public()}"
    host_key = " ".join((clinic.folder / "host.pub").read_text().split()[:2])
    for revoked in (clinic.public(), host_key):
        clinic.knows(trusted, f"@revoked * {revoked}")
        error = clinic.refused()
        assert type(error) is HostKeyChanged
        assert "revoked" in error.message
