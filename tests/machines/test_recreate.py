"""``connect --recreate``: a container of ours made again, with what it was made by."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tests.machines.conftest import CLASSIC, listed
from tests.notebook import Notebook
from tests.rig.gpus import Gpu
from tests.tmux import PROMPT, Tmux

if TYPE_CHECKING:
    from pathlib import Path

    from tests.laptop import Laptop
    from tests.rig.box import Box

MINE = """\
import os, pathlib
pathlib.Path(os.path.expanduser("~/mine")).write_bytes(bytes(1 << 20))
"""
KEPT = 'import pathlib; pathlib.Path("/work/kept").write_text("in a volume")'
GPUS = "import subprocess as s; print(s.getoutput('nvidia-smi -L'))"
MADE_BY = """
env = { SEED = "42" }
run_args = ["--cpu-shares=777"]
shm_size = "80m"
"""


def about(box: Box, name: str) -> tuple[str, ...]:
    """Its id, and what of it is to stay."""
    shown = "{{.Id}} {{.State.Running}} {{.HostConfig.CpuShares}} {{.HostConfig.ShmSize}}"
    return tuple(box.docker("inspect", "-f", shown, name).stdout.split())


def names(laptop: Laptop) -> list[Any]:
    """Of all containers that there are."""
    return [row["name"] for row in listed(laptop, "ps", "gpu-box", "--all")]


def test_a_container_is_made_again_in_its_place_and_nothing_is_lost_unasked(
    laptop: Laptop, box: Box
) -> None:
    box.set_gpus([Gpu(0), Gpu(1)])
    config = laptop.home / "config.toml"
    config.write_text(f"[hosts.gpu-box]\n{MADE_BY}")
    first = ("--image", CLASSIC, "--gpus", "1", "--volume", "~/work:/work")
    with laptop.connected("gpu-box", *first, "--config", str(config)) as session:
        name, url = session.ready["container"], session.ready["url"]
        notebook = Notebook(url)
        notebook.run(KEPT)
        notebook.run(MINE)
        open_here = laptop.refused("gpu-box", "--recreate", "--yes")
        assert (open_here["error"], open_here["code"]) == ("UsageError", 2)
        assert "remotenb disconnect gpu-box" in open_here["hint"]
    before = about(box, name)

    unasked = laptop.refused("gpu-box", "--recreate")
    assert (unasked["error"], unasked["code"]) == ("UsageError", 2)
    assert "/home/alice (1.0 MiB)" in unasked["message"]
    assert "remotenb commit gpu-box" in unasked["hint"]
    impossible = laptop.refused("gpu-box", "--recreate", "--yes", "--gpus", "7")
    assert impossible["error"] == "GpuUnavailable"
    assert about(box, name) == before

    # what a reload of systemd does to a container that runs
    box.docker("exec", "-u", "0", name, "sh", "-c", "echo '!unknown' >/etc/fake-gpus")
    failing = laptop.refused("gpu-box", "--recreate", "--yes", "--volume", "/no/such:/x")
    assert failing["error"] == "MountMissing"
    assert about(box, name) == before  # it is back, and runs
    assert names(laptop) == [name]

    more = ("--recreate", "--yes", "--volume", "~/more:/more")
    with laptop.connected("gpu-box", *more) as session:
        assert session.ready["container"] == name
        assert session.ready["url"] == url
        now = about(box, name)
        assert now[0] != before[0]
        assert now[1:] == before[1:] == ("true", "777", str(80 << 20))
        notebook = Notebook(url)
        assert notebook.run(GPUS).startswith("GPU 1")
        seen = "import os; print(os.listdir('/work'), os.listdir('/more'), os.environ['SEED'])"
        assert notebook.run(seen) == "['kept'] [] 42\n"
    assert names(laptop) == [name]


def test_a_person_is_shown_what_would_be_lost_and_may_say_no(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    with laptop.connected("gpu-box", "--image", CLASSIC) as session:
        name = session.ready["container"]
        Notebook(session.ready["url"]).run(MINE)
    before = about(box, name)
    words = laptop.argv("connect", "gpu-box", "--recreate", "--no-browser")
    with Tmux(tmp_path, laptop.environment, columns=80) as tmux:
        tmux.enters(shlex.join(words))
        lost = f"container {name} would lose what was written in /home/alice (1.0 MiB)"
        tmux.until(lambda: f"{lost}. Make it again all the same (yes/no)?" in tmux.history)
        tmux.enters("no")
        tmux.until_prompt(PROMPT.strip())
        assert f"{lost}; nothing was changed" in tmux.history
        assert "remotenb commit gpu-box NAME:TAG keeps the files" in tmux.history
    assert about(box, name) == before
