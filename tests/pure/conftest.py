"""Settings of hypothesis for tests that must be the same on a slow machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "remotenb",
    deadline=None,
    database=None,
    max_examples=100 if sys.platform != "win32" else 20,  # under Wine each takes its time
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("remotenb")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the laptop's user."""
    monkeypatch.setenv("HOME" if sys.platform != "win32" else "USERPROFILE", str(tmp_path))
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path
