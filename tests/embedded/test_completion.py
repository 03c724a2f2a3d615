"""Completion, as each shell asks for it. PowerShell is not run here: its questions are played."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remotenb.ssh.reader import aliases

CONFIG = '[hosts.gpu-box]\naddress = "10.0.0.5"\n[hosts.hospital]\n'
SSH_CONFIG = 'Include more\nHost gpu-old "gpu-older" *.lan\n    User alice\nHost *\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a config and an ssh_config."""
    config = tmp_path / ".config" / "remotenb" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(SSH_CONFIG)
    (tmp_path / ".ssh" / "more").write_text("Host=far-box\n")
    return tmp_path


def asked(home: Path, **question: str) -> list[str]:
    """What remotenb answers to a shell, line by line."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [sys.executable, "-m", "remotenb"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={"HOME": str(home), "PATH": path, **question},
    )
    return done.stdout.splitlines()


def bash(home: Path, line: str) -> list[str]:
    words = line.split(" ")
    answer = asked(
        home,
        _REMOTENB_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
    )
    return [one.partition(",")[2] for one in answer]


def test_commands_options_and_hosts_are_completed(home: Path) -> None:
    assert {"connect", "completion"} <= set(bash(home, "remotenb co"))
    assert "--no-browser" in bash(home, "remotenb connect --no")
    assert bash(home, "remotenb connect g") == ["gpu-box", "gpu-old", "gpu-older"]
    assert bash(home, "remotenb ps h") == ["hospital"]
    assert bash(home, "remotenb logs far") == ["far-box"]


@pytest.mark.parametrize(
    "line", ["cp box d", "cp box data :", "load box d", "save box image -o d", "connect --config d"]
)
def test_files_of_the_laptop_are_left_to_the_shell(home: Path, line: str) -> None:
    answer = asked(
        home,
        _REMOTENB_COMPLETE="bash_complete",
        COMP_WORDS=f"remotenb {line}",
        COMP_CWORD=str(line.count(" ") + 1),
    )
    assert answer == [f"file,{line.rpartition(' ')[2]}"]


def test_the_other_machine_of_a_push_is_a_host_too(home: Path) -> None:
    assert bash(home, "remotenb push gpu-box image --from h") == ["hospital"]


def test_a_config_that_is_wrong_leaves_the_other_names(home: Path) -> None:
    (home / ".config" / "remotenb" / "config.toml").write_text("[hosts")
    assert bash(home, "remotenb connect g") == ["gpu-old", "gpu-older"]


def test_powershell_gets_kind_value_and_help(home: Path) -> None:
    answer = asked(
        home,
        _REMOTENB_COMPLETE="powershell_complete",
        COMP_WORDS="remotenb connect gpu-b",
        COMP_CWORD="gpu-b",
    )
    assert answer == ["plain\tgpu-box\t"]
    commands = asked(
        home, _REMOTENB_COMPLETE="powershell_complete", COMP_WORDS="remotenb ", COMP_CWORD=""
    )
    assert "plain\tconnect\tGo to a Jupyter on HOST." in commands


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_can_read_its_script(home: Path, shell: str) -> None:
    text = "\n".join(asked_script(home, shell))
    assert "_REMOTENB_COMPLETE" in text
    program = shutil.which(shell)
    if program:  # PowerShell is not to be had here
        done = subprocess.run(
            [program, "-n"], input=text, text=True, capture_output=True, check=False, timeout=30
        )
        assert (done.returncode, done.stderr) == (0, "")


def asked_script(home: Path, shell: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "remotenb", "completion", shell],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.splitlines()


def test_patterns_are_no_names(home: Path) -> None:
    assert aliases(home / ".ssh" / "nothing") == []


def test_a_command_that_does_not_exist_is_guessed() -> None:
    argv = [sys.executable, "-m", "remotenb", "connekt", "gpu-box"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean connect?" in done.stderr
