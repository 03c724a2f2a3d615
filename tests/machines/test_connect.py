"""The main job: one command, a notebook."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.machines.conftest import CLASSIC, LAB2, LAB4
from tests.notebook import Notebook, get
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box

CONTRACT = {
    "event", "time", "host", "url", "local_port", "engine", "container", "image", "reused",
    "joined", "relay", "server", "elapsed",
}  # fmt: skip


@pytest.mark.parametrize("image", [LAB4, pytest.param(LAB2, marks=pytest.mark.long), CLASSIC])
def test_the_first_connect_starts_a_container_and_the_second_finds_it(
    laptop: Laptop, box: Box, image: str
) -> None:
    with laptop.connected("gpu-box", "--image", image) as first:
        assert first.ready.keys() >= CONTRACT
        assert first.ready["reused"] is False
        assert first.ready["engine"] == "docker"
        assert first.ready["image"] == image
        assert first.ready["server"]["root_dir"] == "/workspace"
        assert Notebook(first.ready["url"]).run("print(6 * 7)") == "42\n"
    with laptop.connected("gpu-box") as second:
        assert second.ready["reused"] is True
        for same in ("url", "local_port", "container", "image"):
            assert second.ready[same] == first.ready[same]
        assert second.ready["server"]["started"] == first.ready["server"]["started"]
    assert len(box.docker("ps", "-q").stdout.split()) == 1


def test_while_connected_nothing_listens_beyond_loopback_and_no_token_shows(
    laptop: Laptop, box: Box
) -> None:
    before = {(one.addr, one.port) for one in box.listening()}
    with laptop.connected("gpu-box", "--image", CLASSIC) as connected:
        token = Notebook(connected.ready["url"]).token
        new = {(one.addr, one.port) for one in box.listening()} - before
        ours = psutil.Process(connected.process.pid)
        here = [one.laddr for one in ours.net_connections("tcp") if one.status == "LISTEN"]
        container = connected.ready["container"]
        seen = [
            *box.processes(),
            *(" ".join(process.cmdline()) for process in (ours, *ours.children(recursive=True))),
            box.docker("inspect", container).stdout,
            box.docker("logs", container).stdout,
            box.docker("logs", container).stderr,
        ]

        assert not new
        assert [tuple(one) for one in here] == [("127.0.0.1", connected.ready["local_port"])]
        assert not [text for text in seen if token in text]
        state = f"/home/alice/.local/state/remotenb/{container}"
        assert box.run(["stat", "-c", "%a %U", state, f"{state}/token"]).stdout == (
            "700 alice\n600 alice\n"
        )


def test_the_container_is_made_as_ngc_advises_and_comes_back_after_a_reboot(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4) as before:
        (made,) = json.loads(box.docker("inspect", before.ready["container"]).stdout)
        assert made["HostConfig"]["IpcMode"] == "host"
        assert made["HostConfig"]["Init"] is True
        assert made["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert made["Config"]["Entrypoint"] == ["/opt/nvidia/nvidia_entrypoint.sh"]
        assert made["Config"]["Labels"]["remotenb.user"] == "alice"
    box.power_off()
    box.boot()
    with laptop.connected("gpu-box") as after:
        assert after.ready["reused"] is True
        assert after.ready["url"] == before.ready["url"]
        assert after.ready["server"]["started"] != before.ready["server"]["started"]


def test_a_container_of_ours_that_was_stopped_is_started_again_with_its_token(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4) as before:
        box.docker("stop", "-t", "5", before.ready["container"])
    with laptop.connected("gpu-box", "--image", LAB4) as after:
        assert after.ready["reused"] is False
        assert after.ready["url"] == before.ready["url"]


def test_volumes_of_the_servers_home_are_mounted_and_made_as_the_user(
    laptop: Laptop, box: Box
) -> None:
    volumes = ("--volume", "~/my work, new:/data", "--volume", "/etc/ssh:/ro:ro")
    with laptop.connected("gpu-box", "--image", LAB4, *volumes) as connected:
        notebook = Notebook(connected.ready["url"])
        assert notebook.run("open('/data/made', 'w').write('x')") == ""
        assert "read-only" in notebook.run(
            "try:\n open('/ro/x', 'w')\nexcept OSError as e:\n print(str(e).lower())"
        ).replace("read only", "read-only")
    made = box.run(["stat", "-c", "%U", "/home/alice/my work, new"]).stdout.strip()
    assert made == "alice"
    assert box.run(["ls", "/home/alice/my work, new"]).stdout == "made\n"


def test_the_laptops_own_home_in_a_volume_means_the_servers(laptop: Laptop, box: Box) -> None:
    volume = f"{laptop.home}/work:/workspace"
    with laptop.connected("gpu-box", "--image", LAB4, "--volume", volume) as connected:
        assert "home_of_laptop" in connected.warnings
        (made,) = json.loads(box.docker("inspect", connected.ready["container"]).stdout)
        assert "/home/alice/work" in [mount["Source"] for mount in made["Mounts"]]


def test_new_starts_one_more_and_container_chooses(laptop: Laptop) -> None:
    with laptop.connected("gpu-box", "--image", LAB4) as first:
        with laptop.connected("gpu-box", "--image", LAB4, "--new") as second:
            assert second.ready["container"] != first.ready["container"]
            assert second.ready["local_port"] != first.ready["local_port"]
        name = second.ready["container"]
        with laptop.connected("gpu-box", "--container", name) as chosen:
            assert chosen.ready["container"] == name
            assert chosen.ready["reused"] is True
        with laptop.connected("gpu-box", "--image", LAB4, "--port", "21001") as own:
            assert own.ready["container"] == first.ready["container"]
            assert "several" in own.warnings
            assert own.ready["local_port"] == 21001


def test_jupyter_is_started_in_a_container_of_mine_that_has_none(laptop: Laptop, box: Box) -> None:
    box.docker("run", "-dit", "--name", "mine", "-v", "/home/alice:/home/alice", LAB4)
    with laptop.connected("gpu-box", "--container", "mine") as connected:
        assert connected.ready["container"] == "mine"
        assert connected.ready["reused"] is False
        assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"
        assert not [p for p in box.processes() if Notebook(connected.ready["url"]).token in p]
    with laptop.connected("gpu-box") as again:
        assert again.ready["reused"] is True
        assert again.ready["url"] == connected.ready["url"]


@pytest.mark.usefixtures("host_jupyter")
def test_jupyter_of_the_host_serves_where_no_container_is_wanted(laptop: Laptop, box: Box) -> None:
    with laptop.connected("gpu-box", "--engine", "host") as connected:
        assert connected.ready["engine"] == "host"
        assert connected.ready["container"] is None
        assert Notebook(connected.ready["url"]).run("import os; print(os.getcwd())")
        new = [one for one in box.listening() if one.port == connected.ready["server"]["port"]]
        assert [one.addr for one in new] == ["127.0.0.1"]
    with laptop.connected("gpu-box", "--engine", "host") as again:
        assert again.ready["url"] == connected.ready["url"]
    box.run(["pkill", "-u", "alice", "-f", "jupyter"])
    states = ["sh", "-c", "ls /home/alice/.local/state/remotenb"]
    until(lambda: not box.run(states).stdout, "the state folder taken away")


ANOTHER_ENVIRONMENT = """
mkdir -p ~/envs/empty/bin && ln -s /usr/bin/python3 ~/envs/empty/bin/python
cp -r /opt/jupyter ~/envs/torch
sed -i "s|/opt/jupyter|$HOME/envs/torch|" ~/envs/torch/bin/* ~/envs/torch/pyvenv.cfg
"""
LIKE_CONDA = """
mkdir -p ~/.conda ~/envs/torch/conda-meta ~/envs/torch/etc/conda/activate.d
echo ~/envs/torch >~/.conda/environments.txt
echo 'of=(bash alone); export FROM_A_PACKAGE=${of[1]}' >~/envs/torch/etc/conda/activate.d/x.sh
"""
WHERE = "import os, sys; print(sys.prefix, *map(os.environ.get, {}))"


@pytest.mark.usefixtures("host_jupyter")
def test_an_environment_of_the_host_is_entered_and_no_other_is_taken_for_it(
    laptop: Laptop, box: Box
) -> None:
    box.run(["sh", "-ec", ANOTHER_ENVIRONMENT], user="alice")
    torch = "/home/alice/envs/torch"
    in_torch = {"REMOTENB_ENVIRONMENT": "~/envs/torch"}
    with laptop.connected("gpu-box", "--engine", "host") as other:
        assert other.ready["reused"] is False
    with laptop.connected("gpu-box", environment=in_torch) as own:
        assert (own.ready["engine"], own.ready["reused"]) == ("host", False)
        said = Notebook(own.ready["url"]).run(WHERE.format(["VIRTUAL_ENV"]))
        assert said.split() == [torch, torch]
    with laptop.connected("gpu-box", environment=in_torch) as again:
        assert again.ready["url"] == own.ready["url"]
    box.run(["pkill", "-u", "alice", "-f", "jupyter"])
    box.run(["sh", "-ec", LIKE_CONDA], user="alice")
    by_name = {"REMOTENB_ENVIRONMENT": "torch"}
    with laptop.connected("gpu-box", environment=by_name) as own:
        said = Notebook(own.ready["url"]).run(WHERE.format(["CONDA_PREFIX", "FROM_A_PACKAGE"]))
        assert said.split() == [torch, torch, "alone"]
    box.run(["pkill", "-u", "alice", "-f", "jupyter"])
    for name, word in (("nope", "no Python environment nope"), ("~/envs/empty", "no Jupyter in")):
        missing = laptop.refused("gpu-box", environment={"REMOTENB_ENVIRONMENT": name})
        assert (missing["error"], word in missing["message"]) == ("JupyterMissing", True)


def test_a_terminate_or_hangup_closes_the_tunnel_and_leaves_the_notebook(
    laptop: Laptop, box: Box
) -> None:
    for name, reason in (("SIGTERM", "terminated"), ("SIGHUP", "hangup")):
        with laptop.connected("gpu-box", "--image", CLASSIC) as connected:
            assert connected.stop(signal.Signals[name]) == 0
            assert connected.events[-1]["reason"] == reason
    assert len(box.docker("ps", "-q").stdout.split()) == 1


def test_a_decoy_on_the_local_port_is_never_taken_for_ours(laptop: Laptop) -> None:
    with laptop.connected("gpu-box", "--image", CLASSIC) as first:
        port = first.ready["local_port"]
    with socket.create_server(("127.0.0.1", port)):
        with laptop.connected("gpu-box") as second:
            assert second.ready["local_port"] == port + 1
            assert get(second.ready["url"])[0] == 200
        refused = laptop.refused("gpu-box", "--port", str(port))
        assert (refused["error"], refused["code"]) == ("PortTaken", 5)
