"""The SSH connection to OpenSSH's own sshd: what ssh_config asks for, and what goes wrong."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import CLASSIC
from tests.notebook import get
from tests.rig.failures import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab


def ssh_config(laptop: Laptop, lab: Lab, *lines: str, base: bool = True) -> tuple[str, str]:
    """``-F FILE`` with a host ``other`` that has these lines."""
    file = laptop.home / "ssh_config"
    known = (f"IdentityFile {lab.key}", f"UserKnownHostsFile {lab.known_hosts}")
    text = ["Host other", f"HostName {lab.box.ip}", "User alice", "IdentitiesOnly yes"]
    file.write_text("\n".join([*text, *lines, *(known if base else ()), ""]), encoding="utf-8")
    return "-F", str(file)


def reaches(laptop: Laptop, *arguments: str) -> None:
    """The login worked: what is missing is only an image."""
    refused = laptop.refused(*arguments)
    assert refused["error"] == "NoImage", refused


NO_RELAY = {"REMOTENB_RELAY": "false"}


def test_an_address_needs_no_config_at_all(laptop: Laptop, lab: Lab) -> None:
    file = laptop.home / "config.toml"
    file.write_text(f'[defaults]\nidentity_file = "{lab.key}"\n', encoding="utf-8")
    known = laptop.home / ".ssh" / "known_hosts"
    known.parent.mkdir(mode=0o700)
    known.write_text(lab.known_hosts.read_text(), encoding="utf-8")
    empty = laptop.home / "empty"
    empty.write_text(f"UserKnownHostsFile {known}\n", encoding="utf-8")
    reaches(laptop, f"alice@{lab.box.ip}", "--config", str(file), "-F", str(empty))
    reaches(laptop, f"alice@{lab.box.ip}:22", "--config", str(file), "-F", str(empty))


def test_the_link_goes_through_a_jump_host(laptop: Laptop, lab: Lab) -> None:
    entry = lab.ssh_config.read_text()
    file = laptop.home / "ssh_config"
    inner = f"Host inner\n HostName {lab.box.ip}\n User bob\n ProxyJump gpu-box\n"
    keys = f" IdentityFile {lab.key}\n UserKnownHostsFile {lab.known_hosts}\n"
    file.write_text(inner + keys + entry, encoding="utf-8")
    reaches(laptop, "inner", "-F", str(file))


def test_include_and_a_certificate_are_honoured(laptop: Laptop, lab: Lab, box: Box) -> None:
    here = laptop.home
    for name in ("ca", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", here / name], check=True
        )
    subprocess.run(
        ["ssh-keygen", "-q", "-s", here / "ca", "-I", "a", "-n", "alice", here / "user.pub"],
        check=True,
    )
    shutil.move(here / "user-cert.pub", here / "elsewhere.pub")
    box.write("/etc/ssh/ca.pub", (here / "ca.pub").read_text())
    box.sshd("TrustedUserCAKeys /etc/ssh/ca.pub")
    included = here / "included"
    included.write_text(f"Host other\n CertificateFile {here}/elsewhere.pub\n", encoding="utf-8")
    known = f"UserKnownHostsFile {lab.known_hosts}"
    lines = (known, f"IdentityFile {here}/user", f"Include {included}")
    reaches(laptop, "other", *ssh_config(laptop, lab, *lines, base=False))


def test_an_unknown_host_key_is_refused_where_nobody_can_be_asked(laptop: Laptop, lab: Lab) -> None:
    known = f"UserKnownHostsFile {laptop.home}/known"
    key = f"IdentityFile {lab.key}"
    refused = laptop.refused("other", *ssh_config(laptop, lab, known, key, base=False))
    assert (refused["error"], refused["code"]) == ("HostKeyUnknown", 3)
    assert "SHA256:" in refused["message"]
    assert not (laptop.home / "known").exists()


def test_accept_new_remembers_and_a_changed_key_is_refused_for_ever(
    laptop: Laptop, lab: Lab
) -> None:
    known = laptop.home / "known"
    lines = (f"UserKnownHostsFile {known}", f"IdentityFile {lab.key}")
    new = "StrictHostKeyChecking accept-new"
    reaches(laptop, "other", *ssh_config(laptop, lab, *lines, new, base=False))
    assert lab.host_key_line.split()[2] in known.read_text()

    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", laptop.home / "k"], check=True
    )
    other = (laptop.home / "k.pub").read_text().split()[1]
    known.write_text(f"# mine\n{lab.box.ip} ssh-ed25519 {other}\n", encoding="utf-8")
    for strict in ("accept-new", "no", "ask"):
        how = f"StrictHostKeyChecking {strict}"
        refused = laptop.refused("other", *ssh_config(laptop, lab, *lines, how, base=False))
        assert (refused["error"], refused["code"]) == ("HostKeyChanged", 3)
        assert f"{known}:2" in refused["message"]
        assert "ssh-keygen -R" in refused["hint"]


def test_on_a_terminal_the_fingerprint_is_shown_and_yes_remembers(
    laptop: Laptop, lab: Lab, tmp_path: Path
) -> None:
    known = laptop.home / "known"
    config = ssh_config(
        laptop, lab, f"UserKnownHostsFile {known}", f"IdentityFile {lab.key}", base=False
    )
    tmux = ["tmux", "-S", str(tmp_path / "tmux")]
    command = " ".join(laptop.argv("connect", "other", "--no-browser", *config))
    shown = ""

    def screen(words: str) -> bool:
        nonlocal shown
        shown = subprocess.run(
            [*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True
        ).stdout
        return words in shown

    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "120", "-y", "40", "sh"],
        check=True, env={**laptop.environment, "TERM": "xterm"},
    )  # fmt: skip
    try:
        subprocess.run([*tmux, "send-keys", command, "Enter"], check=True)
        until(lambda: screen("(yes/no)"), "the question", seconds=20)
        assert "SHA256:" in shown
        subprocess.run([*tmux, "send-keys", "yes", "Enter"], check=True)
        until(lambda: screen("from which image"), "the choice of an image", seconds=20)
        assert known.exists()
        subprocess.run([*tmux, "send-keys", "0", "Enter"], check=True)
        until(lambda: screen("hint: name one with --image"), "the end", seconds=20)
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)


@pytest.mark.parametrize(
    ("address", "error", "within"),
    [
        ("alice@no-such-host.invalid", "HostUnknown", 5),
        ("alice@10.77.0.2:2222", "HostUnreachable", 5),
        ("alice@10.77.0.77", "HostUnreachable", 14),
    ],
    ids=["unknown", "refusing", "not there"],
)
def test_a_host_that_cannot_be_reached_is_named_in_time(
    laptop: Laptop, address: str, error: str, within: float
) -> None:
    start = time.monotonic()
    refused = laptop.refused(address)
    assert (refused["error"], refused["code"]) == (error, 3)
    assert time.monotonic() - start < within


def test_a_silent_host_is_given_up_after_connect_timeout(laptop: Laptop, lab: Lab) -> None:
    lab.block("drop")
    start = time.monotonic()
    refused = laptop.refused("other", *ssh_config(laptop, lab, "ConnectTimeout 2"))
    assert (refused["error"], refused["code"]) == ("HostUnreachable", 3)
    assert time.monotonic() - start < 6


def test_a_login_that_is_not_allowed_names_the_key_and_the_cure(laptop: Laptop, lab: Lab) -> None:
    refused = laptop.refused("other", *ssh_config(laptop, lab, "User dave"))
    assert refused["error"] in {"AuthenticationFailed", "NoImage"}
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", laptop.home / "k"], check=True
    )
    known = f"UserKnownHostsFile {lab.known_hosts}"
    wrong = ssh_config(laptop, lab, known, f"IdentityFile {laptop.home}/k", base=False)
    refused = laptop.refused("other", *wrong)
    assert (refused["error"], refused["code"]) == ("AuthenticationFailed", 3)
    assert f"{laptop.home}/k" in refused["message"]
    assert "ssh-copy-id" in refused["hint"]
    none = ssh_config(laptop, lab, known, f"IdentityFile {laptop.home}/none", base=False)
    refused = laptop.refused("other", *none)
    assert (refused["error"], refused["code"]) == ("LoginNeedsPerson", 3)  # sshd takes passwords
    assert "ssh-copy-id" in refused["hint"]


def test_an_encrypted_key_without_a_terminal_is_named(laptop: Laptop, lab: Lab) -> None:
    key = laptop.home / "locked"
    shutil.copy(lab.key, key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True)
    lines = (f"UserKnownHostsFile {lab.known_hosts}", f"IdentityFile {key}")
    refused = laptop.refused("other", *ssh_config(laptop, lab, *lines, base=False))
    assert (refused["error"], refused["code"]) == ("KeyUnusable", 3)
    assert "ssh-add" in refused["hint"]


def test_the_agents_key_opens_the_door(laptop: Laptop, lab: Lab) -> None:
    known = f"UserKnownHostsFile {lab.known_hosts}"
    config = ssh_config(laptop, lab, known, "IdentitiesOnly no", base=False)
    text = (laptop.home / "ssh_config").read_text().replace("IdentitiesOnly yes\n", "")
    (laptop.home / "ssh_config").write_text(text, encoding="utf-8")
    sock = str(laptop.home / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    try:
        environment = {**laptop.environment, "SSH_AUTH_SOCK": sock}
        add = ["ssh-add", "-q", str(lab.key)]
        until(
            lambda: subprocess.run(add, check=False, env=environment).returncode == 0, "the agent"
        )
        refused = laptop.refused("other", *config, environment={"SSH_AUTH_SOCK": sock})
        assert refused["error"] == "NoImage"
    finally:
        agent.kill()
        agent.wait(5)


def test_without_a_relay_a_link_that_breaks_comes_back_and_says_what_may_be_lost(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", CLASSIC, environment=NO_RELAY) as connected:
        assert connected.ready["relay"] is False
        assert "no_relay" in connected.warnings
        box.run(["pkill", "-KILL", "-u", "alice", "sshd"])
        assert connected.wait_for("dropped", 15)["event"] == "dropped"
        assert connected.wait_for("restored", 15)["lost"] is True
        assert get(connected.ready["url"])[0] == 200
    assert len(box.docker("ps", "-q").stdout.split()) == 1


def test_without_a_relay_an_sshd_that_forbids_forwarding_is_named_before_and_after_a_start(
    laptop: Laptop, box: Box
) -> None:
    box.sshd("AllowTcpForwarding no")
    refused = laptop.refused("gpu-box", "--image", CLASSIC, environment=NO_RELAY)
    assert (refused["error"], refused["code"]) == ("ServerUnreachable", 4)
    assert "AllowTcpForwarding" in refused["hint"]
    assert not box.docker("ps", "-aq").stdout
    box.sshd()
    with laptop.connected("gpu-box", "--image", CLASSIC, environment=NO_RELAY):
        box.sshd("AllowTcpForwarding no")
        refused = laptop.refused("gpu-box", "--port", "29999", environment=NO_RELAY)
        assert refused["error"] == "ServerUnreachable"
    assert len(box.docker("ps", "-q").stdout.split()) == 1
