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
        "remotenb.again",
        "remotenb.bookmarks",
        "remotenb.pulling",
        "remotenb.reference",
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
        "remotenb.lacking",
        "remotenb.modes",
        "remotenb.plan",
        "remotenb.reach",
        "remotenb.required",
        "remotenb.scan",
        "remotenb.report",
        "remotenb.setback",
        "remotenb.retrying",
        "remotenb.supervisor",
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
        "remotenb.clock",
        "remotenb.config_file",
        "remotenb.credentials",
        "remotenb.keyrings",
        "remotenb.notes",
        "remotenb.saved",
        "remotenb.far.*",
        "remotenb.transfer.fetched",
        "remotenb.transfer.file",
        "remotenb.laptop",
        "remotenb.memory",
        "remotenb.ssh",
        "remotenb.ssh.*",
        "remotenb.registry.*",
        "remotenb.tunnel",
        "remotenb.tunnel.*",
        "remotenb.jupyter",
        "remotenb.browser",
        "remotenb.background",
        "remotenb.background.*",
        "remotenb.notify",
        "remotenb.private",
        "remotenb.wake",
        "remotenb.wheels",
    ),
    (
        "remotenb.caveats",
        "remotenb.file_failures",
        "remotenb.files",
        "remotenb.packages",
        "remotenb.gpus",
        "remotenb.setup.*",
        "remotenb.machine",
        "remotenb.execute",
        "remotenb.run",
        "remotenb.commit",
        "remotenb.ownership",
        "remotenb.probe",
        "remotenb.sudo",
        "remotenb.pull",
        "remotenb.readiness",
        "remotenb.room",
        "remotenb.launch",
        "remotenb.transfer.store",
        "remotenb.ways",
        "remotenb.tunnels",
        "remotenb.watch",
    ),
    (
        "remotenb.doctor",
        "remotenb.setup.steps",
        "remotenb.equip",
        "remotenb.find",
        "remotenb.keep",
        "remotenb.presence",
        "remotenb.recreate",
        "remotenb.lasting",
        "remotenb.leftovers",
        "remotenb.session",
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
        ("remotenb.clock", {"paramiko", "click", "rich", "socket"}),
        ("remotenb.ssh.dial", {"paramiko", "fabric", "click", "rich"}),
        ("remotenb.jupyter", {"paramiko", "fabric", "click", "rich", "subprocess"}),
        ("remotenb.tunnel.listener", {"paramiko", "fabric", "click", "rich"}),
        ("remotenb.session", {"click", "rich", "paramiko", "fabric"}),
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
    everything = "import remotenb.session, httpx, rich, platformdirs, keyring"
    assert set(SLOW) - {"asyncssh"} <= loaded_by(everything)
