"""What is typed on a machine to install docker and NVIDIA's toolkit."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.setup import commands
from remotenb.setup.commands import System, parse

UBUNTU = System("ubuntu", "noble", "amd64", apt=True, systemd=True, sudo=True)


def test_docker_comes_from_docker_where_it_can_be_reached() -> None:
    lines = commands.install_docker(replace(UBUNTU, docker_reached=True))
    assert "apt-get install -y docker-ce docker-ce-cli containerd.io" in lines
    written = next(shlex.split(line) for line in lines if line.startswith("sh -c"))
    assert written[-2:] == [
        (
            "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] "
            "https://download.docker.com/linux/ubuntu noble stable"
        ),
        "/etc/apt/sources.list.d/docker.list",
    ]
    assert lines[-1] == "systemctl enable --now docker"


def test_else_it_is_the_distributions_own_package() -> None:
    debian = replace(UBUNTU, id="debian", codename="bookworm", systemd=False, apt_has_docker=True)
    assert commands.install_docker(debian) == (
        "apt-get install -y --no-install-recommends docker.io",
        "service docker start",
    )


@pytest.mark.parametrize(
    "system",
    [
        UBUNTU,
        replace(UBUNTU, id="rocky", docker_reached=True, nvidia_reached=True, apt=False),
    ],
)
def test_where_nothing_is_to_be_had_nothing_is_typed(system: System) -> None:
    assert commands.install_docker(system) == commands.install_toolkit(system) == ()


def test_the_toolkit_ends_with_a_docker_that_knows_it() -> None:
    lines = commands.install_toolkit(replace(UBUNTU, nvidia_reached=True))
    assert lines[-3:] == (
        "apt-get install -y nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker",
        "systemctl restart docker",
    )


@given(st.text())
def test_a_users_name_is_one_word_whatever_is_in_it(user: str) -> None:
    if "\0" not in user:
        assert shlex.split(commands.permit(user)[1])[3:] == [user]


def test_only_who_is_not_root_types_sudo() -> None:
    assert commands.shown(UBUNTU, "true") == "sudo true"
    assert commands.shown(replace(UBUNTU, root=True), "true") == "true"


@given(st.text())
def test_whatever_the_machine_answers_can_be_typed(text: str) -> None:
    system = parse(f"apt=yes\ndocker_reached=yes\n{text}")
    for line in commands.install_docker(replace(system, id="debian")):
        assert "\n" not in line
        assert "$(" not in line


def test_the_answer_is_read_line_by_line() -> None:
    text = "id=ubuntu\ncodename=noble\narchitecture=amd64\napt=yes\nsudo=no\nnoise\nid2=x"
    assert parse(text) == System("ubuntu", "noble", "amd64", apt=True)
    assert parse("id=ubuntu; rm -rf /") == System()
