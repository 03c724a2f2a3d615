"""Packages in a container of a box without internet; the laptop's index is a folder of wheels."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import BARE, LAB4, did, on
from tests.notebook import Notebook, get
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.laptop import Done, Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

NATIVE = "cp311-cp311-manylinux_2_17_x86_64"


LAB = """
# A stand-in: no more of Jupyter than what is asked before a notebook is called ready.
import http.server, json, os, sys
args = dict(one[2:].split("=", 1) for one in sys.argv[1:] if "=" in one)
token = open(os.environ["JUPYTER_TOKEN_FILE"]).read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        allowed = token in self.headers.get("Authorization", "") + self.path
        answers = {"/api": {"version": "2.0"}, "/api/status": {"started": "2026-01-01T00:00:00Z",
                   "kernels": 0, "connections": 0, "last_activity": "2026-01-01T00:00:00Z"},
                   "/api/kernels": [], "/api/contents": {"type": "directory"}}
        code = 200 if path == "/api" else 403 if not allowed else 200 if path in answers else 404
        body = json.dumps(answers.get(path, {})).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def main():
    port = int(args["port"])
    server = http.server.ThreadingHTTPServer((args["ip"], port), Handler)
    facts = {"pid": os.getpid(), "port": server.server_port, "token": token, "base_url": "/",
             "secure": False, "root_dir": "/", "url": "", "hostname": "", "sock": ""}
    name = "jpserver-%d.json" % os.getpid()
    with open(os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], name), "w") as file:
        json.dump(facts, file, indent=2)
    server.serve_forever()
"""


@pytest.fixture
def index(laptop: Laptop) -> Mapping[str, str]:
    """The laptop's index, as pip's own settings name it."""
    folder = laptop.home / "index"
    folder.mkdir()
    wheel(folder, "mine", requires="native")
    for tag in (NATIVE, "cp311-cp311-win_amd64", "cp312-cp312-manylinux_2_17_x86_64"):
        wheel(folder, "native", tag=tag)
    (folder / "onlysource-1.0.tar.gz").write_bytes(b"")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def install(laptop: Laptop, index: Mapping[str, str], *args: str) -> Done:
    return laptop.run(*on(laptop, "install", "gpu-box", *args), environment=dict(index))


def test_a_closed_box_gets_what_it_lacks_from_the_laptop_and_nothing_stays_behind(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    box.docker(
        "run",
        "-d",
        "--init",
        "--name",
        "mine",
        "-u",
        "1000:1000",
        "-e",
        "HOME=/tmp/alice",
        LAB4,
        "sleep",
        "1000",
    )
    (laptop.home / "r.txt").write_text("# what the model needs\nmine>=1  # and its own\n")
    done = install(
        laptop, index, "-r", str(laptop.home / "r.txt"), "jupyterlab", "--container=mine"
    )
    assert done.code == 0, done
    told = done.events[-1]
    assert told["carried"] == ["mine-1.0-py3-none-any.whl", f"native-1.0-{NATIVE}.whl"]
    assert (told["python"], told["index"]) == ("3.11", None)
    imported = "import mine, native; print(native.me)"
    assert box.docker("exec", "mine", "python3", "-c", imported).stdout == f"{NATIVE}\n"
    for name, word in (("onlysource", "source only"), ("native==2", "name right")):
        failed = install(laptop, index, name, "--container=mine")
        assert failed.error["error"] == "WheelsMissing"
        assert word in failed.error["hint"]
    assert "remotenb-wheels" not in box.docker("exec", "mine", "ls", "/tmp").stdout


@pytest.mark.long
def test_what_pip_over_there_says_is_shown_when_it_fails(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    readonly = ("--read-only", "--tmpfs=/tmp", "--label=remotenb.user=alice")
    box.docker("run", "-d", "--init", "--name", "mine", *readonly, LAB4, "sleep", "1000")
    failed = install(laptop, index, "mine")
    assert failed.error["error"] == "InstallFailed"
    assert "Read-only" in failed.error["detail"]
    assert "remotenb-wheels" not in box.docker("exec", "mine", "ls", "/tmp").stdout


@pytest.mark.long
def test_a_box_with_an_index_of_its_own_is_left_to_it(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    box.run(["mkdir", "-p", "/srv/index"])
    serve = "cd /srv/index && exec python3 -m http.server 8099 --bind 127.0.0.1"
    box.run(["sh", "-c", f"mkdir -p /srv/index/pip && ({serve}) >/dev/null 2>&1 &"])
    start = ("run", "-d", "--init", "--name", "mine", "--net=host")
    box.docker(*start, "--label=remotenb.user=alice", LAB4, "sleep", "1000")
    config = "printf '[global]\\nindex-url = http://127.0.0.1:8099\\n' >/etc/pip.conf"
    box.docker("exec", "mine", "sh", "-c", config)
    told = did(laptop, "install", "gpu-box", "jupyterlab")
    assert (told["index"], told["carried"]) == ("http://127.0.0.1:8099", None)
    offline = install(laptop, index, "mine", "--offline")
    assert offline.events[-1]["carried"], offline


def packages_of(box: Box, container: str) -> str:
    return box.docker("exec", container, "python3", "-m", "pip", "list").stdout


def test_an_image_without_jupyter_gets_it_if_that_was_said_and_keeps_it(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    wheel(laptop.home / "index", "jupyterlab", script=LAB)
    wish = ("gpu-box", "--image", BARE)
    refused = laptop.refused(*wish, environment=dict(index))
    assert refused["error"] == "JupyterMissing"
    assert "--install-jupyter" in refused["hint"]
    assert box.docker("ps", "-aq").stdout == ""
    with laptop.connected(*wish, "--install-jupyter", environment=dict(index)) as session:
        name = session.ready["container"]
        assert "jupyterlab" in packages_of(box, name)
        assert box.run(["find", "/home/alice", "!", "-user", "alice"]).stdout == ""
    box.docker("restart", "-t", "1", name)
    with laptop.connected(*wish) as session:
        assert session.ready["container"] == name


@pytest.mark.long
def test_a_container_without_jupyter_gets_it_too(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    wheel(laptop.home / "index", "jupyterlab", script=LAB)
    box.docker("run", "-d", "--init", "--name", "mine", BARE, "sleep", "1000", user="alice")
    wish = ("gpu-box", "--container", "mine")
    assert "--install-jupyter" in laptop.refused(*wish, environment=dict(index))["hint"]
    with laptop.connected(*wish, "--install-jupyter", environment=dict(index)) as session:
        assert session.ready["container"] == "mine"


def test_what_cannot_be_fetched_leaves_no_container(laptop: Laptop, box: Box) -> None:
    nothing = {"PIP_NO_INDEX": "1"}
    error = laptop.refused("gpu-box", "--image", BARE, "--install-jupyter", environment=nothing)
    assert error["error"] == "WheelsMissing"
    assert box.docker("ps", "-aq").stdout == ""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_real_jupyterlab_reaches_a_closed_box_from_pypi(
    laptop: Laptop, box: Box, lab: Lab
) -> None:
    folder = laptop.home / "pypi"
    target = ("--python-version=3.11", "--only-binary=:all:", "--platform=manylinux2014_x86_64")
    argv = [sys.executable, "-m", "pip", "download", "-q", *target, "-d", str(folder)]
    lab.leave_laptop()
    try:
        subprocess.run([*argv, "jupyterlab"], check=True)
    finally:
        lab.enter_laptop()
    wish = ("gpu-box", "--image", BARE, "--install-jupyter")
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    with laptop.connected(*wish, environment=environment) as session:
        assert Notebook(session.ready["url"]).run("print(6 * 7)") == "42\n"
        did(laptop, "commit", "gpu-box", "alice/lab:1")
    with laptop.connected("gpu-box-bob", "--image", "alice/lab:1") as session:
        notebook = Notebook(session.ready["url"])
        assert notebook.run("import os; print(os.getuid())") == "1001\n"
        assert b"jupyter-config-data" in get(session.ready["url"])[1]
