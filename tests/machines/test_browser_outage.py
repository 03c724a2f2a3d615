"""A real tab lives through an outage: every line is there once, and the page did not notice."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from remotenb.tunnel.connections import BROWSERS_LIMIT
from tests.faults.tunnels import Remotenb
from tests.machines.conftest import CLASSIC, LAB2, LAB4
from tests.machines.test_browser import CELL, CHROMIUM, NOTEBOOK, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

    from tests.laptop import Laptop
    from tests.notebook import Notebook
    from tests.rig.lab import Lab

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
    pytest.mark.timeout(420),
]
KEPT = os.environ.get("REMOTENB_SCREENSHOTS")
"""Where to keep the screenshots, for who wants to look at them; read before it is taken away."""
OPENED_MS = 60_000
BACK_S = 10.0
NOTICED_S = 5.0

# All on one line, so that a picture shows them.
PROGRAM = """import time
start = time.monotonic()
for number in range({count}):
    print(f"[{{number}}]", end=" ", flush=True)
    time.sleep(max(0, start + (number + 1) * 0.05 - time.monotonic()))
print("done")"""


@dataclass(frozen=True)
class Face:
    """What a generation of Jupyter looks like."""

    name: str
    image: str
    opener: str
    editor: str
    idle: str
    output: str
    dialog: str
    status: str
    """Where it says how the kernel is."""


LAB = (
    "#jp-main-statusbar:has-text('Idle')",
    ".jp-Notebook .jp-OutputArea-output pre",
    ".jp-Dialog",
    "#jp-main-statusbar",
)
NEW = Face("lab4", LAB4, "lab/tree/", ".jp-Notebook .cm-content", *LAB)
OLD = Face("lab2", LAB2, "lab/tree/", ".jp-Notebook .CodeMirror", *LAB)
OLDEST = Face(
    "classic", CLASSIC, "notebooks/", ".cell .CodeMirror", ".kernel_idle_icon",
    ".output_area pre", ".modal.in", "#notification_area",
)  # fmt: skip

FACES = [
    NEW,
    pytest.param(OLD, marks=pytest.mark.long),
    pytest.param(OLDEST, marks=pytest.mark.long),
]


@dataclass
class Tab:
    """A page with a notebook in it."""

    page: Page
    face: Face

    def open(self, address: str) -> None:
        """Load a notebook and wait until its kernel is idle."""
        self.page.goto(address)
        self.page.wait_for_selector(self.face.editor, timeout=OPENED_MS)
        self.page.wait_for_selector(self.face.idle, timeout=OPENED_MS)

    def run(self) -> None:
        """Run the first cell, and wait until it prints."""
        self.page.locator(self.face.editor).first.click()
        self.page.keyboard.press("Shift+Enter")
        self.wait_for("[20]")

    def wait_for(self, text: str, *, seconds: float = 60) -> None:
        """Until that stands in its output, which the classic notebook cuts at 8 KiB."""
        printed = self.page.locator(self.face.output).filter(has_text=text)
        expect(printed.first).to_be_attached(timeout=seconds * 1000)

    def numbers(self) -> list[int]:
        """What the cell printed, read from the page."""
        text = "".join(self.page.locator(self.face.output).all_inner_texts())
        return [int(number) for number in re.findall(r"\[(\d+)\]", text)]

    def assert_calm(self) -> None:
        """No dialog, and no word of a connection that is gone."""
        dialogs = self.page.locator(f"{self.face.dialog}:visible").all_inner_texts()
        if dialogs:
            self.shoot("dialog")
        assert not dialogs
        status = " ".join(self.page.locator(self.face.status).all_inner_texts())
        assert "disconnected" not in status.lower()

    def shoot(self, name: str) -> None:
        """Keep a picture."""
        if KEPT:
            Path(KEPT).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{KEPT}/outage-{self.face.name}-{name}.png")


@pytest.fixture
def browser(laptop: Laptop) -> Iterator[BrowserContext]:
    """A real Chromium in the laptop's network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            yield browser.new_context(viewport={"width": 1200, "height": 720})
        finally:
            browser.close()


def connected(lab: Lab, laptop: Laptop, face: Face) -> Remotenb:
    """A session with a container of that generation; a context manager."""
    return Remotenb(lab, "gpu-box", laptop, "--image", face.image)


def write(session: Remotenb, name: str, count: int) -> str:
    """Make a notebook whose one cell prints that many numbers; its address, logged in."""
    content = {**NOTEBOOK, "cells": [{**CELL, "source": PROGRAM.format(count=count)}]}
    book = session.notebook
    book.call("PUT", f"api/contents/{name}.ipynb", {"type": "notebook", "content": content})
    return f"{name}.ipynb?token={book.token}"


def address(session: Remotenb, face: Face, file: str) -> str:
    return session.notebook.base + face.opener + file


@contextmanager
def outage(lab: Lab, session: Remotenb, seconds: float, *tabs: Tab) -> Iterator[None]:
    """Silence both ways; the tabs are looked at four times a second, and have to stay calm."""
    lab.block("drop")
    begun = time.monotonic()
    session.connected.wait_for("dropped", NOTICED_S)
    yield
    while time.monotonic() < begun + seconds:
        for tab in tabs:
            tab.assert_calm()
            tab.page.wait_for_timeout(250)
    lab.unblock()
    session.connected.wait_for("restored", BACK_S)


def whole(tab: Tab, count: int) -> None:
    """Every line is there, once and in order, and the page is calm."""
    tab.wait_for("done", seconds=90)
    assert tab.numbers() == list(range(count))
    tab.assert_calm()


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
@pytest.mark.parametrize(
    ("seconds", "silent"), [(40, 25), pytest.param(150, 100, marks=pytest.mark.long)]
)
@pytest.mark.long
def test_a_tab_does_not_notice_an_outage(
    lab: Lab, laptop: Laptop, browser: BrowserContext, face: Face, seconds: int, silent: int
) -> None:
    count = seconds * 20
    with connected(lab, laptop, face) as session:
        tab = Tab(browser.new_page(), face)
        tab.open(address(session, face, write(session, "lines", count)))
        tab.run()
        tab.shoot("1-before")
        with outage(lab, session, silent, tab):
            tab.shoot("2-during")
        whole(tab, count)
        tab.shoot("3-after")


@pytest.mark.long
def test_a_page_opened_when_all_connections_of_the_browser_wait_says_that_it_waits(
    lab: Lab, laptop: Laptop, browser: BrowserContext
) -> None:
    with connected(lab, laptop, NEW) as session:
        tab, other = Tab(browser.new_page(), NEW), Tab(browser.new_page(), NEW)
        tab.open(address(session, NEW, write(session, "lines", 10)))
        waiting: list[str] = []
        tab.page.on("request", lambda one: waiting.append(one.url))
        with outage(lab, session, 8, tab):
            del waiting[:]
            while len(set(waiting)) < BROWSERS_LIMIT:
                tab.page.wait_for_timeout(250)
            other.page.goto(session.notebook.base + "lab", timeout=20_000)
            assert "Waiting for gpu-box" in other.page.title()
            tab.assert_calm()
        other.page.wait_for_selector(".jp-LabShell", timeout=OPENED_MS)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
def test_a_page_reloaded_in_an_outage_waits_and_comes_back_by_itself(
    lab: Lab, laptop: Laptop, browser: BrowserContext, face: Face
) -> None:
    with connected(lab, laptop, face) as session:
        tab = Tab(browser.new_page(), face)
        tab.open(address(session, face, write(session, "lines", 10)))
        with outage(lab, session, 8):
            tab.page.reload(wait_until="domcontentloaded")
            tab.shoot("4-reloaded")
            assert not tab.page.locator(face.editor).count()
            assert tab.page.inner_text("body").strip()
        tab.page.wait_for_selector(face.editor, timeout=OPENED_MS)
        tab.page.wait_for_selector(face.idle, timeout=OPENED_MS)
        tab.shoot("5-by-itself")


@pytest.mark.long
def test_three_tabs_do_not_notice_an_outage(
    lab: Lab, laptop: Laptop, browser: BrowserContext
) -> None:
    count = 600
    with connected(lab, laptop, NEW) as session:
        tabs = [Tab(browser.new_page(), NEW) for _ in range(3)]
        for number, tab in enumerate(tabs):
            tab.open(address(session, NEW, write(session, f"lines{number}", count)))
        for tab in tabs:
            tab.page.bring_to_front()
            tab.run()
        with outage(lab, session, 12, *tabs):
            pass
        for tab in tabs:
            tab.page.bring_to_front()
            whole(tab, count)


@pytest.mark.long
def test_two_tabs_on_one_kernel_lose_nothing(
    lab: Lab, laptop: Laptop, browser: BrowserContext
) -> None:
    count = 600
    with connected(lab, laptop, NEW) as session:
        file = write(session, "lines", count)
        first, second = Tab(browser.new_page(), NEW), Tab(browser.new_page(), NEW)
        first.open(address(session, NEW, file))
        second.open(session.notebook.base + "lab/workspaces/second/tree/" + file)
        (kernel,) = session.notebook.call("GET", "api/kernels")
        first.page.bring_to_front()
        first.run()
        with outage(lab, session, 12, first, second):
            pass
        whole(first, count)
        assert connections(session.notebook, kernel["id"]) == 2
        second.assert_calm()


def connections(notebook: Notebook, kernel: str) -> int:
    """How many websockets the server has for that kernel."""
    found: int = notebook.call("GET", f"api/kernels/{kernel}")["connections"]
    return found
