"""Servers that somebody started by hand are found, verified and opened; others are left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import ARTICLE, CLASSIC, LAB2, LAB4, TINY
from tests.notebook import Notebook, get

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.machines.conftest import ByHand
    from tests.rig.box import Box

HOME = ("-v", "/home/alice/work:/workspace")
BASE_URL = {LAB4: "--ServerApp.base_url=/hub/me", LAB2: "--NotebookApp.base_url=/hub/me",
            CLASSIC: "--NotebookApp.base_url=/hub/me"}  # fmt: skip


WAYS = {
    "host network": (("--net=host",), (), ["exposed"]),
    "host network, port 5080": (("--net=host",), ("--port", "5080"), ["exposed"]),
    "published": (("-p", "8888:8888"), (), ["exposed"]),
    "published inside": (("-p", "127.0.0.1:9999:8888"), (), []),
    "unpublished": ((), (), []),
}
IN_SHORT = {(LAB2, "host network, port 5080"), (CLASSIC, "unpublished")}


@pytest.mark.parametrize(
    ("image", "docker", "jupyter", "exposed"),
    [
        pytest.param(
            image,
            *way,
            id=f"{way_name}, {image.rpartition('/')[2]}",
            marks=() if image == LAB4 or (image, way_name) in IN_SHORT else pytest.mark.long,
        )
        for image in (LAB4, LAB2, CLASSIC)
        for way_name, way in WAYS.items()
    ],
)
def test_a_server_started_as_the_article_tells_is_opened(
    laptop: Laptop,
    by_hand: ByHand,
    image: str,
    docker: tuple[str, ...],
    jupyter: tuple[str, ...],
    exposed: list[str],
) -> None:
    by_hand(*docker, *HOME, image=image, jupyter=(*ARTICLE, *jupyter))
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["container"] == "nb"
        assert connected.ready["reused"] is True
        assert connected.warnings == exposed
        assert connected.ready["server"]["version"]
        assert connected.ready["server"]["started"]
        assert Notebook(connected.ready["url"]).run("print('mine')") == "mine\n"


@pytest.mark.parametrize(
    "image",
    [LAB4, *(pytest.param(one, marks=pytest.mark.long) for one in (LAB2, CLASSIC))],
)
def test_a_server_under_a_base_url_is_opened_there(
    laptop: Laptop, by_hand: ByHand, image: str
) -> None:
    by_hand(image=image, jupyter=(*ARTICLE, BASE_URL[image]))
    with laptop.connected("gpu-box") as connected:
        assert "unowned_container" in connected.warnings
        assert connected.ready["server"]["base_url"] == "/hub/me/"
        assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"


def test_a_port_taken_on_the_box_moves_jupyter_and_it_is_found_where_it_went(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    box.docker("run", "-d", "--net=host", TINY, "httpd", "-f", "-p", "8888")
    by_hand("--net=host", *HOME)
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["server"]["port"] == 8889
        assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"


def test_our_own_server_does_not_mind_8888_being_taken_on_the_box(laptop: Laptop, box: Box) -> None:
    box.docker("run", "-d", "--net=host", TINY, "httpd", "-f", "-p", "8888")
    with laptop.connected("gpu-box", "--image", CLASSIC) as connected:
        assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"


@pytest.mark.long
def test_a_server_that_hangs_is_told_of_and_no_second_one_started(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    name = by_hand("-p", "127.0.0.1:9000:8888")
    box.kill_jupyter(name, "STOP")
    refusal = laptop.refused("gpu-box", "--image", LAB4)
    assert (refusal["error"], refusal["code"]) == ("ServerUnreachable", 4)
    assert f"in container {name}, but it did not answer within 20 s" in refusal["message"]
    assert "--new" in refusal["hint"]
    assert box.docker("ps", "-a", "--format", "{{.Names}}").stdout.split() == [name]
    box.kill_jupyter(name, "CONT")
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        assert session.ready["container"] == name


def test_a_colleagues_newer_server_is_left_alone(laptop: Laptop, box: Box, by_hand: ByHand) -> None:
    box.run(["install", "-d", "-o", "bob", "/home/bob/work"])
    by_hand(*HOME)
    by_hand("-v", "/home/bob/work:/workspace", name="of-bob", user="bob")
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["container"] == "nb"
        assert connected.warnings == []
    box.docker("rm", "-f", "nb")
    assert laptop.refused("gpu-box")["error"] == "NoImage"


def test_a_colleagues_container_is_entered_only_when_asked_for_by_name(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    box.run(["install", "-d", "-o", "bob", "/home/bob/work"])
    by_hand("-v", "/home/bob/work:/workspace", name="of-bob", user="bob")
    with laptop.connected("gpu-box", "--container", "of-bob") as connected:
        assert "others_container" in connected.warnings


def test_a_container_that_runs_as_a_colleagues_uid_is_his(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    by_hand("-u", "1001:1001", "-e", "HOME=/tmp", name="of-bob", user="bob")
    assert laptop.refused("gpu-box")["error"] == "NoImage"


@pytest.mark.parametrize("image", [LAB4, pytest.param(CLASSIC, marks=pytest.mark.long)])
def test_stale_forged_and_half_written_files_do_not_mislead(
    laptop: Laptop, box: Box, by_hand: ByHand, image: str
) -> None:
    by_hand("--init", *HOME, image=image)  # else Jupyter itself is pid 1
    runtime = "/root/.local/share/jupyter/runtime"
    files = {
        "jpserver-1.json": json.dumps(_file(1, 8888, "wrong")),
        "nbserver-1.json": json.dumps(_file(1, 9998, "stale")),
        "jpserver-77777.json": json.dumps(_file(77777, 8888, "wrong too"))[:-20],
        "nbserver-4.json": '{"port": "x", "token": ["y"]}',
    }
    for name, text in files.items():
        box.docker("exec", "nb", "sh", "-c", f"printf %s '{text}' > {runtime}/{name}")
    with laptop.connected("gpu-box") as connected:
        assert Notebook(connected.ready["url"]).run("print(1)") == "1\n"
        assert connected.warnings == []


def test_a_file_seen_in_two_containers_that_share_a_home_is_one_server(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    shared = ("-v", "/home/alice:/root")
    by_hand(*shared, name="first")
    box.docker("run", "-d", "--name", "second", *shared, LAB4, "sleep", "infinity")
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["container"] == "first"
        assert connected.warnings == []


def test_an_open_server_is_refused_unless_allowed_and_then_its_port_is_guarded(
    laptop: Laptop, by_hand: ByHand
) -> None:
    by_hand(*HOME, jupyter=(*ARTICLE, "--IdentityProvider.token="))
    assert laptop.refused("gpu-box")["error"] == "ServerOpen"
    with laptop.connected("gpu-box", "--allow-open") as connected:
        assert "open" in connected.warnings
        url, port = connected.ready["url"], connected.ready["local_port"]
        assert "token" not in url
        assert get(url + "api/status")[0] == 200
        assert get(url + "api/status", Host=f"evil.example:{port}")[0] == 403
        assert get(url + "api/status", Origin="http://evil.example")[0] == 403


def test_a_server_with_a_password_only_leads_to_its_login_page(
    laptop: Laptop, by_hand: ByHand
) -> None:
    hashed = "argon2:$argon2id$v=19$m=10240,t=10,p=8$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
    options = ("--IdentityProvider.token=", f"--PasswordIdentityProvider.hashed_password={hashed}")
    by_hand(*HOME, jupyter=(*ARTICLE, *options))
    with laptop.connected("gpu-box") as connected:
        assert "token" not in connected.ready["url"]


@pytest.mark.parametrize(
    ("docker", "jupyter"),
    [
        ((), ("jupyter", "lab", "--ip", "127.0.0.1", "--allow-root")),
        ((), ("jupyter", "lab", "--sock", "/tmp/nb.sock", "--allow-root")),
    ],
    ids=["loopback of the container", "unix socket"],
)
def test_a_server_that_no_forward_reaches_is_reached_by_the_relay_and_named_without_one(
    laptop: Laptop, box: Box, docker: tuple[str, ...], jupyter: tuple[str, ...]
) -> None:
    box.docker("run", "-d", "--name", "nb", *HOME, *docker, LAB4, *jupyter, "--no-browser")
    runtime_file = "ls /root/.local/share/jupyter/runtime/jpserver-*.json"
    box.run(["sh", "-c", f"until docker exec nb sh -c '{runtime_file}'; do sleep 0.1; done"])
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["relay"] is True
        assert Notebook(connected.ready["url"]).run("print(6 * 7)") == "42\n"
    refused = laptop.refused("gpu-box", environment={"REMOTENB_RELAY": "false"})
    assert refused["error"] == "ServerUnreachable"
    assert "nb" in refused["message"]


def test_servers_on_tls_and_on_the_v6_loopback_are_reached(
    laptop: Laptop, box: Box, by_hand: ByHand
) -> None:
    subject = ["-subj", "/CN=box", "-days", "2", "-nodes", "-newkey", "rsa:2048", "-x509"]
    box.run(["openssl", "req", *subject, "-keyout", "/home/alice/k", "-out", "/home/alice/c"])
    tls = ("--certfile=/home/alice/c", "--keyfile=/home/alice/k")
    by_hand("-v", "/home/alice:/home/alice", jupyter=(*ARTICLE, *tls))
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["url"].startswith("https://127.0.0.1:")
    box.docker("rm", "-f", "nb")
    box.docker("run", "-d", "--name", "six", "--net=host", *HOME, LAB4, *ARTICLE[:2],
               "--ip", "::1", "--allow-root", "--no-browser")  # fmt: skip
    box.run(["sh", "-c", "until ss -ltn | grep -q '\\[::1\\]:8888'; do sleep 0.1; done"])
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["container"] == "six"
        assert connected.warnings == []


@pytest.mark.long
@pytest.mark.usefixtures("host_jupyter")
def test_a_server_of_the_host_itself_is_adopted(laptop: Laptop, box: Box) -> None:
    start = "setsid jupyter lab --no-browser --port 1200 </dev/null >/dev/null 2>&1 &"
    box.run(["sh", "-c", start], user="alice")
    box.run(["sh", "-c", "until ss -ltn | grep -q 127.0.0.1:1200; do sleep 0.1; done"])
    with laptop.connected("gpu-box") as connected:
        assert connected.ready["engine"] == "host"
        assert connected.ready["server"]["port"] == 1200


def _file(pid: int, port: int, token: str) -> dict[str, object]:
    return {
        "base_url": "/", "hostname": "0.0.0.0", "password": False, "pid": pid, "port": port,
        "root_dir": "/", "secure": False, "sock": "", "token": token,
        "url": f"http://0.0.0.0:{port}/", "version": "2.0",
    }  # fmt: skip
