"""Host keys as OpenSSH treats them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko import ECDSAKey, PKey, SSHClient
from paramiko.ed25519key import Ed25519Key

from remotenb.errors import HostKeyChanged, HostKeyUnknown
from remotenb.model import Host
from remotenb.ssh.hostkeys import HostKeyPolicy, KnownHosts, Trust
from remotenb.ssh.known_lines import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable


def made(folder: Path, name: str) -> PKey:
    key = Ed25519PrivateKey.generate()
    form = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (folder / name).write_bytes(key.private_bytes(*form))
    return Ed25519Key.from_private_key_file(str(folder / name))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[PKey, PKey, PKey]:
    """Two of ed25519 and one of ECDSA."""
    folder = tmp_path_factory.mktemp("keys")
    return made(folder, "a"), made(folder, "b"), ECDSAKey.generate()


openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


def line(names: str, key: PKey, marker: str = "") -> str:
    return f"{marker} {names} {key.get_name()} {key.get_base64()} a comment".strip()


class Known:
    """A known_hosts file and the host box.example that is looked up in it."""

    def __init__(self, folder: Path, *lines: str, end: str = "\n") -> None:
        self.file = folder / "known_hosts"
        self.file.write_text("\n".join(lines) + (end if lines else ""), encoding="utf-8")

    def host(self, **changes: Any) -> Host:
        plain: dict[str, Any] = {"hostname": "box.example", "user": "alice", "name": "box"}
        return Host(**{**plain, "user_known_hosts": (self.file,), **changes})

    def judge(self, key: PKey, **changes: Any) -> Trust:
        return KnownHosts(self.host(**changes)).judge(key.asbytes())[0]

    def meet(
        self,
        key: PKey,
        ask: Callable[[str], bool] | None = None,
        strict: Literal["yes", "ask", "accept-new"] = "ask",
        **changes: Any,
    ) -> None:
        host = self.host(strict_host_key=strict, **changes)
        HostKeyPolicy(host, KnownHosts(host), ask=ask).missing_host_key(SSHClient(), "x", key)


Keys = tuple[PKey, PKey, PKey]


@pytest.mark.parametrize(
    "names",
    [
        "box.example",
        "other,box.example,10.0.0.1",
        "*.example",
        "b?x.example",
        "BOX.example",
        "*,!other.example",
    ],
)
def test_a_key_of_a_line_that_names_the_host_is_known(
    tmp_path: Path, keys: Keys, names: str
) -> None:
    assert Known(tmp_path, "# comment", "", line(names, keys[0])).judge(keys[0]) is Trust.KNOWN


@pytest.mark.parametrize(
    "names",
    ["other", "box", "box.example.org", "*,!box.example", "!box.example", "b[o]x.example", "|1|x"],
)
def test_a_key_of_a_line_that_does_not_name_the_host_is_unknown(
    tmp_path: Path, keys: Keys, names: str
) -> None:
    assert Known(tmp_path, line(names, keys[0])).judge(keys[0]) is Trust.UNKNOWN


def test_an_upper_case_name_is_the_same_host(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[0]))
    assert known.judge(keys[0], hostname="Box.Example") is Trust.KNOWN


@openssh
def test_a_hashed_line_of_opensshs_own_is_known(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[0]), line("[box.example]:2222", keys[1]))
    argv = ["ssh-keygen", "-q", "-H", "-f", str(known.file)]
    subprocess.run(argv, check=True, timeout=20, capture_output=True)
    assert "box.example" not in known.file.read_text()
    assert known.judge(keys[0]) is Trust.KNOWN
    assert known.judge(keys[1]) is Trust.CHANGED
    assert known.judge(keys[1], port=2222) is Trust.KNOWN
    assert known.judge(keys[0], hostname="other.example") is Trust.UNKNOWN


def test_another_port_has_a_name_of_its_own(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("[box.example]:2222", keys[0]))
    assert known.judge(keys[0], port=2222) is Trust.KNOWN
    assert known.judge(keys[0]) is Trust.UNKNOWN
    assert known.judge(keys[0], port=2223) is Trust.UNKNOWN


def test_a_key_known_without_the_port_serves_as_it_does_for_ssh(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[0]))
    assert known.judge(keys[0], port=2222) is Trust.KNOWN
    assert known.judge(keys[1], port=2222) is Trust.UNKNOWN


def test_an_alias_is_looked_up_in_the_place_of_name_and_port(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("cluster", keys[0]), line("box.example", keys[1]))
    assert known.judge(keys[0], host_key_alias="cluster", port=2222) is Trust.KNOWN
    assert known.judge(keys[1], host_key_alias="cluster") is Trust.CHANGED


def test_another_key_of_the_same_type_has_changed(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, "# one", line("box.example", keys[0]))
    with pytest.raises(HostKeyChanged, match=re.escape(f"{known.file}:2")) as raised:
        known.meet(keys[1], ask=lambda _: True, strict="accept-new")
    assert fingerprint(keys[0].asbytes()) in raised.value.message
    assert fingerprint(keys[1].asbytes()) in raised.value.message
    assert "ssh-keygen -R" in raised.value.hint


def test_a_key_of_another_type_is_not_taken_on_trust_where_one_is_known(
    tmp_path: Path, keys: Keys
) -> None:
    known = Known(tmp_path, line("box.example", keys[0]))
    with pytest.raises(HostKeyChanged):
        known.meet(keys[2], ask=lambda _: True, strict="accept-new")


def test_one_of_several_known_keys_is_enough(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[0]), line("box.example", keys[2]))
    assert known.judge(keys[0]) is known.judge(keys[2]) is Trust.KNOWN
    assert KnownHosts(known.host()).key_types() == ("ssh-ed25519", "ecdsa-sha2-nistp256")


def test_of_several_lines_the_one_of_the_keys_own_type_is_shown(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[2]), line("box.example", keys[0]))
    with pytest.raises(HostKeyChanged, match=re.escape(f"{known.file}:2")):
        known.meet(keys[1])


@pytest.mark.parametrize("names", ["box.example", "*"])
def test_a_revoked_key_is_refused_even_if_it_is_known(
    tmp_path: Path, keys: Keys, names: str
) -> None:
    known = Known(tmp_path, line("box.example", keys[0]), line(names, keys[0], "@revoked"))
    with pytest.raises(HostKeyChanged, match="revoked") as raised:
        known.meet(keys[0], ask=lambda _: True, strict="accept-new")
    assert f"{known.file}:2" in raised.value.message
    assert known.judge(keys[1]) is Trust.CHANGED


def test_a_certificate_authority_is_no_host_key(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path, line("box.example", keys[0], "@cert-authority"))
    assert known.judge(keys[0]) is Trust.UNKNOWN
    assert KnownHosts(known.host()).key_types() == ()


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path, keys: Keys) -> None:
    bad = (
        "box.example",
        "box.example ssh-ed25519",
        "@revoked",
        "box.example ssh-ed25519 A",
        "\x00",
    )
    assert Known(tmp_path, *bad, line("box.example", keys[0])).judge(keys[0]) is Trust.KNOWN


def test_files_that_are_not_there_and_dev_null_know_nothing(tmp_path: Path, keys: Keys) -> None:
    files = (tmp_path / "absent", tmp_path, Path("/dev/null"))
    assert Known(tmp_path).judge(keys[0], user_known_hosts=files) is Trust.UNKNOWN


def test_the_systems_own_file_counts_too(tmp_path: Path, keys: Keys) -> None:
    theirs = Known(tmp_path, line("box.example", keys[0])).file
    empty = Known(tmp_path).host(user_known_hosts=(), global_known_hosts=(theirs,))
    theirs.write_text(line("box.example", keys[0]), encoding="utf-8")
    assert KnownHosts(empty).judge(keys[0].asbytes())[0] is Trust.KNOWN


def test_an_unknown_key_is_refused_where_nobody_can_be_asked(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path)
    for strict in ("ask", "yes"):
        with pytest.raises(HostKeyUnknown) as raised:
            known.meet(keys[0], strict=strict)
    assert fingerprint(keys[0].asbytes()) in raised.value.message
    assert "ssh box" in raised.value.hint
    assert known.file.read_text() == ""


def test_a_person_is_shown_the_fingerprint_and_decides(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path)
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(HostKeyUnknown):
        known.meet(keys[0], ask=refuse)
    assert fingerprint(keys[0].asbytes()) in asked[0]
    known.meet(keys[0], ask=lambda _: True)
    assert known.judge(keys[0]) is Trust.KNOWN


def test_strict_checking_asks_nobody(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(HostKeyUnknown):
        Known(tmp_path).meet(keys[0], ask=lambda _: True, strict="yes")


def test_accept_new_remembers_without_asking(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path)
    known.meet(keys[0], strict="accept-new", port=2222)
    assert known.file.read_text() == f"[box.example]:2222 ssh-ed25519 {keys[0].get_base64()}\n"


def test_a_last_line_without_a_newline_is_not_glued_to_the_new_one(
    tmp_path: Path, keys: Keys
) -> None:
    known = Known(tmp_path, line("other", keys[1]), end="")
    known.meet(keys[0], strict="accept-new")
    lines = known.file.read_text().splitlines()
    assert lines == [line("other", keys[1]), f"box.example ssh-ed25519 {keys[0].get_base64()}"]


@pytest.mark.skipif(sys.platform == "win32", reason="a file has no mode there")
def test_a_new_file_is_made_for_the_user_alone(tmp_path: Path, keys: Keys) -> None:
    file = tmp_path / "new" / "known_hosts"
    Known(tmp_path).meet(keys[0], strict="accept-new", user_known_hosts=(file,))
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@openssh
def test_hashed_names_are_remembered_as_openssh_finds_them(tmp_path: Path, keys: Keys) -> None:
    known = Known(tmp_path)
    known.meet(keys[0], strict="accept-new", hash_known_hosts=True)
    assert "box.example" not in known.file.read_text()
    argv = ["ssh-keygen", "-F", "box.example", "-f", str(known.file)]
    assert subprocess.run(argv, check=False, timeout=20, capture_output=True).returncode == 0
    assert known.judge(keys[0]) is Trust.KNOWN


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(HostKeyUnknown, match="cannot remember"):
        Known(tmp_path).meet(keys[0], strict="accept-new", user_known_hosts=(tmp_path,))


@openssh
def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path, keys: Keys) -> None:
    file = Known(tmp_path, line("x", keys[0])).file
    argv = ["ssh-keygen", "-lf", str(file)]
    said = subprocess.run(argv, check=True, timeout=20, capture_output=True, text=True).stdout
    assert said.split()[1] == fingerprint(keys[0].asbytes())
