"""What runs on the server: POSIX sh, shipped over stdin, read from the files beside this one.

They must do with what any Linux server has: sh (dash, busybox), coreutils, awk. They print
and exit; what it means is decided on the laptop.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """The text of one of the scripts, for example ``source("probe.sh")``."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
