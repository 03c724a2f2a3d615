"""Host certificates, made by ssh-keygen: who signed them, and those that were tampered with."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko import Ed25519Key, Message, PKey
from paramiko.ssh_exception import SSHException

from remotenb.ssh.hostcerts import vouched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, timeout=30, capture_output=True)


def blob_of(file: Path) -> bytes:
    return base64.b64decode(file.read_text().split()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's key with a certificate for h.example, two authorities."""
    place = tmp_path_factory.mktemp("certificates")
    for name in ("host", "authority", "other"):
        keygen("-t", "ed25519", "-N", "", "-f", str(place / name))
    authority = str(place / "authority")
    keygen("-s", authority, "-I", "x", "-h", "-n", "*.example", str(place / "host.pub"))
    return place


def shown(blob: bytes) -> PKey:
    """The key as paramiko has it after the exchange."""
    return Ed25519Key(msg=Message(blob))


def test_the_authority_is_told_and_for_which_names_it_vouches(folder: Path) -> None:
    key = shown(blob_of(folder / "host-cert.pub"))
    assert key.asbytes() == blob_of(folder / "host.pub")
    for name, wrong in (("H.example", ""), ("h.elsewhere", "it is for *.example")):
        found = vouched(key, name)
        assert found is not None
        assert found == (blob_of(folder / "authority.pub"), wrong)


def test_a_plain_key_has_nobody_who_vouches_for_it(folder: Path) -> None:
    assert vouched(shown(blob_of(folder / "host.pub")), "h.example") is None


def test_a_certificate_that_names_an_authority_which_did_not_sign_it_is_none(folder: Path) -> None:
    theirs, ours = (blob_of(folder / f"{name}.pub") for name in ("authority", "other"))
    forged = blob_of(folder / "host-cert.pub").replace(theirs, ours)
    assert forged != blob_of(folder / "host-cert.pub")
    assert vouched(shown(forged), "h.example") is None


def test_a_certificate_for_another_key_than_the_one_shown_is_none(folder: Path) -> None:
    key = shown(blob_of(folder / "other.pub"))
    key.public_blob = shown(blob_of(folder / "host-cert.pub")).public_blob
    assert vouched(key, "h.example") is None


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_one_byte_that_is_changed_makes_it_none(folder: Path, where: int, by: int) -> None:
    blob = bytearray(blob_of(folder / "host-cert.pub"))
    blob[where % len(blob)] ^= by
    try:
        key = shown(bytes(blob))
    except (SSHException, ValueError, IndexError, OverflowError):
        return  # what paramiko does not even read ends the exchange
    assert vouched(key, "h.example") is None
