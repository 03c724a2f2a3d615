"""``remotenb demo``: the very same ``connect``, to a server that this machine plays."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, stopping
from remotenb.cli.connect import hold
from remotenb.cli.output import Terminal, reporter
from remotenb.errors import FarSideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.embedded import EmbeddedServer
    from remotenb.model import Host
    from remotenb.session.opening import Connect

STOP_TIMEOUT_S = 10.0
AWAY_S = 5.0
"""How long the server does not answer when the demo cuts the link."""

CELL = """\
import time

for epoch in range(1, 61):
    print(f"epoch {epoch:2}  loss {1 / epoch:.3f}")
    time.sleep(1)
"""


@click.command("demo", short_help="See what connect does, without any server.")
@click.option("--json", "as_json", is_flag=True, help="Print events, one JSON object a line.")
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening it.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="P", help="The LOCAL port.")
@click.option(
    "--drop-every",
    metavar="20s",
    callback=lambda _ctx, _param, text: _seconds(text),
    help="Cut the link again and again, for 5 s each time, and see a cell survive it.",
)
@options.common
def command(
    *,
    as_json: bool,
    no_browser: bool,
    port: int | None,
    drop_every: float | None,
    verbose: int,
    **_unused: str | None,
) -> int:
    """See what connect does, without any server.

    An SSH server on this machine's loopback with throwaway keys plays the GPU box; the
    Jupyter behind it is real, and so is every step of connect. Nothing of it is left behind.
    """
    start = time.monotonic()
    stopping.stop_like_ctrl_c()
    options.set_up_logging(verbose)
    report = reporter(as_json=as_json)
    if isinstance(report, Terminal):
        report.say("This machine plays the server: an SSH server on its loopback, throwaway keys,")
        report.say("a Jupyter of its own in a temporary folder. All of it goes when you stop.")
    with _playing_the_server(drop_every) as (home, host):
        from remotenb.session.opening import Connect  # noqa: PLC0415  paramiko and fabric: 150 ms
        from remotenb.settings import Settings  # noqa: PLC0415
        from remotenb.spec import Wish  # noqa: PLC0415

        settings = Settings(
            engine="host", browser=not no_browser, port=port, root_dir=str(home / "work")
        )
        connect = Connect(
            host, Wish(settings, new=True), report, None, laptop=lambda: secrets.token_bytes(16)
        )
        return _run(connect, started=start)


def _run(connect: Connect, *, started: float) -> int:
    with connect.open() as session:
        parting = "Ctrl-C ends the demo, the notebook with it."
        return hold(connect, session, connect.report, started=started, parting=parting)


def _seconds(text: str | None) -> float | None:
    """``20``, ``20s`` or ``2m``."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)(s|m)?", text)
    seconds = float(found[1]) * (60 if found[2] == "m" else 1) if found else 0.0
    if seconds <= AWAY_S:
        raise click.BadParameter(f"{text!r} is not a time of more than {AWAY_S:g}s")
    return seconds


@contextmanager
def _dropping(server: EmbeddedServer, every: float | None) -> Iterator[None]:
    """Meanwhile, a link that breaks."""
    stop = threading.Event()

    def drop() -> None:
        while not stop.wait(every):
            server.drop(AWAY_S)

    if every is not None:
        threading.Thread(target=drop, name="drops", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


@contextmanager
def _playing_the_server(drop_every: float | None) -> Iterator[tuple[Path, Host]]:
    """A home with a notebook in it, and the host that leads there; all gone in the end."""
    if os.name == "nt" or shutil.which("sh") is None:
        raise FarSideError(
            "the demo plays the server on this machine, and a server needs a POSIX sh",
            hint="on Windows: run it in WSL, or go straight to a server with remotenb connect",
        )
    try:
        from remotenb.embedded import EmbeddedServer  # noqa: PLC0415  an extra of the package
    except ImportError as error:
        raise UsageError(
            f"the demo needs {error.name}, which is not installed",
            hint="pip install 'remotenb[demo]'",
        ) from None
    folder = Path(tempfile.mkdtemp(prefix="remotenb-demo-"))
    server = EmbeddedServer(folder, environment=_environment())
    try:
        with server as host, _dropping(server, drop_every):
            _put_notebook(server.home / "work")
            yield server.home, host
    finally:
        _take_away(folder, server.home)


def _environment() -> dict[str, str]:
    """What a login on a plain server would have, and the Jupyter that is installed beside us."""
    beside = str(Path(sys.executable).parent)
    kept = {k: v for k, v in os.environ.items() if k in {"LANG", "LC_ALL", "USER", "LOGNAME"}}
    return {**kept, "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def _put_notebook(folder: Path) -> None:
    folder.mkdir()
    cell: dict[str, object] = {"cell_type": "code", "execution_count": None, "metadata": {}}
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [{**cell, "id": "train", "outputs": [], "source": CELL}],
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "train.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def _take_away(folder: Path, home: Path) -> None:
    """Stop what runs there and remove the folder, until it is gone: a Jupyter may just begin."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        _stop_jupyter(home)
        shutil.rmtree(folder, ignore_errors=True)


def _stop_jupyter(home: Path) -> None:
    """End the server that was started there, ready or not, and wait until it is gone."""
    for file in home.glob(".local/state/remotenb/*/pid"):
        group = int(file.read_text(encoding="ascii").strip() or 0)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while group and _signalled(group, signal.SIGTERM, deadline):
            time.sleep(0.05)


def _signalled(group: int, number: int, deadline: float) -> bool:
    """Whether that process group was there to be signalled; past the deadline it is killed."""
    there = False
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number if time.monotonic() < deadline else signal.SIGKILL)
            there = True
    return there
