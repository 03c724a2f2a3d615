"""What is printed, for people (stderr) and for scripts (stdout, one JSON object a line)."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remotenb.laptop.clock import timestamp
from remotenb.report import (
    Closed,
    Dropped,
    Ready,
    Restored,
    ServerGone,
    ServerRestarted,
    Waiting,
    error_members,
    members,
)
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.status import Status

    from remotenb.errors import RemotenbError
    from remotenb.report import Event, Reporter


def reporter(*, as_json: bool) -> Reporter:
    """Who listens to a session."""
    return JsonLines() if as_json else Terminal()


def emit(**event: object) -> None:
    """One event, at once: a script may wait for it."""
    line = json.dumps({"event": event.pop("event"), "time": timestamp(), **event})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


_SPINNING: list[Status] = []


@contextmanager
def no_spinner() -> Iterator[None]:
    """Meanwhile the terminal is a person's: what turns there would write over their line."""
    for spinner in _SPINNING:
        spinner.stop()
    try:
        yield
    finally:
        for spinner in _SPINNING:
            spinner.start()


class JsonLines:
    """The events of the contract; steps are for people."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:  # noqa: ARG002  Reporter's signature
        """Nothing: steps are not events."""
        yield

    def warning(self, code: str, message: str, hint: str) -> None:
        """A ``warning`` event."""
        emit(event="warning", code=code, message=message, hint=hint)

    def tell(self, event: Event) -> None:
        """The event, as the contract has it; the url of ``ready`` carries the token."""
        emit(**members(event))


class Terminal:
    """Steps and a calm summary, on stderr; plain lines when it is not a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  42 ms that --help need not pay

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that it goes on, then what it took."""
        start = time.monotonic()
        shown = plain(text)
        if self._console.is_terminal:
            with self._console.status(_escaped(shown) + " …", spinner="dots") as spinner:
                _SPINNING.append(spinner)
                try:
                    yield
                finally:
                    _SPINNING.remove(spinner)
        else:
            self._say(f"{shown} …")
            yield
        self._say(f"[green]✓[/] {_escaped(shown)} [dim]({time.monotonic() - start:.1f} s)[/]")

    def warning(self, code: str, message: str, hint: str) -> None:  # noqa: ARG002  the code is for scripts
        """A line and what to do about it."""
        self._say(f"[yellow]![/] {_escaped(message)}")
        self._say(f"  [dim]{_escaped(hint)}[/]")

    def tell(self, event: Event) -> None:
        """What happened, in words."""
        match event:
            case Ready():
                self._ready(event)
            case Dropped():
                self._say(
                    f"[yellow]![/] the link is gone ({_escaped(event.cause)}); reconnecting …"
                )
            case Restored():
                lost = "; connections of the page had to be ended" if event.lost else ""
                kept = f", {size(event.replayed_bytes)} caught up" if event.replayed_bytes else ""
                self._say(f"[green]✓[/] back after {event.after:.1f} s{kept}{lost}")
            case ServerRestarted():
                self._say("[yellow]![/] Jupyter was started anew; its kernels are gone")
            case Waiting():
                self._say(f"[yellow]![/] {_escaped(event.what)}")
                self._say(f"  [dim]{_escaped(event.hint)}[/]")
            case ServerGone() | Closed():
                pass  # the error says it; who closed it knows

    def _ready(self, ready: Ready) -> None:
        container = ready.server.container
        rows = [("host", ready.host)]
        if container:
            rows += [("container", container.name), ("image", container.image)]
            rows += [("GPUs", ready.gpus or "none")]
        rows += [("notebook", f"{'found' if ready.reused else 'started'}, {_kind(ready)}")]
        rows += [("address", ready.address)]
        self._say("")
        for name, value in rows:
            self._say(f"  [dim]{name:10}[/] {_escaped(value)}")
        self._say("")

    def say(self, text: str) -> None:
        """A plain line."""
        self._say(_escaped(text))

    def _say(self, markup: str) -> None:
        _print(self._console, markup)


def size(count: int) -> str:
    """A number of bytes, for people."""
    kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
    if count >= gib:
        return f"{count / gib:.1f} GiB"
    if count >= mib:
        return f"{count / mib:.1f} MiB"
    return f"{count / kib:.1f} KiB" if count >= kib else f"{count} bytes"


def _kind(ready: Ready) -> str:
    return f"Jupyter {ready.server.version or 'of unknown version'}"


def _escaped(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415  see Terminal

    return escape(plain(text))


def _print(console: Console, markup: str) -> None:
    console.print(markup)


def done(verb: str, name: str, *, as_json: bool, **facts: object) -> int:
    """Say that ``name`` was, for example, ``stopped``; the exit code."""
    if as_json:
        emit(event="done", what=verb, name=name, **facts)
    else:
        print(f"{verb}: {plain(name)}", file=sys.stderr)
    return 0


def print_error(error: RemotenbError, *, as_json: bool) -> None:
    """The one place where an error is shown."""
    if as_json:
        emit(event="error", **error_members(error))
    for line in plain(error.detail).splitlines():
        print(f"  | {line}", file=sys.stderr)
    print(f"remotenb: {plain(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {plain(error.hint)}", file=sys.stderr)
