"""A word on the desktop: shown as it is, by a program that may be missing, broken or slow."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from remotenb.laptop import notify as notify_module
from remotenb.laptop.notify import notify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="notify-send is Linux's")


@pytest.fixture(autouse=True)
def desktop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A display, and nothing on PATH but what a test puts there."""
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def program(folder: Path, code: str) -> Path:
    """A notify-send that runs ``code``; the file where it may write."""
    told = folder / "told"
    script = folder / "notify-send"
    script.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys, time\ntold = pathlib.Path({str(told)!r})\n"
        f"{code}\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return told


def recorded(folder: Path) -> Path:
    return program(folder, "told.write_text(json.dumps(sys.argv[1:]))")


def test_both_texts_arrive_as_one_argument_each(tmp_path: Path) -> None:
    told = recorded(tmp_path)
    assert notify("remotenb: gpu-box", "log in again; $(reboot) `id`")
    assert json.loads(told.read_text()) == [
        "--app-name=remotenb",
        "--",
        "remotenb: gpu-box",
        "log in again; $(reboot) `id`",
    ]


def test_text_from_elsewhere_has_no_escapes_no_markup_and_an_end(tmp_path: Path) -> None:
    told = recorded(tmp_path)
    assert notify("--urgency=critical", "\x1b[31mred\x1b[0m\n<b>&\0" + "x" * 999)
    *_, title, body = json.loads(told.read_text())
    assert title == "--urgency=critical"
    assert body.startswith("red &lt;b&gt;&amp;xxx")
    assert len(body) < 250


@pytest.mark.parametrize("code", ["sys.exit(1)", "raise ValueError"])
def test_a_program_that_fails_is_no_error(tmp_path: Path, code: str) -> None:
    program(tmp_path, code)
    assert not notify("a", "b")


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_module, "TIMEOUT_S", 0.3)
    program(tmp_path, "time.sleep(60)")
    start = time.monotonic()
    assert not notify("a", "b")
    assert time.monotonic() - start < 10


def test_a_program_that_cannot_be_run_is_no_error(tmp_path: Path) -> None:
    script = tmp_path / "notify-send"
    script.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    script.chmod(0o755)
    assert not notify("a", "b")


def test_without_the_program_nothing_is_shown() -> None:
    assert not notify("a", "b")


def test_without_a_display_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = recorded(tmp_path)
    monkeypatch.delenv("DISPLAY")
    assert not notify("a", "b")
    assert not told.exists()
