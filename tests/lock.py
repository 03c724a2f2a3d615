"""Pin what remotenb and its tests need, with hashes, for every platform and Python it runs on.

For the Windows of ``tests/windows`` once more: what pip on Linux can fetch without markers.
"""

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parent.parent

COMPILE = (
    "uv",
    "pip",
    "compile",
    "pyproject.toml",
    "--quiet",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--upgrade",
)

WINDOWS = ("--python-platform=x86_64-pc-windows-msvc", "--constraints=tests/requirements.txt")


def main() -> None:
    here = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    for extra in (
        ("--universal", "--extra=demo", "--group=build", "--output-file=requirements.txt"),
        (
            *("--universal", "--extra=demo", "--group=build", "--group=tests", "--group=checks"),
            *("--constraints=requirements.txt", "--output-file=tests/requirements.txt"),
        ),
        (*WINDOWS, "--output-file=tests/windows/bundle.txt"),
        (*WINDOWS, "--group=windows-tests", "--output-file=tests/windows/tests.txt"),
    ):
        subprocess.run([*COMPILE, *extra], check=True, cwd=TOP, env=environment)


if __name__ == "__main__":
    main()
