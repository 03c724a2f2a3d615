"""A module of remotenb imports from its own floor and the lower ones, and from nowhere else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import remotenb

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(remotenb.__file__).parent

FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "remotenb",
        "remotenb.decision",
        "remotenb.errors",
        "remotenb.model",
        "remotenb.secret",
        "remotenb.server",
        "remotenb.text",
    ),
    (
        "remotenb.session",
        "remotenb.session.again",
        "remotenb.laptop.bookmarks",
        "remotenb.images",
        "remotenb.images.pulling",
        "remotenb.images.reference",
        "remotenb.registry",
        "remotenb.registry.challenge",
        "remotenb.registry.manifests",
        "remotenb.checkup",
        "remotenb.checkup.*",
        "remotenb.answered",
        "remotenb.setup",
        "remotenb.setup.commands",
        "remotenb.setup.outcome",
        "remotenb.settings",
        "remotenb.spec",
        "remotenb.install",
        "remotenb.install.lacking",
        "remotenb.modes",
        "remotenb.plan",
        "remotenb.reach",
        "remotenb.required",
        "remotenb.scan",
        "remotenb.report",
        "remotenb.setback",
        "remotenb.session.retrying",
        "remotenb.session.supervisor",
        "remotenb.engines",
        "remotenb.engines.*",
        "remotenb.ssh.algorithms",
        "remotenb.ssh.keywords",
        "remotenb.ssh.shell",
        "remotenb.ssh.tokens",
        "remotenb.transfer",
        "remotenb.transfer.archive",
        "remotenb.transfer.blocks",
        "remotenb.transfer.index",
        "remotenb.transfer.layout",
        "remotenb.transfer.parts",
        "remotenb.transfer.source",
        "remotenb.far",
        "remotenb.far.events",
        "remotenb.far.frames",
        "remotenb.far.mux",
        "remotenb.far.pace",
        "remotenb.far.stream",
        "remotenb.far.websocket",
        "remotenb.tunnel.outage",
    ),
    (
        "remotenb.laptop.clock",
        "remotenb.laptop.config_file",
        "remotenb.laptop.credentials",
        "remotenb.laptop.keyrings",
        "remotenb.laptop.notes",
        "remotenb.laptop.saved",
        "remotenb.far.*",
        "remotenb.transfer.fetched",
        "remotenb.transfer.file",
        "remotenb.laptop",
        "remotenb.laptop.memory",
        "remotenb.ssh",
        "remotenb.ssh.*",
        "remotenb.registry.*",
        "remotenb.tunnel",
        "remotenb.tunnel.*",
        "remotenb.jupyter",
        "remotenb.laptop.browser",
        "remotenb.background",
        "remotenb.background.*",
        "remotenb.laptop.notify",
        "remotenb.laptop.private",
        "remotenb.laptop.wake",
        "remotenb.install.wheels",
    ),
    (
        "remotenb.caveats",
        "remotenb.file_failures",
        "remotenb.files",
        "remotenb.install.packages",
        "remotenb.gpus",
        "remotenb.setup.*",
        "remotenb.machine",
        "remotenb.execute",
        "remotenb.run",
        "remotenb.images.commit",
        "remotenb.ownership",
        "remotenb.probe",
        "remotenb.sudo",
        "remotenb.images.pull",
        "remotenb.readiness",
        "remotenb.images.room",
        "remotenb.launch",
        "remotenb.transfer.store",
        "remotenb.session.ways",
        "remotenb.session.tunnels",
        "remotenb.session.watch",
    ),
    (
        "remotenb.doctor",
        "remotenb.setup.steps",
        "remotenb.install.equip",
        "remotenb.find",
        "remotenb.session.keep",
        "remotenb.session.presence",
        "remotenb.recreate",
        "remotenb.lasting",
        "remotenb.leftovers",
        "remotenb.session.opening",
        "remotenb.embedded",
        "remotenb.transfer.*",
    ),
    ("remotenb.cli", "remotenb.cli.*", "remotenb.__main__"),
)

EFFECTS = {
    "asyncio",
    "asyncssh",
    "click",
    "fabric",
    "httpx",
    "os",
    "paramiko",
    "rich",
    "select",
    "selectors",
    "socket",
    "sshtunnel",
    "subprocess",
    "threading",
    "time",
}
"""What a pure module has no use for."""

SLOW = (
    "paramiko",
    "fabric",
    "httpx",
    "keyring",
    "rich",
    "msgspec",
    "asyncssh",
    "platformdirs",
    "sshtunnel",
)


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def floor_of(module: str) -> int:
    """The floor that names the module itself, else the one that names its package."""
    for name in (module, module.rpartition(".")[0] + ".*"):
        for number, names in enumerate(FLOORS):
            if name in names:
                return number
    pytest.fail(f"{module} stands on no floor: say in FLOORS where it belongs")


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Each module that ``file`` imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [one if one in MODULES else str(node.module) for one in whole]
            yield from ((node.lineno, one) for one in modules)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_floor_or_lower_ones(module: str) -> None:
    for line, other in imported(MODULES[module]):
        if other.split(".")[0] == "remotenb":
            assert other in MODULES, f"{module}:{line}: {other}"
            assert floor_of(other) <= floor_of(module), f"{module}:{line} imports {other}"


@pytest.mark.parametrize("module", [name for name in MODULES if floor_of(name) <= 1])
def test_a_pure_module_knows_no_socket_process_clock_or_terminal(module: str) -> None:
    for line, other in imported(MODULES[module]):
        assert other.split(".")[0] not in EFFECTS, f"{module}:{line} imports {other}"


def test_every_name_of_a_floor_is_there() -> None:
    for names in FLOORS:
        for name in names:
            assert name.removesuffix(".*") in MODULES, name


@pytest.mark.parametrize(
    ("module", "effects"),
    [
        ("remotenb.laptop.clock", {"paramiko", "click", "rich", "socket"}),
        ("remotenb.ssh.dial", {"paramiko", "fabric", "click", "rich"}),
        ("remotenb.jupyter", {"paramiko", "fabric", "click", "rich", "subprocess"}),
        ("remotenb.tunnel.listener", {"paramiko", "fabric", "click", "rich"}),
        ("remotenb.session.opening", {"click", "rich", "paramiko", "fabric"}),
    ],
)
def test_each_effect_keeps_to_its_own_library(module: str, effects: set[str]) -> None:
    assert not {other.split(".")[0] for _, other in imported(MODULES[module])} & effects


def loaded_by(code: str) -> set[str]:
    printed = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {printed}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return set(done.stdout.split())


def test_the_command_line_starts_without_what_only_a_connection_needs() -> None:
    assert loaded_by("import remotenb.cli") & set(SLOW) == set()


def test_help_is_shown_without_what_only_a_connection_needs() -> None:
    helped = "import remotenb.cli as c; c.cli.main(['--help'], standalone_mode=False)"
    assert loaded_by(helped) & set(SLOW) == set()


def test_what_is_asserted_to_be_absent_is_seen_when_it_is_there() -> None:
    everything = "import remotenb.session.opening, httpx, rich, platformdirs, keyring"
    assert set(SLOW) - {"asyncssh"} <= loaded_by(everything)
