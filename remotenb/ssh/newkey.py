"""A new key pair, as ``ssh-keygen -t ed25519`` makes one; Windows may have no ssh-keygen."""

from __future__ import annotations

import os
import socket
from getpass import getuser
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from remotenb.errors import KeyUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from remotenb.secret import Secret


def make(file: Path, passphrase: Secret | None) -> str:
    """Write a new ed25519 key to ``file`` and ``file.pub``; the public line.

    Raises :class:`KeyUnusable` if ``file`` is there already or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    guard = BestAvailableEncryption(passphrase.reveal().encode()) if passphrase else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, guard)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    line = f"{public} {getuser()}@{socket.gethostname()}"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(private)
        file.with_name(f"{file.name}.pub").write_text(line + "\n", encoding="utf-8")
    except OSError as error:
        raise KeyUnusable(
            f"cannot write the key {file}: {error.strerror}", hint="is that folder yours?"
        ) from None
    return line
