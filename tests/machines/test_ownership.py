"""Files that a notebook writes are its user's, whatever the image knows of that user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import (
    CLASSIC,
    LAB2,
    LAB4,
    SECOND_DOCKER,
    TINY,
    did,
    refused,
    second_docker,
)
from tests.notebook import Notebook

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box

WHO = """\
import getpass, grp, os, pwd, subprocess
print(os.getuid(), os.getgid(), getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name)
print(os.path.expanduser("~"), os.access(os.path.expanduser("~"), os.W_OK))
print(subprocess.check_output("whoami; id -gn", shell=True, text=True).split())
"""
WRITE = """\
import os, pathlib
for folder in ("/workspace", "/data", os.path.expanduser("~/.cache/x")):
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "made.txt").write_text("by a cell")
    print(path.stat().st_uid)
"""
BIG_UID = 1_000_055


def owner(box: Box, path: str) -> str:
    """user:group of a path of the box, by number."""
    return box.run(["stat", "-c", "%u:%g", path]).stdout.strip()


@pytest.mark.parametrize("image", [LAB4, pytest.param(LAB2, marks=pytest.mark.long), CLASSIC])
def test_a_cell_is_its_user_by_number_and_name_and_so_are_its_files(
    laptop: Laptop, box: Box, image: str
) -> None:
    with laptop.connected("gpu-box", "--image", image, "--volume", "~/new data:/data") as session:
        notebook = Notebook(session.ready["url"])
        uid, gid, *names = notebook.run(WHO).splitlines()[0].split()
        assert (uid, gid, *names) == ("1000", "1000", "alice", "alice")
        assert notebook.run(WHO).splitlines()[1:] == [
            "/home/alice True",
            "['alice', 'alice']",
        ]
        assert notebook.run(WRITE).split() == ["1000", "1000", "1000"]
        assert owner(box, "/home/alice/new data/made.txt") == "1000:1000"
        state = f"/home/alice/.local/state/remotenb/{session.ready['container']}"
        everything = box.run(["find", state, "!", "-user", "alice"]).stdout
        assert everything == ""
        assert box.docker("exec", session.ready["container"], "whoami").stdout == "alice\n"


def test_the_groups_of_the_user_open_shared_folders(laptop: Laptop, box: Box) -> None:
    box.run(["sh", "-c", "echo 'brats:x:4711:alice' >>/etc/group"])
    box.run(["install", "-d", "-m", "2770", "-g", "4711", "/srv/brats"])
    with laptop.connected("gpu-box", "--image", LAB4, "--volume", "/srv/brats:/data") as session:
        Notebook(session.ready["url"]).run("open('/data/mine', 'w').close()")
        assert owner(box, "/srv/brats/mine") == "1000:4711"


def test_a_directory_services_uid_is_no_different(laptop: Laptop, box: Box) -> None:
    box.run(["usermod", "-u", str(BIG_UID), "alice"])
    box.run(["chown", "-R", f"{BIG_UID}:1000", "/home/alice"])
    with laptop.connected("gpu-box", "--image", LAB4, "--volume", "~/work:/data") as session:
        assert Notebook(session.ready["url"]).run(WRITE).split() == [str(BIG_UID)] * 3
        assert owner(box, "/home/alice/work/made.txt") == f"{BIG_UID}:1000"


def test_packages_are_installed_without_root_and_their_commands_found(
    laptop: Laptop, box: Box
) -> None:
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        notebook = Notebook(session.ready["url"])
        notebook.run(
            "import pathlib; p = pathlib.Path('/tmp/p'); p.mkdir()\n"
            "(p / 'pyproject.toml').write_text('[project]\\nname=\"mine\"\\nversion=\"1\"\\n'\n"
            "  '[project.scripts]\\nmine-says = \"mine:main\"\\n')\n"
            "(p / 'mine.py').write_text('def main(): print(42)')\n"
        )
        said = notebook.run(
            "import subprocess; print(subprocess.run('pip install --no-build-isolation --no-deps"
            " /tmp/p && mine-says', shell=True, text=True, capture_output=True))"
        )
        assert "42" in said, said
    assert box.run(["find", "/home/alice", "!", "-user", "alice"]).stdout == ""


def test_the_images_own_user_is_still_to_be_had(laptop: Laptop) -> None:
    environment = {"REMOTENB_CONTAINER_USER": "image"}
    with laptop.connected("gpu-box", "--image", LAB4, environment=environment) as session:
        assert Notebook(session.ready["url"]).run("import os; print(os.getuid())") == "0\n"


def test_a_container_that_ran_as_root_before_is_no_hindrance(laptop: Laptop, box: Box) -> None:
    environment = {"REMOTENB_CONTAINER_USER": "image"}
    with laptop.connected("gpu-box", "--image", LAB4, environment=environment) as session:
        assert "runs_as_root" not in session.warnings
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        assert "runs_as_root" in session.warnings
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        assert "runs_as_root" not in session.warnings  # it was said
        box.docker("rm", "-f", session.ready["container"])
    with laptop.connected("gpu-box", "--image", LAB4) as session:
        assert Notebook(session.ready["url"]).run("import os; print(os.getuid())") == "1000\n"


def test_what_root_left_behind_is_counted_and_given_back(laptop: Laptop, box: Box) -> None:
    work = "/home/alice/work"
    box.run(["mkdir", "-p", work], user="alice")
    make = (
        "mkdir -p /w/deep && touch /w/deep/mine '/w/a b' && ln -s /etc/shadow /w/link &&"
        " touch /w/theirs && chown 1234 /w/theirs && touch /w/two && ln /w/two /w/names"
    )
    box.docker("run", "--rm", "-v", f"{work}:/w", TINY, "sh", "-c", make)
    counted = did(laptop, "chown", "gpu-box", "~/work")
    assert (counted["files"], counted["changed"]) == (4, False)  # deep, mine, a b, link
    assert owner(box, f"{work}/deep/mine") == "0:0"
    assert did(laptop, "chown", "gpu-box", "work", "--yes")["changed"] is True
    for name in ("deep", "deep/mine", "a b", "link"):
        assert owner(box, f"{work}/{name}") == "1000:1000"
    assert owner(box, f"{work}/theirs") == "1234:0"
    assert owner(box, f"{work}/two") == "0:0"
    assert owner(box, "/etc/shadow").startswith("0:")
    assert did(laptop, "chown", "gpu-box", "~/work")["files"] == 0


@pytest.mark.parametrize("path", ["/etc", "/home/bob", "~/out", "..", "no-such"])
def test_only_folders_of_ones_own_are_touched(laptop: Laptop, box: Box, path: str) -> None:
    box.run(["ln", "-sfn", "/etc", "/home/alice/out"], user="alice")
    assert refused(laptop, "chown", "gpu-box", path, "--yes")["code"] in {2, 4}


def test_a_folder_that_is_mounted_where_jupyter_starts_keeps_its_owner_and_mode(
    laptop: Laptop, box: Box
) -> None:
    box.run(["sh", "-c", "grep -q ^brats /etc/group || echo 'brats:x:4711:alice' >>/etc/group"])
    box.run(["install", "-d", "-m", "2770", "-g", "4711", "/srv/shared"])
    volume = "/srv/shared:/workspace"
    with laptop.connected("gpu-box", "--image", LAB4, "--volume", volume) as session:
        Notebook(session.ready["url"]).run("open('/workspace/mine', 'w').close()")
    mode = box.run(["stat", "-c", "%u:%g %a", "/srv/shared"]).stdout.strip()
    assert mode == "0:4711 2770"


def test_a_root_that_is_read_only_leaves_a_home_in_our_own_folder(laptop: Laptop, box: Box) -> None:
    config = laptop.home / "config.toml"
    config.write_text('[defaults]\nrun_args = ["--read-only"]\n')
    wish = ("gpu-box", "--image", LAB4, "--config", str(config))
    with laptop.connected(*wish) as session:
        assert "no_names" in session.warnings
        said = Notebook(session.ready["url"]).run(
            "import os, tempfile; print(os.access(os.path.expanduser('~'), os.W_OK))\n"
            "print(os.access(tempfile.gettempdir(), os.W_OK), os.environ['MPLCONFIGDIR'])"
        )
        assert said.split()[:2] == ["True", "True"], said


def test_a_home_of_another_number_is_the_users_also_where_folders_are_mounted_in_it(
    laptop: Laptop, box: Box
) -> None:
    theirs = "mkdir -p '/home/alice/.local/a b' /home/alice/data/in && chown -R 1234:5 /home/alice"
    box.docker("run", "--name", "maker", TINY, "sh", "-c", theirs)
    box.docker("commit", "maker", "other:1")
    box.docker("rm", "maker")
    box.run(["install", "-d", "-m", "755", "/srv/everyones", "/srv/everyones/deep"])
    mounts = (
        "--volume",
        "~/work:/home/alice/way/to/work",
        "--volume=/srv/everyones:/home/alice/data",
    )
    new = "touch .local/new '.local/a b/new' way/new way/to/new way/to/work/new"
    write = f"cd && {new} && stat -c %u * .local"
    done = laptop.run(
        "run",
        "-F",
        str(laptop.ssh_config),
        *mounts,
        "--rm",
        "gpu-box",
        "other:1",
        "--",
        "sh",
        "-c",
        write,
    )
    assert (done.code, done.err) == (0, ""), done
    assert done.out.split() == ["0", "1000", "1000"]  # data is the machine's
    assert owner(box, "/srv/everyones/deep") == owner(box, "/srv/everyones") == "0:0"
    assert owner(box, "/home/alice/work/new") == "1000:1000"
    assert box.docker("ps", "-aq").stdout == ""


REMAPPED = """
useradd --system --no-create-home dockremap 2>/dev/null || true
chmod o+x /var/lib/docker
for file in /etc/subuid /etc/subgid; do echo dockremap:500000:65536 >>$file; done
"""


@pytest.mark.long
@pytest.mark.timeout(240)  # an image is given to a second dockerd
def test_where_docker_gives_containers_other_uids_files_are_still_their_users(
    laptop: Laptop, box: Box
) -> None:
    box.run(["sh", "-ec", REMAPPED])
    with second_docker(box, "--userns-remap", "default"):
        other = ["docker", "-H", f"unix://{SECOND_DOCKER}"]
        carry = 'docker save "$1" | docker -H "$2" load'
        box.run(["sh", "-ec", carry, "sh", LAB4, other[2]], timeout=120)
        options = ("gpu-box-bob", "--image", LAB4, "--volume", "~/new:/data")
        with laptop.connected(*options) as session:
            uid = box.run(["id", "-u", "bob"]).stdout.strip()
            assert Notebook(session.ready["url"]).run(WRITE).split()[1:] == [uid] * 2
        assert box.run(["find", "/home/bob", "!", "-user", "bob"]).stdout == ""
        mine = ["run", "--rm", "--network=none", "-v", "/home/bob/new:/w"]
        box.run(["chmod", "777", "/home/bob/new"])
        box.run([*other, *mine, LAB4, "touch", "/w/roots"])
        assert owner(box, "/home/bob/new/roots") == "500000:500000"
        box.run([*other, *mine, "--userns=host", LAB4, "touch", "/w/real"])
        assert did(laptop, "chown", "gpu-box-bob", "~/new", "--yes")["files"] == 1
        assert owner(box, "/home/bob/new/real").partition(":")[0] == uid
        box.run([*other, "rm", "-f", session.ready["container"]])
