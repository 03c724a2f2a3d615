"""What a run that was killed left behind: a directory, and nothing else.

Every process of a run dies with it, and the mounts and networks with those.
"""

import os
import shutil
from pathlib import Path
from typing import Final

RUNS: Final = Path("/run/remotenb-rig")
_count = 0


def new_place() -> Path:
    """Make this run's own directory, named so that no other run's can be taken for it."""
    global _count  # noqa: PLW0603 - one process may bring up several labs
    _count += 1
    place = RUNS / f"{os.getpid()}.{_birth(os.getpid())}.{_count}"
    place.mkdir(parents=True)
    return place


def reap() -> None:
    """Remove the directories of runs whose process is gone."""
    for place in RUNS.iterdir() if RUNS.exists() else ():
        pid, birth, _ = place.name.split(".")
        if _birth(int(pid)) != birth:
            shutil.rmtree(place, ignore_errors=True)


def _birth(pid: int) -> str | None:
    """Return when a process began, in clock ticks; pids come around again, this does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
