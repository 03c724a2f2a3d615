"""The client's own tests, run by Python for Windows; the box that they talk to stays on Linux."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from remotenb.embedded import EmbeddedServer
from tests.embedded.conftest import GIVEN, environment
from tests.windows.wine import TOP, windows_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.windows.wine import Wine

LEAST = {"pure": 1100, "embedded": 60, "win32": 15}
"""How many must pass: fewer are a suite that skips what it should run."""
LEFT_OUT = {
    "pure": ("test_copying.py",),
    "embedded": (
        "test_completion.py",
        "test_demo.py",
        "test_embedded_server.py",
        "test_login.py",
        "test_notify.py",
        "test_verify.py",
    ),
}
"""They play the box, which is Linux, or need its programs (ssh-keygen, jupyter) and limits."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An SSH server of this process, as the tests under Wine are told of it."""
    with EmbeddedServer(tmp_path_factory.mktemp("box"), environment=environment()) as host:
        told = {
            "name": host.name,
            "hostname": host.hostname,
            "user": host.user,
            "port": host.port,
            "identity_files": [windows_path(file) for file in host.identity_files],
            "known": [windows_path(file) for file in host.user_known_hosts],
        }
        yield json.dumps(told)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("folder", LEAST)
def test_the_clients_tests_pass_on_windows(
    wine: Wine, box: str, folder: str, record_property: Callable[[str, object], None]
) -> None:
    ignored = [f"--ignore=tests/{folder}/{name}" for name in LEFT_OUT.get(folder, ())]
    done = subprocess.run(
        wine.argv("-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{folder}", *ignored),
        check=False,
        cwd=TOP,
        input=b"",
        capture_output=True,
        env={**wine.environment, GIVEN: box},
    )
    told = done.stdout.decode(errors="replace")  # pytest's, in the code page of the console
    assert done.returncode == 0, told + done.stderr.decode(errors="replace")
    last = told.splitlines()[-1]
    record_property("counts", last)
    print(f"{folder}: {last}")
    (passed,) = re.findall(r"(\d+) passed", last)
    assert int(passed) >= LEAST[folder], told
