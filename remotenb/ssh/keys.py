"""Private key files: read, unlocked, and what is said of those that cannot be used."""

from __future__ import annotations

import base64
import os
import struct
import sys
import time
import warnings
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from paramiko import PKey, SSHException
from paramiko.message import Message
from paramiko.pkey import UnknownKeyType

from remotenb.ssh import ppk
from remotenb.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from remotenb.secret import Secret

FILE_LIMIT = 1 << 20
OPENSSH_MAGIC = b"openssh-key-v1\0"
_OPENSSH_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_END = b"-----END OPENSSH PRIVATE KEY-----"


class Unusable(Exception):
    """Why a key file cannot be used, in a few words, and perhaps what to do."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint or "name the right key with IdentityFile in ssh_config"


class Locked(Exception):
    """It has a passphrase."""


class WrongPassphrase(Exception):
    """Not this one."""


def load(file: Path) -> PKey:
    """The key in ``file``; raises :class:`Locked` and :class:`Unusable`."""
    try:
        key = _read(file, None)
    except TypeError:  # what cryptography says when a passphrase is wanted
        _not_for_others(file)
        raise Locked from None
    except (ValueError, OSError, UnknownKeyType, SSHException) as error:
        raise Unusable(_why(file, error)) from None
    _not_for_others(file)
    return key


def unlock(file: Path, passphrase: Secret) -> PKey:
    """The key in ``file``, decrypted; raises :class:`WrongPassphrase`."""
    try:
        return _read(file, passphrase.reveal().encode())
    except (ValueError, OSError, UnknownKeyType, SSHException):
        raise WrongPassphrase from None


def public_blob(file: Path) -> bytes | None:
    """The public half of a key file, from itself or the ``.pub`` beside it; None if in neither."""
    try:
        return _own_public(file.read_bytes()[:FILE_LIMIT])
    except (OSError, ValueError, struct.error):
        pass
    # the file itself may be a public half, as of a token's key
    return _public_line(file) or _public_line(file.with_name(file.name + ".pub"))


def _public_line(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            fields = stream.read(FILE_LIMIT).decode().split()
        return PKey.from_type_string(fields[0], base64.b64decode(fields[1])).asbytes()
    except (OSError, ValueError, IndexError, SSHException, UnknownKeyType):
        return None


def type_of(blob: bytes) -> str:
    """The type that a public key names itself; for RSA the signature that is wanted."""
    name = Message(blob).get_text()
    return "rsa-sha2-512" if name == "ssh-rsa" else name


def with_certificate(key: PKey, file: Path) -> PKey:
    """``key`` with the certificate in ``file`` if it is its own; raises :class:`Unusable`."""
    try:
        certificate = serialization.load_ssh_public_identity(file.read_bytes())
    except (ValueError, OSError, UnsupportedAlgorithm):
        return key
    if not isinstance(certificate, serialization.SSHCertificate) or not is_certificate_of(
        certificate, key
    ):
        return key
    now = time.time()
    if certificate.valid_after > now:
        raise Unusable("it is not valid yet", "is the clock of this laptop right?")
    if certificate.valid_before <= now:
        raise Unusable("it is not valid any more", "get a new one from whoever gave it to you")
    key.load_certificate(str(file))
    return key


def is_certificate_of(certificate: serialization.SSHCertificate, key: PKey) -> bool:
    """Paramiko looks at the type alone, and would show one key's certificate with another."""
    return base64.b64decode(line_of(certificate.public_key()).split()[1]) == key.asbytes()


def line_of(key: serialization.SSHCertPublicKeyTypes) -> bytes:
    """A public key as OpenSSH writes it."""
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(*openssh)


def _read(file: Path, passphrase: bytes | None) -> PKey:
    if ppk.is_one(data := file.read_bytes()[:FILE_LIMIT]):
        return ppk.load(data, passphrase)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of DSA; such a key is told to be of no use
        # cryptography wants bytes, whatever paramiko's stubs say
        return PKey.from_path(file, passphrase)  # type: ignore[arg-type]


def _own_public(data: bytes) -> bytes:
    """The public half is in the clear in OpenSSH's and PuTTY's files."""
    if ppk.is_one(data):
        return ppk.public_blob(data)
    _, begun, rest = data.partition(_OPENSSH_BEGIN)
    body, ended, _ = rest.partition(_OPENSSH_END)
    raw = base64.b64decode(body) if begun and ended else b""
    if not raw.startswith(OPENSSH_MAGIC):
        raise ValueError
    message = Message(raw[len(OPENSSH_MAGIC) :])
    for _cipher_kdf_and_its_options in range(3):
        message.get_string()
    if message.get_int() != 1:
        raise ValueError
    return message.get_string()


def _not_for_others(file: Path) -> None:
    """A key that others can read is not used, as by ssh; what Windows has are not such modes."""
    if sys.platform != "win32":
        stat = file.stat()
        if stat.st_uid == os.getuid() and stat.st_mode & 0o077:
            mode = f"{stat.st_mode & 0o777:04o}"
            raise Unusable(
                f"others can read it (mode {mode}), so it is not used, as by ssh",
                f"chmod 600 {file}",
            )


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "it cannot be read: permission denied"
    if isinstance(error, UnknownKeyType):
        return "a key of a type that is not supported; use ed25519"
    start = file.read_bytes()[:400] if not isinstance(error, OSError) else b""
    if start.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return "that is the public half; name the file without .pub"
    kind = "PuTTY" if ppk.is_one(start) else "private"
    return f"it is not a {kind} key ({one_line(str(error), 80)})"
