"""Lets every account find what pip put into the home of one: in an image that others will run.

Runs as root in a container of that image, on its Python; the parameter is the folder of packages.
A ``.pth`` file leads Python there, links lead to commands and data. Prints each path that is new or
changed, relative to the root.
"""

import csv
import glob
import os
import re
import site
import stat
import sys
from typing import Iterator, List

PTH = "remotenb-homes.pth"
LINE = (
    "import site, sys; i = sys.path.index({system!r}); n = len(sys.path); "
    "{packages!r} in sys.path or site.addsitedir({packages!r}); "
    "new = sys.path[n:]; sys.path[n:] = []; sys.path[i:i] = new\n"
)
"""Before the image's own packages, as for who installed them; behind what another installs."""

SEARCHABLE, READABLE = 0o011, 0o055


def main(packages: str) -> None:
    """Do it for ``/home/NAME/.local/lib/pythonX.Y/site-packages``."""
    system = site.getsitepackages()[0]
    found = re.match("(.*?)/lib(64)?/python", system)
    base = packages[: packages.index("/lib/python")]
    beside = list(brought(packages, base))
    lead(system, packages)
    made = {system + "/" + PTH}
    made.update(link(beside, base, found.group(1) if found else sys.prefix))
    made.update(opened(base, beside))
    sys.stdout.buffer.write(b"".join(b"." + os.fsencode(path) + b"\n" for path in sorted(made)))


def lead(system: str, packages: str) -> None:
    """Add the folder to those where Python looks; who came last comes first."""
    os.makedirs(system, exist_ok=True)
    path = system + "/" + PTH
    line = LINE.format(system=system, packages=packages)
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            lines = [one for one in file if one != line]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines([*lines, line])


def link(beside: List[str], base: str, prefix: str) -> Iterator[str]:
    """Commands that the image has stay the image's, data become theirs: as in a home."""
    for path in beside:
        there = prefix + path[len(base) :]
        if os.path.lexists(there):
            if path.startswith(base + "/bin/") or os.path.isdir(there):
                continue
            os.remove(there)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        os.symlink(path, there)
        yield there


def brought(packages: str, base: str) -> Iterator[str]:
    """Files that packages put elsewhere than among the packages."""
    kinds = tuple("{}/{}/".format(base, kind) for kind in ("bin", "etc", "share"))
    for record in glob.glob(glob.escape(packages) + "/*.dist-info/RECORD"):
        with open(record, encoding="utf-8", errors="surrogateescape", newline="") as file:
            for row in csv.reader(file):
                path = os.path.normpath(os.path.join(packages, row[0])) if row else ""
                if path.startswith(kinds) and "\n" not in path and os.path.isfile(path):
                    yield path


def opened(base: str, beside: List[str]) -> Iterator[str]:
    """A mask of 077 had closed them to others; the home itself can be passed through, no more."""
    yield from add(os.path.dirname(base), SEARCHABLE)
    wanted = {base, base + "/lib"}
    for folder, folders, files in os.walk(base + "/lib"):
        wanted.update(os.path.join(folder, name) for name in (*folders, *files))
    for path in beside:
        while path not in wanted:
            wanted.add(path)
            path = os.path.dirname(path)  # noqa: PLW2901  up to the base, which is wanted
    for path in wanted:
        yield from add(path, READABLE)


def add(path: str, bits: int) -> Iterator[str]:
    """Let others do that; what only its user could run, all can."""
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    wanted = mode | (bits if os.path.isdir(path) or mode & stat.S_IXUSR else bits & 0o044)
    if wanted != mode and not os.path.islink(path) and "\n" not in path:
        os.chmod(path, wanted)
        yield path


if __name__ == "__main__":
    main(sys.argv[1])
