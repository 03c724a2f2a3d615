"""A laptop with Windows in the network of the rig, in front of the same box as every other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.windows import wine as windows
from tests.windows.laptop import WindowsLaptop
from tests.windows.wine import Wine, windows_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rig.box import Box
    from tests.rig.lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is in this folder is of ``make test-windows``."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.windows)


@pytest.fixture(scope="session")
def prefix(machines: Lab) -> Iterator[Wine]:
    """Wine, begun in the network of the laptop: its server opens the sockets of all programs."""
    lacking = windows.missing()
    if lacking:
        no = pytest.fail if os.environ.get("CI") else pytest.skip
        no(f"no Windows here, it needs: {', '.join(lacking)}")
    with windows.opened() as opened:
        yield opened


@pytest.fixture
def wine(prefix: Wine) -> Wine:
    """Windows, whose user has nothing of remotenb's yet."""
    prefix.forget_the_user()
    return prefix


@pytest.fixture
def laptop(lab: Lab, wine: Wine) -> Iterator[WindowsLaptop]:
    """A Windows laptop whose user has a key, known_hosts, and ssh_config in their usual place."""
    ssh = wine.home / ".ssh"
    ssh.mkdir()
    for file in (lab.key, lab.known_hosts):
        (ssh / file.name).write_bytes(file.read_bytes())
    config = lab.ssh_config.read_text()
    for file in (lab.key, lab.known_hosts):
        config = config.replace(str(file), f"~/.ssh/{file.name}")
    config = config.replace("/dev/null", windows_path("/dev/null"))
    (ssh / "config").write_text(config, newline="\r\n")
    laptop = WindowsLaptop(wine.home, ssh / "config", wine=wine)
    yield laptop
    laptop.run("disconnect", "--all")


@pytest.fixture
def box(lab: Lab) -> Box:
    """The GPU server."""
    return lab.box
