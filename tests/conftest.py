"""What all tests share: a clean environment, and the rig's machines for those that want them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.laptop import Laptop
from tests.rig import packages
from tests.rig.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rig.registry import Registry


def pytest_report_header() -> str:
    lacking = packages.missing()
    return f"rig: {'lacks ' + ', '.join(lacking) if lacking else 'real machines'}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """What may run side by side: one file and the next, but not those whose box is this machine.

    Such boxes see each other's Jupyters.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  Windows' tests have none

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            here = file.startswith(("tests/background/", "tests/embedded/"))
            return "this machine" if here else file

    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the developer's state folder, or touches their keyring."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own set-up reaches a test."""
    for name in list(os.environ):
        if name == "REMOTENB_RIG_CACHE":
            continue
        if name.startswith(("REMOTENB_", "JUPYTER_", "SSH_")) or name in {"BROWSER", "DISPLAY"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def machines() -> Iterator[Lab]:
    """The laptop's network and the box, up once; this process moves into the laptop's network."""
    lacking = packages.missing()
    if lacking:
        no = pytest.fail if os.environ.get("CI") else pytest.skip
        no(f"no real machines here, they need: {', '.join(lacking)}")
    with Lab() as lab:
        lab.enter_laptop()
        yield lab


@pytest.fixture
def lab(machines: Lab) -> Lab:
    """The machines, as they were at first."""
    machines.reset()
    return machines


@pytest.fixture
def laptop(lab: Lab, tmp_path: Path) -> Laptop:
    """A user's laptop in the network of the machines."""
    home = tmp_path / "laptop"
    home.mkdir()
    return Laptop(home, lab.ssh_config)


@pytest.fixture
def registry(lab: Lab, laptop: Laptop) -> Iterator[Registry]:
    """A registry that laptop and box know as nvcr.io, well and with nobody's visit noted."""
    one = lab.registry
    one.reset()
    one.open_to(lab.box)
    laptop.variables["SSL_CERT_FILE"] = str(one.certificate)
    laptop.within = one.within()
    yield one
    one.shut_from(lab.box)
