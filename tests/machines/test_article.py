"""The article's way: prepared on an open machine, carried to a closed one, gone on with there.

FAKE: both machines are the one box, whose two dockerds share nothing; alice's stands in the open,
bob's is shut away. So the image comes to an account of another name and number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import BARE, LAB4, did, listed, on, second_docker
from tests.machines.test_install import LAB
from tests.notebook import Notebook
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.laptop import Event, Laptop
    from tests.rig.box import Box

OPEN, CLOSED = "gpu-box", "gpu-box-bob"
VOLUME = ("--volume", "~/data:/data")
WRITE = "import os; os.makedirs('/data/runs', exist_ok=True); open('/data/runs/{}', 'w').close()"
TOOL = "import subprocess; print(subprocess.getoutput('brats'))"

BOB_HAD_ANOTHER_NUMBER = """
site=/home/bob/.local/lib/python3.11/site-packages
mkdir -p $site /home/bob/.ipython && echo 'x = 1' >$site/older.py && chown -R 1000:1000 /home/bob
"""
"""What an image has in it that was committed where bob's number was 1000."""


@pytest.fixture
def index(laptop: Laptop) -> Mapping[str, str]:
    """The laptop's index: two packages, and what stands in for Jupyter."""
    says = "def main():\n    print('brats 4')\n"
    wheel(laptop.home, "brats", script=says, command="brats")
    wheel(laptop.home, "more")
    wheel(laptop.home, "jupyterlab", script=LAB)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(laptop.home)}


def installed(laptop: Laptop, index: Mapping[str, str], host: str, package: str) -> Event:
    done = laptop.run(*on(laptop, "install", host, package), environment=dict(index))
    assert done.code == 0, done
    return done.events[-1]


def strangers(box: Box) -> str:
    """What in the people's homes is not theirs."""
    return "".join(
        box.run(["find", f"/home/{user}", "!", "-user", user]).stdout for user in ("alice", "bob")
    )


@pytest.mark.long
def test_what_one_account_installed_and_committed_another_finds_and_adds_to(
    laptop: Laptop, box: Box, index: Mapping[str, str]
) -> None:
    wish = (OPEN, "--image", BARE, "--install-jupyter")
    with laptop.connected(*wish, environment=dict(index)) as session:
        name = session.ready["container"]
        installed(laptop, index, OPEN, "brats")
        box.docker("exec", name, "sh", "-c", "chmod -R go= ~/.local")  # as with a umask of 077
        box.docker("exec", "-u", "0", name, "sh", "-c", BOB_HAD_ANOTHER_NUMBER)
        did(laptop, "commit", OPEN, "team/brats:1")
    with laptop.connected(CLOSED, "--image", "team/brats:1") as session:
        installed(laptop, index, CLOSED, "more")
        see = "import brats, more, older, jupyterlab, os; os.system('brats'); print(os.getuid())"
        told = box.docker("exec", session.ready["container"], "python3", "-c", see)
        assert sorted(told.stdout.split("\n")) == ["", "1001", "brats 4"]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_what_is_prepared_in_the_open_goes_on_on_the_closed_box_and_every_file_is_its_users(
    laptop: Laptop, box: Box, index: Mapping[str, str], closed: None
) -> None:
    def theirs(*verb: str) -> None:
        did(laptop, *verb)
        assert strangers(box) == "", verb

    with laptop.connected(OPEN, "--image", LAB4, *VOLUME) as session:
        installed(laptop, index, OPEN, "brats")
        notebook = Notebook(session.ready["url"])
        assert notebook.run(f"import brats; {TOOL}") == "brats 4\n"
        notebook.run(WRITE.format("prepared"))
        theirs("commit", OPEN, "team/brats:1")
    theirs("push", CLOSED, "team/brats:1", "--from", OPEN)
    with laptop.connected(CLOSED, "--image", "team/brats:1", *VOLUME) as session:
        notebook = Notebook(session.ready["url"])
        assert notebook.run(f"import brats; {TOOL}") == "brats 4\n"
        notebook.run(WRITE.format("trained"))
        installed(laptop, index, CLOSED, "more")
        theirs("commit", CLOSED, "team/brats:2")
    theirs("stop", CLOSED)
    with laptop.connected(CLOSED, "--image", "team/brats:2", *VOLUME) as session:
        assert session.ready["image"] == "team/brats:2"
        notebook = Notebook(session.ready["url"])
        see = "import brats, more, os; print(os.getuid(), os.listdir('/data/runs'))"
        assert notebook.run(see) == "1001 ['trained']\n"
        theirs("cp", CLOSED, ":/data/runs", str(laptop.home))
        assert (laptop.home / "runs" / "trained").exists()
    for one in listed(laptop, "ps", "-a", CLOSED):
        theirs("rm", "-f", CLOSED, one["name"])
    assert box.run(["ls", "/home/bob/data/runs"]).stdout == "trained\n"


@pytest.fixture
def closed(box: Box) -> Iterator[None]:
    """A second machine, of sorts."""
    with second_docker(box):
        yield
