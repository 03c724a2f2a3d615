"""What runs on servers runs on Python 3.6, with nothing but its standard library."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotenb import far

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(far.__file__).parent
FILES = [file for file in sorted(FOLDER.glob("*.py")) if file.name != "__init__.py"]
"""``__init__`` ships them, and stays on the laptop."""

NEWER_MODULES = {
    "contextvars",
    "dataclasses",
    "graphlib",
    "importlib.metadata",
    "importlib.resources",
    "tomllib",
    "zoneinfo",
}
NEWER_NAMES = {
    ("asyncio", "run"),
    ("contextlib", "nullcontext"),
    ("functools", "cache"),
    ("functools", "cached_property"),
    ("math", "prod"),
    ("os", "memfd_create"),
    ("os", "pidfd_open"),
    ("os", "posix_spawn"),
    ("shlex", "join"),
    ("socket", "create_server"),
    ("socket", "has_dualstack_ipv6"),
    ("socket", "recv_fds"),
    ("socket", "send_fds"),
    ("threading", "excepthook"),
    ("time", "monotonic_ns"),
    ("time", "time_ns"),
    ("typing", "Final"),
    ("typing", "Literal"),
    ("typing", "Protocol"),
    ("typing", "TypedDict"),
    ("typing", "final"),
}
NEWER_METHODS = {"fromisoformat", "isascii", "removeprefix", "removesuffix", "unlink_missing"}
NEWER_ARGUMENTS = {"capture_output", "dirs_exist_ok", "missing_ok", "text"}

ASKED = """
import importlib, json, sys
for module, name in json.load(sys.stdin):
    try:
        importlib.import_module(module + "." + name)
    except ImportError:
        if not hasattr(importlib.import_module(module), name):
            print(module, name)
"""

ROUND_TRIP = """
import sys
assert sys.version_info[:2] == (3, 6), sys.version
from remotenb.far.frames import Decoder, unpack_hello
from remotenb.far.events import Ended, Opened, Received
from remotenb.far.mux import Mux

near, far = Mux(True, b"s" * 16, b"n" * 16), Mux(False, b"s" * 16, b"f" * 16)
ends = {True: (near, Decoder()), False: (far, Decoder())}
seen = []

def carry(to, data):
    mux, decoder = ends[to]
    for one in decoder.feed(data):
        seen.extend(mux.receive(one, 1.0))

number = near.open(b"127.0.0.1 8888", 1.0)
near.write(number, b"x" * 100000)
near.finish(number)
for epoch in (1, 2):
    near.disconnect()
    far.disconnect()
    (hello,) = Decoder().feed(near.connect(epoch, 1.0))
    seen.extend(far.accept(unpack_hello(hello.payload), 1.0))
    carry(True, far.pull(1.0))
    carry(False, near.pull(1.0))
    carry(True, far.pull(2.0))
print([type(event).__name__ for event in seen if isinstance(event, (Opened, Ended))])
print(sum(len(event.data) for event in seen if isinstance(event, Received)), near.held)
"""


def wanted() -> str | None:
    """A Python 3.6 of this machine; looked for before a test clears the environment."""
    if named := os.environ.get("REMOTENB_PYTHON36"):
        return named
    return next((str(one) for one in Path.home().glob(".pyenv/versions/3.6.*/bin/python")), None)


PYTHON36 = wanted()


@pytest.fixture
def python36() -> str:
    if PYTHON36 is None:
        pytest.skip("no Python 3.6 here: REMOTENB_PYTHON36 is not set, and pyenv has none")
    return PYTHON36


@pytest.fixture(params=FILES, ids=lambda file: file.name)
def tree(request: pytest.FixtureRequest) -> ast.Module:
    """Each of the modules, as Python 3.6 would parse it."""
    text = request.param.read_text(encoding="utf-8")
    parsed: ast.Module = ast.parse(text, request.param.name, feature_version=(3, 6))
    return parsed


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each module that is imported, with the name that is taken from it, or none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def names_used(tree: ast.Module) -> set[tuple[str, str]]:
    """Names of modules: ``from m import n``, and ``m.n`` where ``m`` was imported."""
    modules = {module for module, name in imports(tree) if not name}
    used = {(module, name) for module, name in imports(tree) if name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules:
            used.add((ast.unparse(node.value), node.attr))
    return used


def ours(module: str) -> bool:
    return module == "remotenb.far" or module.startswith("remotenb.far.")


def test_every_module_that_is_shipped_is_looked_at() -> None:
    alone = {"everyones", "handing", "kernels", "loader"}
    shipped = {*far.MODULES, *far.COPYING, *far.INSTALLING, *alone}
    assert {f"{name}.py" for name in shipped} == {file.name for file in FILES}


def test_it_imports_the_standard_library_and_its_neighbours_only(tree: ast.Module) -> None:
    for module, _ in imports(tree):
        known = module.split(".")[0] in sys.stdlib_module_names or ours(module)
        assert known, f"imports {module}"
        assert module not in NEWER_MODULES | {"__future__"}, f"imports {module}"


class WithoutConstants(ast.NodeTransformer):
    """Takes away statements that do nothing: docstrings, and what stands in their place."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_shipped_does_the_same_in_the_same_lines(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lean = far.lean(text)
    parsed = [WithoutConstants().visit(ast.parse(one)) for one in (text, lean)]
    lines = [[getattr(node, "lineno", 0) for node in ast.walk(tree)] for tree in parsed]
    assert ast.dump(parsed[0]) == ast.dump(parsed[1])
    assert lines[0] == lines[1]
    assert '"""' not in lean
    assert " # " not in lean


def test_what_begins_each_link_stays_small() -> None:
    assert len(far.shipment()) < 16 << 10  # TCP sends 14 KB before it waits for an answer


@pytest.mark.parametrize("shipped", [far.MODULES, far.COPYING, far.INSTALLING])
def test_what_a_shipped_module_imports_is_shipped_before_it(shipped: tuple[str, ...]) -> None:
    for at, name in enumerate(shipped):
        source = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        for module, part in imports(source):
            if ours(module):
                wanted = part if module == "remotenb.far" else module.rpartition(".")[2]
                assert wanted in shipped[:at], f"{name} imports {wanted}"


def test_it_uses_no_name_that_is_newer(tree: ast.Module) -> None:
    assert not names_used(tree) & NEWER_NAMES
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & NEWER_METHODS
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not arguments & NEWER_ARGUMENTS


def test_every_name_of_the_standard_library_is_there_in_python_36(
    tree: ast.Module, python36: str
) -> None:
    used = sorted((module, name) for module, name in names_used(tree) if not ours(module))
    done = subprocess.run(
        [python36, "-I", "-c", ASKED],
        check=True,
        input=json.dumps(used),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == ""


def test_the_names_that_are_asked_for_are_found_when_they_are_missing() -> None:
    tree = ast.parse("import os, time\nfrom shlex import join\nos.path.join\ntime.time_ns()")
    assert names_used(tree) & NEWER_NAMES == {("shlex", "join"), ("time", "time_ns")}


def test_streams_go_on_over_a_cut_in_a_real_python_36(python36: str, tmp_path: Path) -> None:
    package = tmp_path / "remotenb" / "far"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    for file in FILES:
        (package / file.name).write_bytes(file.read_bytes())
    done = subprocess.run(
        [python36, "-B", "-c", ROUND_TRIP],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["['Opened', 'Ended']", "100000 0"]
