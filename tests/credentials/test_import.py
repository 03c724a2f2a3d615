"""``remotenb import``, as it is run; and PuTTY's keys, made by PuTTY's own puttygen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paramiko import Message, PKey

from remotenb.secret import Secret
from remotenb.ssh import keys

SESSION = "Protocol=ssh\nHostName=10.0.0.5\nUserName=naomi\nPublicKeyFile=/keys/gpu.ppk\n"
PHRASE = "correct horse"


def run(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONUTF8": "1"}
    argv = [sys.executable, "-m", "remotenb", "import", *args]
    return subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=30, env=environment
    )


def test_saved_hosts_are_shown_then_written_and_never_over_one_that_is_there(
    tmp_path: Path,
) -> None:
    sessions = tmp_path / ".putty" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "gpu%20box").write_text(SESSION)
    (sessions / "other").write_text(SESSION.replace("10.0.0.5", "10.0.0.6"))
    config = tmp_path / ".config" / "remotenb" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\n[hosts.other]\naddress = 'kept'\n")

    assert "gpu-box" in run(tmp_path, "--dry-run").stdout
    unasked = run(tmp_path)
    assert (unasked.returncode, "--yes" in unasked.stderr) == (2, True)
    assert [one["note"] for one in json.loads(run(tmp_path, "--json").stdout)] == [
        None,
        "is in the config already",
    ]
    assert config.read_text() == "# mine\n[hosts.other]\naddress = 'kept'\n"

    assert run(tmp_path, "--yes").returncode == 0
    text = config.read_text()
    assert text.startswith("# mine\n[hosts.other]\naddress = 'kept'\n")
    assert '[hosts.gpu-box]\naddress = "10.0.0.5"\nuser = "naomi"\n' in text
    assert run(tmp_path, "--yes", "--replace").returncode == 0
    assert 'address = "10.0.0.6"' in config.read_text()


def test_a_file_of_windows_is_read_in_the_characters_it_has(tmp_path: Path) -> None:
    key = r"[HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions\gpu]"
    file = tmp_path / "putty.reg"
    file.write_bytes(f'\ufeff{key}\r\n"HostName"="bücher"\r\n'.encode("utf-16-le"))
    (row,) = json.loads(run(tmp_path, str(file), "--json").stdout)
    assert row["address"] == "bücher"
    file.write_bytes("[Bookmarks]\r\nbücher= #109#0%h%22%u%\r\n".encode("cp1252"))
    (row,) = json.loads(run(tmp_path, str(file), "--json").stdout)
    assert row["name"] == "bücher"
    absent = run(tmp_path, str(tmp_path / "absent"), "--json")
    assert (absent.returncode, json.loads(absent.stdout)["error"]) == (2, "UsageError")


def test_tunnels_come_along_and_those_that_stay_behind_are_told_with_the_reason(
    tmp_path: Path,
) -> None:
    ini = tmp_path / "Documents" / "MobaXterm" / "MobaXterm.ini"
    ini.parent.mkdir(parents=True)
    lines = ("0.board=Local;u@h:22;localhost:6006;6006", "1.socks=Dynamic;u@h:22;-:0;1080")
    ini.write_text("\n".join(["[Bookmarks]", "gpu=#109#0%h%22%u%", "[PortForwarding]", *lines]))
    (row,) = json.loads(run(tmp_path, "--json").stdout)
    assert (row["name"], row["forwards"]) == ("gpu", [6006])
    assert row["note"] == "not taken over: D1080 is a SOCKS proxy"

    sessions = tmp_path / ".putty" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "box").write_text(SESSION + "PortForwardings=L6006=localhost:6006,D1080=\n")
    row = next(r for r in json.loads(run(tmp_path, "--json").stdout) if r["name"] == "box")
    assert row["forwards"] == [6006]
    assert row["note"] == "not taken over: D1080 is a SOCKS proxy"


@pytest.mark.skipif(not shutil.which("puttygen"), reason="needs puttygen (putty-tools)")
@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_puttygen_is_the_key_that_it_says_it_is(
    tmp_path: Path, kind: str, version: str
) -> None:
    plain, locked, phrase = tmp_path / "plain.ppk", tmp_path / "locked.ppk", tmp_path / "phrase"
    phrase.write_text(PHRASE)
    size = ["-b", "2048"] if kind == "rsa" else []
    for file, secret in ((plain, "/dev/null"), (locked, str(phrase))):
        made = ["-q", "-t", kind, *size, "--ppk-param", f"version={version}", "-o", str(file)]
        subprocess.run(["puttygen", *made, "--new-passphrase", secret], check=True, timeout=60)
        file.chmod(0o600)
    assert fingerprint(plain) == keys.load(plain).get_fingerprint().hex(":")
    with pytest.raises(keys.Locked):
        keys.load(locked)
    with pytest.raises(keys.WrongPassphrase):
        keys.unlock(locked, Secret("wrong"))
    key = keys.unlock(locked, Secret(PHRASE))
    assert key.asbytes() == keys.public_blob(locked)
    public = PKey.from_type_string(key.get_name(), key.asbytes())
    assert public.verify_ssh_sig(b"data", Message(key.sign_ssh_data(b"data").asbytes()))
    plain.write_text(plain.read_text().replace("Comment: ", "Comment: x"))
    with pytest.raises(keys.Unusable, match="MAC is wrong"):
        keys.load(plain)


def fingerprint(file: Path) -> str:
    """As puttygen tells it."""
    argv = ["puttygen", str(file), "-l", "-E", "md5"]
    shown = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
    return shown.stdout.split()[2].removeprefix("MD5:")


def test_a_key_that_others_can_read_is_not_used_as_by_ssh(tmp_path: Path) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    file.chmod(0o640)
    with pytest.raises(keys.Unusable, match="mode 0640"):
        keys.load(file)
