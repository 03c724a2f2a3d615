"""Settings of hypothesis for tests that must be the same on a slow machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

WIDE = os.environ.get("REMOTENB_EXAMPLES")
"""So many, and others each time (make test-long): what guards main is the same in every run."""

settings.register_profile(
    "remotenb",
    deadline=None,
    database=None,
    derandomize=WIDE is None,
    max_examples=int(WIDE or (100 if sys.platform != "win32" else 20)),  # under Wine each is slow
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("remotenb")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the laptop's user."""
    monkeypatch.setenv("HOME" if sys.platform != "win32" else "USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path
