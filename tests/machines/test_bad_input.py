"""What goes wrong gets one line, a hint and its exit code; nothing is left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from remotenb.tunnel.listener import ports_for
from tests.machines.conftest import BARE, CLASSIC, LAB4, TINY
from tests.notebook import Notebook
from tests.rig.failures import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab


def nothing_left(box: Box) -> bool:
    """No container, no state folder, no Jupyter."""
    states = "ls -A /home/alice/.local/state/remotenb 2>/dev/null; true"
    return (
        not box.docker("ps", "-aq", user="root").stdout
        and not box.run(["sh", "-c", states]).stdout
        and not [line for line in box.processes() if "jupyter" in line]
    )


def config(laptop: Laptop, text: str) -> tuple[str, str]:
    """Options that name a config file with ``text`` for gpu-box."""
    file = laptop.home / "config.toml"
    file.write_text(f"[hosts.gpu-box]\n{text}\n", encoding="utf-8")
    return "--config", str(file)


def test_no_docker_permission_tells_how_to_join_the_group(laptop: Laptop) -> None:
    refused = laptop.refused("gpu-box-carol", "--image", LAB4)
    assert (refused["error"], refused["code"]) == ("EngineNotPermitted", 4)
    assert "usermod -aG docker carol" in refused["hint"]


def test_a_daemon_that_is_down_is_named(laptop: Laptop, box: Box) -> None:
    box.dockerd_stop()
    refused = laptop.refused("gpu-box", "--image", LAB4)
    assert (refused["error"], refused["code"]) == ("EngineDown", 4)


def test_no_docker_at_all_is_named(laptop: Laptop, box: Box) -> None:
    hidden = "for d in /usr/bin /usr/local/bin; do [ ! -e $d/docker ] || mv $d/docker $d/no; done"
    box.run(["sh", "-c", hidden])
    try:
        refused = laptop.refused("gpu-box", "--image", LAB4)
    finally:
        box.run(["sh", "-c", hidden.replace("docker ] ||", "no ] ||").replace(
            "mv $d/docker $d/no", "mv $d/no $d/docker")])  # fmt: skip
    assert (refused["error"], refused["code"]) == ("EngineMissing", 4)


def test_sudo_docker_serves_where_the_group_does_not(laptop: Laptop, box: Box) -> None:
    """The box has no sudo: a setuid setpriv stands in for one that asks for no password."""
    box.run(["install", "-m", "4755", "/usr/bin/setpriv", "/usr/local/bin/as-root"])
    as_root = 'exec as-root --reuid 0 --regid 0 --clear-groups -- "$@"'
    box.write("/usr/local/bin/sudo", f'#!/bin/sh\n[ "$1" = -n ] && shift\n{as_root}\n', mode=0o755)
    try:
        with laptop.connected("gpu-box-carol", "--image", CLASSIC) as connected:
            assert connected.ready["engine"] == "docker"
            assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"
    finally:
        box.run(["rm", "/usr/local/bin/sudo", "/usr/local/bin/as-root"])


def test_without_an_image_the_boxs_images_are_listed(laptop: Laptop) -> None:
    refused = laptop.refused("gpu-box")
    assert (refused["error"], refused["code"]) == ("NoImage", 4)
    assert LAB4 in refused["hint"]


def test_an_image_that_is_not_there_is_not_pulled(laptop: Laptop, box: Box) -> None:
    refused = laptop.refused("gpu-box", "--image", "nvcr.io/nvidia/nemo:25.07")
    assert (refused["error"], refused["code"]) == ("ImageMissing", 4)
    assert LAB4 in refused["hint"]
    assert nothing_left(box)


def test_a_name_that_is_somebody_elses_is_not_touched(laptop: Laptop, box: Box) -> None:
    box.run(["install", "-d", "-o", "bob", "/home/bob/work"])
    box.docker("run", "-d", "--name", "mine", "-v", "/home/bob/work:/w", TINY, "sleep", "999",
               user="bob")  # fmt: skip
    options = config(laptop, f'image = "{LAB4}"\ncontainer_name = "mine"')
    refused = laptop.refused("gpu-box", *options)
    assert (refused["error"], refused["code"]) == ("NameTaken", 4)
    assert "bob" in refused["message"]
    assert box.docker("inspect", "-f", "{{.State.Running}}", "mine").stdout == "true\n"


def test_an_image_without_jupyter_is_said_to_have_none(laptop: Laptop, box: Box) -> None:
    refused = laptop.refused("gpu-box", "--image", BARE)
    assert (refused["error"], refused["code"]) == ("JupyterMissing", 4)
    assert nothing_left(box)


@pytest.mark.parametrize(
    ("jupyter", "error", "log"),
    [
        ("echo it breaks; exit 3", "JupyterFailed", "it breaks"),
        ("seq 10000; echo the end; exit 3", "JupyterFailed", "the end"),
        ("echo asleep; sleep 999", "JupyterNotReady", "asleep"),
    ],
    ids=["dies at once", "logs 10 000 lines first", "never gets ready"],
)
def test_a_jupyter_that_does_not_come_up_shows_the_end_of_its_log(
    laptop: Laptop, box: Box, jupyter: str, error: str, log: str
) -> None:
    box.write("/home/alice/jupyter", f"#!/bin/sh\n{jupyter}\n", mode=0o755)
    options = config(laptop, f'image = "{LAB4}"\nstart_timeout = 4')
    mount = "/home/alice/jupyter:/usr/local/bin/jupyter"
    refused = laptop.refused("gpu-box", *options, "--volume", mount)
    assert (refused["error"], refused["code"]) == (error, 4)
    assert log in refused["detail"]
    assert len(refused["detail"].splitlines()) <= 30
    assert nothing_left(box)


def test_ctrl_c_while_it_starts_leaves_nothing_and_exits_130(laptop: Laptop, box: Box) -> None:
    box.write("/home/alice/jupyter", "#!/bin/sh\nsleep 999\n", mode=0o755)
    mount = "/home/alice/jupyter:/usr/local/bin/jupyter"
    process = subprocess.Popen(
        laptop.argv("connect", "gpu-box", "--image", LAB4, "--volume", mount),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=laptop.environment,
    )
    deadline = time.monotonic() + 30
    while "remotenb-" not in box.docker("ps", "--format", "{{.Names}}").stdout:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    until(lambda: nothing_left(box), "everything taken away")


def test_a_missing_volume_that_cannot_be_made_is_named(laptop: Laptop, box: Box) -> None:
    refused = laptop.refused("gpu-box", "--image", LAB4, "--volume", "/no/such:/data")
    assert (refused["error"], refused["code"]) == ("MountMissing", 4)
    assert "/no/such" in refused["message"]
    assert nothing_left(box)


def test_a_full_disk_of_the_box_is_named(laptop: Laptop, box: Box) -> None:
    fill = """
        mkdir -p /home/alice/.local && mount -t tmpfs -o size=16k t /home/alice/.local
        chown alice: /home/alice/.local; head -c 1M /dev/zero >/home/alice/.local/full; true
    """
    box.run(["sh", "-c", fill])
    try:
        refused = laptop.refused("gpu-box", "--image", LAB4)
    finally:
        box.run(["umount", "/home/alice/.local"])
    assert (refused["error"], refused["code"]) == ("DiskFull", 4)
    assert nothing_left(box)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--container", "nowhere"), "ContainerMissing"),
        (("--container", "halted"), "ContainerNotRunning"),
        (("--container", "tiny"), "JupyterMissing"),
    ],
)
def test_a_container_that_will_not_do_is_named(
    laptop: Laptop, box: Box, arguments: tuple[str, ...], error: str
) -> None:
    box.docker("create", "--name", "halted", TINY)
    box.docker("run", "-d", "--name", "tiny", TINY, "sleep", "999")
    refused = laptop.refused("gpu-box", *arguments)
    assert (refused["error"], refused["code"]) == (error, 4)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--gpus", "some"), "UsageError"),
        (("--volume", "only-one"), "UsageError"),
        (("--port", "70000"), "ConfigError"),
        (("--forward", "0"), "UsageError"),
        (("--engine", "lxc"), "UsageError"),
    ],
)
def test_a_wrong_option_is_a_usage_error_before_anything_is_done(
    laptop: Laptop, arguments: tuple[str, ...], error: str
) -> None:
    refused = laptop.refused("nowhere.invalid", *arguments)
    assert (refused["error"], refused["code"]) == (error, 2)


def test_a_config_that_cannot_be_used_is_a_usage_error_that_names_it(
    laptop: Laptop, tmp_path: Path
) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes('[hosts.x]\nimage = "Übung"\n'.encode("latin-1"))
    for file in (tmp_path, tmp_path / "absent.toml", latin):
        refused = laptop.refused("gpu-box", "--config", str(file))
        assert (refused["error"], refused["code"]) == ("ConfigError", 2)
        assert str(file) in refused["message"]


def test_ports_exhausted_is_a_local_error(laptop: Laptop, lab: Lab) -> None:
    with laptop.connected("gpu-box", "--image", CLASSIC) as connected:
        container = connected.ready["container"]
    taken: list[socket.socket] = []
    try:
        ports = ports_for(f"alice@{lab.box.ip}", container)
        taken += [socket.create_server(("127.0.0.1", port)) for port in ports]
        refused = laptop.refused("gpu-box")
    finally:
        for sock in taken:
            sock.close()
    assert (refused["error"], refused["code"]) == ("PortTaken", 5)
