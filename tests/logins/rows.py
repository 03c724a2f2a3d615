"""The logins: how sshd is set up, what the user has, and what they know."""

from __future__ import annotations

import base64
import hmac
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.rig import sshd

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig.lab import Lab

PASSWORD: Final = "correct horse"
PHRASE: Final = "battery staple"
NEW_PASSWORD: Final = "tr0ub4dor & three"
OTP_KEY: Final = "JBSWY3DPEHPK3PXP"
OTP_FILE: Final = f'{OTP_KEY}\n" RATE_LIMIT 30 30\n" TOTP_AUTH\n'
WITH_PAM: Final = "UsePAM yes\nKbdInteractiveAuthentication yes\n"
BY_PASSWORD: Final = "PasswordAuthentication yes\n"


def code() -> str:
    """The code of this half minute (RFC 6238)."""
    counter = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.digest(base64.b32decode(OTP_KEY), counter, "sha1")
    start = digest[-1] & 15
    return str(int.from_bytes(digest[start : start + 4], "big") % (1 << 31)).zfill(10)[-6:]


@dataclass(frozen=True)
class Row:
    """One login."""

    name: str
    sshd: str = BY_PASSWORD
    pam: Sequence[str] = ()
    keys: Sequence[str] = ()
    """Of the laptop's, by name; see :func:`make_keys`."""
    answers: Mapping[str, Sequence[object]] = field(default_factory=dict)
    expired: bool = False
    jump: bool = False
    """Through bob's account, which wants a password of its own."""
    gets_in: bool = True


KNOWS: Final[Mapping[str, Sequence[object]]] = {
    "password": [PASSWORD] * 9,
    "code": [code] * 9,
    "passphrase": [PHRASE] * 9,
}

ROWS: Final = (
    Row("a key", keys=["key"]),
    Row("a key with a passphrase", keys=["locked"], answers=KNOWS),
    Row("PuTTY's key", keys=["key.ppk"]),
    Row("a certificate", sshd=sshd.CERTIFICATES, keys=["certified"]),
    Row("the right key after three wrong ones", keys=["wrong0", "wrong1", "wrong2", "key"]),
    Row("a key that others can read, then a password", keys=["open"], answers=KNOWS),
    Row("a password", answers=KNOWS),
    Row("a password, by keyboard-interactive", WITH_PAM, [sshd.PAM_PASSWORD], answers=KNOWS),
    Row("a password and a code", WITH_PAM, [sshd.PAM_PASSWORD, sshd.PAM_CODE], answers=KNOWS),
    Row(
        "a key, then a password",
        BY_PASSWORD + "AuthenticationMethods publickey,password\n",
        keys=["key"],
        answers=KNOWS,
    ),
    Row(
        "a key, then a code",
        WITH_PAM + "AuthenticationMethods publickey,keyboard-interactive\n",
        [sshd.PAM_CODE],
        ["key"],
        KNOWS,
    ),
    Row("a wrong password, then the right one", answers={"password": ["wrong", PASSWORD]}),
    Row(
        "an expired password",
        WITH_PAM,
        [sshd.PAM_PASSWORD],
        answers={"password": [PASSWORD, PASSWORD, NEW_PASSWORD, NEW_PASSWORD]},
        expired=True,
    ),
    Row("a jump host, each with a password", answers=KNOWS, jump=True),
    Row(
        "wrong passwords alone",
        WITH_PAM + BY_PASSWORD,
        [sshd.PAM_PASSWORD],
        answers={},
        gets_in=False,
    ),
)


def make_keys(lab: Lab, place: Path) -> None:
    """The laptop's keys: `key` is alice's own, the others are what their names say."""
    own = lab.key.read_text()
    for name in ("key", "locked", "open", "certified"):
        (place / name).write_text(own)
        (place / name).chmod(0o600)
    _keygen("-p", "-P", "", "-N", PHRASE, "-f", str(place / "locked"))
    (place / "open").chmod(0o644)
    for number in range(3):
        _keygen("-t", "ed25519", "-N", "", "-f", str(place / f"wrong{number}"))
    _keygen("-t", "ed25519", "-N", "", "-f", str(place / "authority"))
    _keygen("-y", "-f", str(place / "certified"), into=place / "certified.pub")
    _keygen(
        "-s", str(place / "authority"), "-I", "alice", "-n", "alice", str(place / "certified.pub")
    )
    lab.box.write("/etc/ssh/authority.pub", (place / "authority.pub").read_text())
    made = [
        "puttygen",
        str(place / "key"),
        "-o",
        str(place / "key.ppk"),
        "--new-passphrase",
        "/dev/null",
    ]
    subprocess.run(made, check=True, timeout=60)
    (place / "key.ppk").chmod(0o600)


def _keygen(*options: str, into: Path | None = None) -> None:
    done = subprocess.run(
        ["ssh-keygen", "-q", *options], check=True, timeout=30, capture_output=True, text=True
    )
    if into is not None:
        into.write_text(done.stdout)
