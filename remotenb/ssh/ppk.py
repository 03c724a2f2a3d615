"""PuTTY's key files, versions 2 and 3, read in memory: nothing is written.

The format is in PuTTY's manual, appendix C. The MAC covers the private half and the comment; a
wrong passphrase shows as a wrong MAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from paramiko import ECDSAKey, Ed25519Key, Message, PKey, RSAKey
from paramiko.pkey import UnknownKeyType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BEGIN = b"PuTTY-User-Key-File-"
ARGON2_MEMORY_LIMIT_KIB = 1 << 20
ARGON2_PASSES_LIMIT = 10_000
KEY_BYTES, IV_BYTES, MAC_BYTES, BLOCK_BYTES = 32, 16, 32, 16


_ARGON2 = {name: name for name in ("Argon2id", "Argon2i", "Argon2d")}


class _Keys(NamedTuple):
    """What a passphrase turns into."""

    cipher: bytes
    iv: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class _File:
    """One as it lies there."""

    version: int
    algorithm: str
    headers: Mapping[str, str]
    public: bytes
    private: bytes

    @property
    def encrypted(self) -> bool:
        """Whether it has a passphrase."""
        return self.headers.get("Encryption", "none") != "none"


def is_one(data: bytes) -> bool:
    """Whether a file that begins so is PuTTY's."""
    return data.startswith(BEGIN)


def public_blob(data: bytes) -> bytes:
    """The public half, which is never encrypted; raises ValueError."""
    return _parse(data).public


def load(data: bytes, passphrase: bytes | None) -> PKey:
    """The key; TypeError where a passphrase is wanted, ValueError for a wrong one or a bad file."""
    file = _parse(data)
    if file.encrypted and passphrase is None:
        msg = "the key is encrypted"
        raise TypeError(msg)
    keys = _keys(file, (passphrase or b"") if file.encrypted else b"")
    private = _decrypted(file, keys) if file.encrypted else file.private
    if not hmac.compare_digest(_mac(file, private, keys), file.headers["Private-MAC"].lower()):
        msg = "wrong passphrase" if file.encrypted else "its MAC is wrong: the file was changed"
        raise ValueError(msg)
    return _key(file, private)


def _parse(data: bytes) -> _File:
    lines = iter(data.decode("utf-8").splitlines())
    headers: dict[str, str] = {}
    try:
        for line in lines:
            name, colon, value = line.partition(": ")
            if not colon:
                continue
            if name.endswith("-Lines"):
                value = "".join(next(lines) for _ in range(int(value)))
            headers[name] = value
        first = next(iter(headers))
        file = _File(
            int(first.removeprefix(BEGIN.decode())),
            headers[first],
            headers,
            base64.b64decode(headers["Public-Lines"], validate=True),
            base64.b64decode(headers["Private-Lines"], validate=True),
        )
    except (StopIteration, KeyError, binascii.Error, RuntimeError):
        msg = "it is cut off, or damaged"
        raise ValueError(msg) from None
    if file.version not in {2, 3} or "Private-MAC" not in headers:
        msg = f"version {file.version} of PuTTY's format"
        raise ValueError(msg)
    if file.headers.get("Encryption") not in {"none", "aes256-cbc"}:
        msg = "it is encrypted in an unknown way"
        raise ValueError(msg)
    return file


def _keys(file: _File, passphrase: bytes) -> _Keys:
    if file.version == 2:  # noqa: PLR2004  the older format
        stream = b"".join(
            hashlib.sha1(n.to_bytes(4, "big") + passphrase).digest()  # noqa: S324  PuTTY's choice
            for n in range(2)
        )
        mac = hashlib.sha1(b"putty-private-key-file-mac-key" + passphrase)  # noqa: S324
        return _Keys(stream[:KEY_BYTES], bytes(IV_BYTES), mac.digest())
    if not file.encrypted:
        return _Keys(b"", b"", b"")
    whole = _argon2(file.headers, passphrase)
    return _Keys(
        whole[:KEY_BYTES],
        whole[KEY_BYTES : KEY_BYTES + IV_BYTES],
        whole[KEY_BYTES + IV_BYTES :],
    )


def _argon2(headers: Mapping[str, str], passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf import argon2  # noqa: PLC0415  not in older ones

    try:
        flavour = getattr(argon2, _ARGON2[headers["Key-Derivation"]])
        memory, passes = int(headers["Argon2-Memory"]), int(headers["Argon2-Passes"])
        lanes, salt = int(headers["Argon2-Parallelism"]), bytes.fromhex(headers["Argon2-Salt"])
    except (KeyError, AttributeError):
        msg = "its key derivation is unknown"
        raise ValueError(msg) from None
    if memory > ARGON2_MEMORY_LIMIT_KIB or passes > ARGON2_PASSES_LIMIT:
        msg = "it asks for too much memory or time"
        raise ValueError(msg)
    kdf = flavour(
        salt=salt,
        length=KEY_BYTES + IV_BYTES + MAC_BYTES,
        iterations=passes,
        lanes=lanes,
        memory_cost=memory,
    )
    derived: bytes = kdf.derive(passphrase)
    return derived


def _decrypted(file: _File, keys: _Keys) -> bytes:
    if len(file.private) % BLOCK_BYTES:
        msg = "it is cut off, or damaged"
        raise ValueError(msg)
    decryptor = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).decryptor()
    return decryptor.update(file.private) + decryptor.finalize()


def _mac(file: _File, private: bytes, keys: _Keys) -> str:
    parts = [
        file.algorithm.encode(),
        file.headers["Encryption"].encode(),
        file.headers.get("Comment", "").encode(),
        file.public,
        private,
    ]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = "sha1" if file.version == 2 else "sha256"  # noqa: PLR2004  the older format
    return hmac.new(keys.mac, text, digest).hexdigest()


def _key(file: _File, private: bytes) -> PKey:
    public, secret = Message(file.public), Message(private)
    name = public.get_text()
    if name != file.algorithm:
        msg = "it says two different types"
        raise ValueError(msg)
    makers: dict[str, tuple[type[PKey], Callable[[Message, Message], _Private]]] = {
        "ssh-ed25519": (Ed25519Key, _ed25519),
        "ssh-rsa": (RSAKey, _rsa),
        **{f"ecdsa-sha2-{curve}": (ECDSAKey, _ecdsa) for curve in _CURVES},
    }
    if name not in makers:
        raise UnknownKeyType(key_type=name, key_bytes=b"")
    cls, make = makers[name]
    pem = make(public, secret).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return cls.from_private_key(io.StringIO(pem.decode()))


_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_CURVES: dict[str, ec.EllipticCurve] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}


def _ed25519(_public: Message, secret: Message) -> _Private:
    return ed25519.Ed25519PrivateKey.from_private_bytes(secret.get_string())


def _ecdsa(public: Message, secret: Message) -> _Private:
    return ec.derive_private_key(secret.get_mpint(), _CURVES[public.get_text()])


def _rsa(public: Message, secret: Message) -> _Private:
    e, n = public.get_mpint(), public.get_mpint()
    d, p, q, iqmp = (secret.get_mpint() for _ in range(4))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), iqmp, rsa.RSAPublicNumbers(e, n)
    )
    return numbers.private_key()
