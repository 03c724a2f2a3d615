"""Host certificates: a host key that an authority has signed. Whom to trust is for known_hosts."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import SSHCertificate, SSHCertificateType

from remotenb.ssh.keys import is_certificate_of, line_of
from remotenb.ssh.keywords import matches

if TYPE_CHECKING:
    from paramiko import PKey

SUFFIX = "-cert-v01@openssh.com"
_SHA1 = b"ssh-rsa"


class Vouched(NamedTuple):
    """Who signed a host's key, and what keeps that from counting."""

    authority: bytes
    wrong: str
    """Empty where nothing does."""


def vouched(key: PKey, name: str) -> Vouched | None:
    """What the certificate that came with ``key`` says of the host ``name``.

    None where there is none, or it is not what it claims to be: then the key is just a key.
    """
    if key.public_blob is None:
        return None
    text = f"{key.public_blob.key_type} {base64.b64encode(key.public_blob.key_blob).decode()}"
    try:
        certificate = serialization.load_ssh_public_identity(text.encode())
        if not isinstance(certificate, SSHCertificate) or not is_certificate_of(certificate, key):
            return None
        certificate.verify_cert_signature()
        authority = base64.b64decode(line_of(certificate.signature_key()).split()[1])
    except (ValueError, AssertionError, InvalidSignature, UnsupportedAlgorithm):
        return None
    return Vouched(authority, _wrong(certificate, name.lower()))


def _wrong(certificate: SSHCertificate, name: str) -> str:
    """Why it does not count for the host ``name``, as OpenSSH has it."""
    now = time.time()
    principals = [one.decode("utf-8", "replace") for one in certificate.valid_principals]
    # cryptography tells nowhere else how it is signed
    sha1 = bytes(certificate._inner_sig_type) == _SHA1  # noqa: SLF001
    reasons = (
        (certificate.type is not SSHCertificateType.HOST, "it is a user's"),
        (sha1, "it is signed with SHA-1"),
        (bool(certificate.critical_options), "it has conditions that are not known here"),
        (certificate.valid_after > now, "it is not valid yet"),
        (certificate.valid_before <= now, "it is not valid any more"),
        (
            bool(principals) and not any(matches(name, [one.lower()]) for one in principals),
            f"it is for {', '.join(principals)}",
        ),
    )
    return next((why for wrong, why in reasons if wrong), "")
