"""How far something is that lasts: a bar on a terminal, a line now and then, events."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

import click

from remotenb.cli.output import emit, size
from remotenb.text import plain

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY_S, EVENT_EVERY_S = 10.0, 1.0


class Bytes:
    """Bytes of ``total``; a context manager, which ends the bar."""

    def __init__(self, what: str, total: int, *, as_json: bool) -> None:
        self._what = plain(what)
        self._total = total
        self._as_json = as_json
        self._done = 0
        self._begun = time.monotonic()
        self._said = self._begun
        self._bar: Progress | None = None

    def moved(self, count: int) -> None:
        """So many more."""
        self._done += count
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
            return
        now = time.monotonic()
        if now - self._said > (EVENT_EVERY_S if self._as_json else LINE_EVERY_S):
            self._said = now
            self._tell()

    def at(self, done: int, total: int, what: str) -> None:
        """So many of so many, doing ``what``: for what learns on the way how much there is."""
        self._total, self._what = total, plain(what)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=total or None, description=self._what)
        self.moved(done - self._done)

    def _tell(self) -> None:
        if self._as_json:
            emit(event="progress", what=self._what, bytes=self._done, total=self._total)
            return
        share = 100 * self._done // max(self._total, 1)
        click.echo(f"{self._what}: {share} % of {size(self._total)}", err=True)

    def __enter__(self) -> Self:
        if self._as_json:
            self._tell()
        elif sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task(self._what, total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._as_json:
            self._tell()


def _bar() -> Progress:
    from rich.console import Console  # noqa: PLC0415  42 ms
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
