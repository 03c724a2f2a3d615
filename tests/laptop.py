"""The laptop as its user has it: a home, an ssh_config, and remotenb as a command."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0

Event = dict[str, Any]


@dataclass
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        """What it printed on stdout, read as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def table(self) -> list[dict[str, Any]]:
        """What it printed on stdout, read as one JSON document."""
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows

    @property
    def error(self) -> Event:
        """Its last event, which must be an error with the exit code of the contract."""
        last = self.events[-1]
        assert last["event"] == "error", self
        assert last["code"] == self.code, self
        assert last["message"], self
        assert "\n" not in last["message"], self
        assert "Traceback" not in self.err, self
        return last


@dataclass
class Connected:
    """A ``connect`` that is ready and goes on."""

    process: subprocess.Popen[bytes]
    events: list[Event]
    _stdout: bytearray = field(default_factory=bytearray)

    @property
    def ready(self) -> Event:
        """The ready event."""
        return next(event for event in self.events if event["event"] == "ready")

    @property
    def warnings(self) -> list[str]:
        """The codes of the warnings before it was ready."""
        return [event["code"] for event in self.events if event["event"] == "warning"]

    def next_event(self, timeout: float) -> Event | None:
        """The next event; None when stdout ends. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._stdout:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    msg = f"no event in {timeout} s"
                    raise TimeoutError(msg)
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return None
                self._stdout += data
        line, _, rest = bytes(self._stdout).partition(b"\n")
        self._stdout[:] = rest
        event: Event = json.loads(line)
        self.events.append(event)
        return event

    def wait_for(self, kind: str, timeout: float) -> Event:
        """The next event of that kind, the others are only collected; it must come in time."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.next_event(max(0.0, deadline - time.monotonic()))
            assert event is not None, (f"ended before {kind}", self.events)
            if event["event"] == kind:
                return event

    def drain(self) -> list[Event]:
        """What else it has told; all the events."""
        with suppress(TimeoutError):
            while self.next_event(0) is not None:
                pass
        return self.events

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT_S)
        while self.next_event(1) is not None:
            pass
        return code


@dataclass
class Laptop:
    """Where remotenb is run."""

    home: Path
    ssh_config: Path
    variables: dict[str, str] = field(default_factory=dict)
    """More of its environment."""
    within: tuple[str, ...] = ()
    """A command that runs what follows it, in surroundings of a test's own."""

    @property
    def environment(self) -> dict[str, str]:
        """A plain one, with a home of its own."""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG"}}
        own = {"HOME": str(self.home), "PYTHONWARNINGS": "error::ResourceWarning"}
        return {**kept, **own, **self.variables}

    def argv(self, *args: str) -> list[str]:
        """The command line of remotenb; connect gets the ssh_config of the machines."""
        extra = (
            ["-F", str(self.ssh_config)] if args[:1] == ("connect",) and "-F" not in args else []
        )
        return [*self.within, sys.executable, "-m", "remotenb", *args, *extra]

    def run(
        self, *args: str, timeout: float = 60, environment: dict[str, str] | None = None
    ) -> Done:
        """Run remotenb to its end."""
        done = subprocess.run(
            self.argv(*args),
            check=False,
            capture_output=True,
            timeout=timeout,
            env={**self.environment, **(environment or {})},
            input=b"",
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def refused(self, *args: str, environment: dict[str, str] | None = None) -> Event:
        """Run ``connect --json``, which must fail; its error event."""
        return self.run("connect", *args, "--json", "--no-browser", environment=environment).error

    @contextmanager
    def connected(
        self, *args: str, environment: dict[str, str] | None = None, browser: bool = False
    ) -> Iterator[Connected]:
        """``connect`` until it is ready; ended with Ctrl-C afterwards, which must go well."""
        options = ["--json"] + ([] if browser else ["--no-browser"])
        process = subprocess.Popen(
            self.argv("connect", *args, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(environment or {})},
        )
        connected = Connected(process, [])
        try:
            deadline = time.monotonic() + READY_TIMEOUT_S
            while True:
                event = connected.next_event(deadline - time.monotonic())
                if event is None or event["event"] == "error":
                    assert process.stderr is not None
                    raise AssertionError((connected.events, process.stderr.read().decode()))
                if event["event"] == "ready":
                    break
            yield connected
            if process.poll() is None:
                assert connected.stop() == 0
                assert connected.events[-1]["event"] == "closed"
        finally:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
