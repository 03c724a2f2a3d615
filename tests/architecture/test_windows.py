"""What Windows does not have, or does otherwise, stands behind a question for the platform."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import remotenb

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(remotenb.__file__).parent
POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty"}
CLIENT = [file for file in sorted(ROOT.rglob("*.py")) if file.parent.name != "far"]


def is_guard(node: ast.stmt) -> bool:
    """``if sys.platform ...``, or ``assert sys.platform ...`` before all the rest."""
    return isinstance(node, (ast.If, ast.Assert)) and "sys.platform" in ast.unparse(node.test)


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only one platform reaches."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt) and is_guard(child):
            continue
        yield child
        yield from unguarded(child)


def complaints(source: str) -> list[str]:
    found = []
    tree = ast.parse(source)
    for node in unguarded(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
            found += [f"line {node.lineno}: {name}" for name in names & POSIX_ONLY]
    for node in ast.walk(tree):
        # there it is Ctrl-C to a whole group of processes, and no question
        if isinstance(node, ast.Call) and re.match(r"os\.kill(pg)?\(.*, 0\)$", ast.unparse(node)):
            found.append(f"line {node.lineno}: kill with signal 0")
    return found


@pytest.mark.parametrize("file", CLIENT, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_client_uses_nothing_that_windows_lacks(file: Path) -> None:
    assert complaints(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "def f():\n    from termios import TCSADRAIN",
        "try:\n    import pwd\nexcept ImportError:\n    pass",
        "import os\nos.kill(pid, 0)",
        "if sys.platform != 'win32':\n    os.kill(pid, 0)",
    ],
)
def test_the_rule_finds_what_it_is_for(source: str) -> None:
    assert complaints(source)


def test_behind_a_question_for_the_platform_all_is_well() -> None:
    assert not complaints("import sys\nif sys.platform != 'win32':\n    import fcntl")
