"""The last step, in a real browser: the one-time link opens the notebook, and a cell runs there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.machines.conftest import CLASSIC, LAB2, LAB4
from tests.notebook import Notebook
from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laptop import Laptop

CHROMIUM = shutil.which("chromium")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
CELL: dict[str, object] = {
    "cell_type": "code",
    "execution_count": None,
    "metadata": {},
    "outputs": [],
    "source": "print(6 * 7, 'is the answer')",
}
NOTEBOOK = {
    "cells": [CELL],
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
    },
    "nbformat": 4,
    "nbformat_minor": 4,
}
LAB_IDLE = "#jp-main-statusbar:has-text('Idle')"
KEPT = os.environ.get("REMOTENB_SCREENSHOTS")
"""Where to keep the screenshots, for who wants to look at them."""


@pytest.fixture
def page(laptop: Laptop) -> Iterator[Page]:
    """A tab of a real Chromium in the laptop's network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            yield browser.new_context(viewport={"width": 1200, "height": 720}).new_page()
        finally:
            browser.close()


def opened_link(laptop: Laptop) -> tuple[str, dict[str, str]]:
    """A browser command that writes down what it is asked to open, and the environment for it."""
    asked = laptop.home / "asked"
    command = laptop.home / "browser"
    command.write_text(f'#!/bin/sh\nprintf %s "$1" >{asked}.new && mv {asked}.new {asked}\n')
    command.chmod(0o755)
    return str(asked), {"BROWSER": str(command)}


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize(
    ("image", "name", "page_path", "editor", "idle", "output"),
    [
        (LAB4, "lab4", "/lab", ".jp-Notebook .cm-content", LAB_IDLE, ".jp-OutputArea-output pre"),
        (LAB2, "lab2", "/lab", ".jp-Notebook .CodeMirror", LAB_IDLE, ".jp-OutputArea-output pre"),
        (CLASSIC, "classic", "/tree", ".cell .CodeMirror", ".kernel_idle_icon", ".output_area pre"),
    ],
)
def test_the_link_opens_the_notebook_and_a_cell_runs_there(
    laptop: Laptop,
    page: Page,
    image: str,
    name: str,
    page_path: str,
    editor: str,
    idle: str,
    output: str,
) -> None:
    asked, environment = opened_link(laptop)
    with laptop.connected(
        "gpu-box", "--image", image, browser=True, environment=environment
    ) as connected:
        until(lambda: Path(asked).exists(), "the browser asked for", seconds=10)
        link = Path(asked).read_text(encoding="utf-8")
        notebook = Notebook(connected.ready["url"])
        notebook.call("PUT", "api/contents/answer.ipynb", {"type": "notebook", "content": NOTEBOOK})

        assert notebook.token not in link
        page.goto(link)
        page.wait_for_url(f"**{page_path}*")
        assert f"127.0.0.1:{connected.ready['local_port']}" in page.url

        again = page.context.new_page()
        used = again.goto(link)
        assert used is not None
        assert used.status == 404
        again.close()

        opener = "lab/tree/answer.ipynb" if page_path == "/lab" else "notebooks/answer.ipynb"
        page.goto(notebook.base + opener)
        page.wait_for_selector(editor, timeout=60_000)
        page.wait_for_selector(idle, timeout=60_000)
        page.locator(editor).first.click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(f"{output}:has-text('42 is the answer')", timeout=60_000)
        if KEPT:
            page.screenshot(path=f"{KEPT}/{name}.png")
