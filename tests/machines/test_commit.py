"""An image of a container: what was installed is in it, what is private is not."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.machines.conftest import LAB4, TINY, did, on, refused
from tests.notebook import Notebook
from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laptop import Laptop
    from tests.rig.box import Box

PRIVATE = """
mkdir -p ~/.ssh ~/.cache/pip ~/.config/pip ~/.jupyter /tmp/x
for file in ~/.bash_history ~/.ssh/id ~/.netrc ~/.cache/pip/x ~/.jupyter/c.json /tmp/x/y; do
    echo S3CRET >"$file"
done
"""
INSTALLED = """
site=$(python3 -c 'import site; print(site.getusersitepackages())')
mkdir -p "$site/mine" && echo 'answer = 42' >"$site/mine/__init__.py"
mkdir ~/.local/bin && echo '#!/bin/sh' >~/.local/bin/tool && chmod +x ~/.local/bin/tool
"""
AS_ROOT = """
useradd zed
site=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir "$site/mine" && echo 'answer = 41' >"$site/mine/__init__.py"
rm -rf /usr/share/zoneinfo/Africa /usr/share/zoneinfo/Asia /usr/share/zoneinfo/Zulu
mkdir /usr/share/zoneinfo/Asia && echo new >/usr/share/zoneinfo/Asia/Mine
dd if=/dev/zero of=/opt/big bs=1M count=128 2>/dev/null
echo one >/opt/one && ln /opt/one /opt/two && ln -s nowhere '/opt/a b' && chmod 4711 /opt/one
"""
SEEN = """
grep -rl S3CRET / --include='*' --exclude-dir=proc --exclude-dir=sys 2>/dev/null
grep -c alice /etc/passwd /etc/group
grep -c zed /etc/passwd
ls /usr/share/zoneinfo/Asia /usr/share/zoneinfo | grep -x 'Mine\\|Africa\\|Zulu'
stat -c '%a %h %n' /opt/one /opt/two; readlink '/opt/a b'; ls /run/remotenb 2>&1 | wc -l
"""
SLOW = """#!/bin/sh
case "$*" in cp*-*) : >/tmp/begun; while [ ! -e /tmp/go ]; do sleep 0.1; done ;; esac
exec /usr/bin/docker "$@" 2>/dev/null
"""
"""A docker that waits when it is to copy, and complains of nobody who listens."""
SAME = ("Entrypoint", "Cmd", "User", "Env", "WorkingDir", "ExposedPorts", "Volumes")


def configured(box: Box, image: str) -> dict[str, Any]:
    """How containers of it start."""
    found: dict[str, Any] = json.loads(
        box.docker("image", "inspect", "-f", "{{json .Config}}", image).stdout
    )
    return found


def test_what_was_installed_is_in_it_what_is_private_is_not_and_no_kernel_is_frozen_unasked(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4, "--volume", "~/data:/data") as session:
        name = session.ready["container"]
        box.docker("exec", name, "sh", "-c", PRIVATE + INSTALLED)
        box.docker("exec", "-u", "0", name, "sh", "-c", AS_ROOT)
        notebook = Notebook(session.ready["url"])
        notebook.run("open('/data/mounted', 'w').write('S3CRET')")
        with notebook.busy():
            error = refused(laptop, "commit", "gpu-box", "alice/mine:1")
            assert "1 kernel is busy, and a commit would freeze" in error["message"]
            assert "--no-pause" in error["hint"]
        done = laptop.run(*on(laptop, "commit", "gpu-box", "alice/mine:1"))
        assert done.code == 0, done
        found, last = done.events
        assert (last["what"], last["name"]) == ("committed", "alice/mine:1")
        assert {"/data", "/run/remotenb"} <= set(found["mounts"])
        assert {"/home/alice/.ssh", "/home/alice/.bash_history"} <= set(found["left_out"])
        assert {one["path"] for one in found["folders"]} >= {"/opt", "/home/alice/.local"}
        before, after = configured(box, LAB4), configured(box, "alice/mine:1")
        for key in SAME:
            assert (after.get(key) or None) == (before.get(key) or None), key
        labels = {key: after["Labels"].pop(key) for key in ("remotenb.base", "remotenb.committed")}
        assert (labels["remotenb.base"], after["Labels"]) == (LAB4, before.get("Labels") or {})
        seen = box.docker("run", "--rm", "--entrypoint=sh", "alice/mine:1", "-c", SEEN).stdout
        assert seen.split("\n")[:-1] == [
            *("/etc/passwd:0", "/etc/group:0", "1", "Mine"),
            *("4711 2 /opt/one", "4711 2 /opt/two", "nowhere", "1"),
        ]
        for who in ("4242:4242", "0:0"):
            ask = ("--user", who, "-e", "HOME=/", "--entrypoint=python3", "alice/mine:1")
            answer = box.docker("run", "--rm", *ask, "-c", "import mine; print(mine.answer)")
            assert answer.stdout == "42\n"
        assert box.docker("ps", "-aq").stdout.count("\n") == 1
        assert "<none>" not in box.docker("images", "-a").stdout
        error = refused(laptop, "commit", "gpu-box", "alice/mine:1")
        assert (error["error"], "--yes" in error["hint"]) == ("UsageError", True)
        box.docker("rm", "-f", name)
    with laptop.connected("gpu-box", "--image", "alice/mine:1") as session:
        notebook = Notebook(session.ready["url"])
        assert notebook.run("import mine, os; print(mine.answer, os.getuid())") == "42 1000\n"
        assert (
            notebook.run("import subprocess as s; print(s.getoutput('tool; whoami'))") == "alice\n"
        )


@contextmanager
def failing(box: Box, words: str) -> Iterator[None]:
    """A FAKE docker before the real one: it fails as with a full disk at such a command."""
    script = f"""#!/bin/sh
case "$*" in {words}) echo 'Error: write /x: no space left on device' >&2; exit 1 ;; esac
exec /usr/bin/docker "$@"
"""
    box.write("/usr/local/bin/docker", script, mode=0o755)
    yield
    box.run(["rm", "/usr/local/bin/docker"])


@pytest.mark.parametrize(
    "words",
    [
        "cp*-*",
        pytest.param("commit*--pause=true*", marks=pytest.mark.long),
        pytest.param("commit*--pause=false*", marks=pytest.mark.long),
    ],
)
def test_a_full_disk_leaves_no_half_of_an_image_and_the_container_runs_on(
    laptop: Laptop, box: Box, words: str
) -> None:
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "mine", label, TINY, "sleep", "1000")
    box.docker("exec", "mine", "sh", "-c", "echo new >/new; rm /etc/hostname; rm -rf /bin/ar")
    with failing(box, words):
        assert refused(laptop, "commit", "gpu-box", "alice/x:1")["error"] == "DiskFull"
    assert "<none>" not in (images := box.docker("images", "-a").stdout)
    assert "alice/x" not in images
    assert box.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout == "mine running\n"
    box.docker("kill", "mine")
    assert did(laptop, "commit", "gpu-box", "alice/x:1")["what"] == "committed"
    shown = box.docker("run", "--rm", "alice/x:1", "sh", "-c", "cat /new; ! ls /bin/ar")
    assert shown.stdout == "new\n"


def test_a_commit_that_was_interrupted_leaves_no_image_that_nobody_asked_for(
    laptop: Laptop, box: Box
) -> None:
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "mine", label, TINY, "sleep", "1000")
    box.docker("exec", "mine", "sh", "-c", "echo new >/new")
    box.write("/usr/local/bin/docker", SLOW, mode=0o755)
    argv = laptop.argv(*on(laptop, "commit", "gpu-box", "alice/x:1"))
    with subprocess.Popen(argv, env=laptop.environment, stdout=subprocess.PIPE) as process:
        until(lambda: box.path("/tmp/begun").exists(), "the copy's beginning")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    box.write("/tmp/go", "")
    until(lambda: not list(box.path("/tmp").glob("tmp.*")), "the end of it over there")
    box.run(["rm", "/usr/local/bin/docker"])
    assert "<none>" not in box.docker("images", "-a").stdout
    assert box.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout == "mine running\n"


@pytest.mark.parametrize("name", ["Upper:1", "a b", "x:", "x@sha256:" + "0" * 64, "-x", "$(id)"])
def test_a_name_that_docker_would_refuse_needs_no_connection(laptop: Laptop, name: str) -> None:
    assert refused(laptop, "commit", "gpu-box", "--", name)["error"] == "UsageError"
