"""The browser's start from WSL. Fake: the file that tells of WSL, and the programs of Windows."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from remotenb.laptop import browser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="WSL is a Linux")

URL = "http://127.0.0.1:24117/abc-DEF_123?x=%20y&z"
HOSTILE = (
    "http://127.0.0.1/'; calc '",
    "http://127.0.0.1/$(calc)",
    "http://127.0.0.1/x`n",
    "http://127.0.0.1/x y",
    "file:///c:/windows/notepad.exe",
    "-EncodedCommand",
)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A WSL without programs of Windows; what they are told stands in the file ``told``."""
    version = tmp_path / "version"
    version.write_text("Linux version 5.15.153.1-microsoft-standard-WSL2 (root@x) #1 SMP\n")
    monkeypatch.setattr(browser, "VERSION", version)
    monkeypatch.setattr(browser, "_POWERSHELL", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "programs").mkdir()
    return tmp_path / "told"


def program(told: Path, name: str) -> None:
    file = told.parent / "programs" / name
    file.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{told}\n')
    file.chmod(0o755)


def test_wslview_is_given_the_address_as_one_word(told: Path) -> None:
    program(told, "powershell.exe")
    program(told, "wslview")
    assert browser.available()
    assert browser.open_page(URL)
    assert told.read_text().splitlines() == [URL]


def test_else_powershell_is_given_it_in_quotes(told: Path) -> None:
    program(told, "powershell.exe")
    assert browser.open_page(URL)
    assert told.read_text().splitlines()[-1] == f"Start-Process '{URL}'"


@pytest.mark.parametrize("url", HOSTILE)
def test_what_powershell_could_read_more_into_is_not_given_to_it(told: Path, url: str) -> None:
    program(told, "powershell.exe")
    browser.open_page(url)
    assert not told.exists()


def test_a_browser_that_the_user_named_goes_first(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(told, "wslview")
    program(told, "mine")
    monkeypatch.setenv("BROWSER", "mine")
    assert browser._of_windows(URL, browser.VERSION) == []


def test_without_programs_of_windows_or_outside_wsl_nothing_changes(told: Path) -> None:
    assert not browser.available()
    program(told, "wslview")
    browser.VERSION.write_text("Linux version 6.1.0-debian\n")
    assert not browser.available()
