"""Whatever the login shell is and prints, the probe comes through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import CLASSIC

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box

NOISE = {
    "/bin/bash": (".bashrc", 'echo "hello from bashrc"; echo and stderr >&2\n'),
    "/bin/dash": (".profile", 'echo "hello from profile"\n'),
    "/usr/bin/zsh": (".zshenv", 'echo "hello from zshenv"\n'),
    "/usr/bin/fish": (".config/fish/config.fish", 'echo "hello from fish"\n'),
    "/bin/tcsh": (".tcshrc", 'echo "hello from tcshrc"\n'),
}


@pytest.mark.parametrize("shell", list(NOISE))
def test_noisy_login_shells_of_all_kinds_do(laptop: Laptop, box: Box, shell: str) -> None:
    file, text = NOISE[shell]
    box.write(f"/home/alice/{file}", text, owner="alice")
    box.set_shell("alice", shell)
    box.sshd("Banner /etc/issue.net")
    box.write("/etc/issue.net", "AUTHORISED USE ONLY\n\x1b]0;owned\x07\n")
    refused = laptop.refused("gpu-box")
    assert refused["error"] == "NoImage"
    assert CLASSIC in refused["hint"]


def test_a_home_with_a_space_and_a_locale_that_is_not_english_do(laptop: Laptop, box: Box) -> None:
    box.set_home("alice", "/home/al ice")
    box.write("/home/al ice/.bashrc", "export LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8\n", owner="alice")
    with laptop.connected("gpu-box", "--image", CLASSIC, "--volume", "~/w:/w") as connected:
        assert connected.ready["reused"] is False
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["reused"] is True
    assert box.run(["stat", "-c", "%U", "/home/al ice/w"]).stdout == "alice\n"


def test_an_account_without_a_shell_is_said_to_have_none(laptop: Laptop, box: Box) -> None:
    box.set_shell("alice", "/usr/sbin/nologin")
    refused = laptop.refused("gpu-box")
    assert (refused["error"], refused["code"]) == ("ShellUnusable", 4)
    assert "not available" in refused["message"]
