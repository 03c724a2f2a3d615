"""Where a relay's door is, and who finds it there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remotenb.far import place

assert sys.platform != "win32"  # unix sockets

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
from remotenb.far import place
print(place.connect([], "name") is not None)
"""


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="needs root, and unshare"
)
def test_a_relay_of_another_network_is_not_found_in_a_folder_that_both_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    door = place.Door([], "name")
    for network, found in (((), "True"), (("unshare", "--net"), "False")):
        argv = [*network, sys.executable, "-c", ASK]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20)
        assert done.stdout.strip() == found
    door.close()
    assert list(tmp_path.iterdir()) == []
