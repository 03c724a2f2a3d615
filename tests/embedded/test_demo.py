"""``remotenb demo`` as a user runs it: the contract's events, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.embedded.peers import until
from tests.notebook import get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 25.0

READY_KEYS = {
    "forwards": list,
    "event": str,
    "time": str,
    "host": str,
    "url": str,
    "local_port": int,
    "engine": str,
    "container": type(None),
    "image": type(None),
    "reused": bool,
    "joined": bool,
    "relay": bool,
    "server": dict,
    "elapsed": float,
}
SERVER_KEYS = {"version": str, "base_url": str, "root_dir": str, "port": int, "started": str}


def environment(home: Path) -> dict[str, str]:
    """A user's, with all that is temporary in ``home``."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(home)}


def remotenb(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remotenb", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(home),
        stdin=subprocess.DEVNULL,
    )


class Demo:
    """A demo that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._selector = selectors.DefaultSelector()
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ)
        self._read = bytearray()

    def event(self, timeout: float) -> dict[str, Any]:
        """The next line of stdout, within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._read:
            assert self._selector.select(deadline - time.monotonic()), "no event in time"
            data = os.read(self._selector.get_map()[self.process.stdout].fd, 65536)  # type: ignore[index]
            assert data, "stdout ended"
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def rest(self) -> bytes:
        """What else it prints until its end."""
        out, _ = self.process.communicate(timeout=STOP_TIMEOUT_S)
        return bytes(self._read) + out


@contextmanager
def demo(home: Path, *arguments: str) -> Iterator[Demo]:
    """``remotenb demo``, killed in the end if it still runs."""
    argv = [sys.executable, "-m", "remotenb", "demo", "--json", "--no-browser", *arguments]
    with subprocess.Popen(
        argv,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield Demo(process)
        finally:
            process.kill()


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that live in ``home``."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if any(str(home) in word for word in words):
            found.append(" ".join(words))
    return found


def assert_ready(event: dict[str, Any]) -> None:
    assert event["event"] == "ready", event
    assert {name: type(value) for name, value in event.items()} == READY_KEYS
    assert {name: type(value) for name, value in event["server"].items()} == SERVER_KEYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event["time"])
    assert (event["engine"], event["joined"], event["relay"]) == ("host", False, True)
    assert event["url"].startswith(f"http://127.0.0.1:{event['local_port']}/")
    assert "?token=" in event["url"]


HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)
"""Windows has none."""


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"), (HANGUP, "hangup")],
)
def test_the_demo_gets_ready_opens_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    with demo(tmp_path) as running:
        ready = running.event(READY_TIMEOUT_S)
        assert_ready(ready)
        status, page = get(ready["url"])
        assert (status, b"jupyter" in page.lower()) == (200, True)
        assert get(ready["url"].partition("?")[0] + "api/status")[0] == 403
        running.process.send_signal(number)
        closed = running.event(STOP_TIMEOUT_S)
        assert (closed["event"], closed["reason"]) == ("closed", reason)
        assert running.rest() == b""
        assert running.process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == []
    until(lambda: not processes_of(tmp_path), "its processes are gone", 5)


def test_interrupted_before_it_is_ready_it_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        until(lambda: list(tmp_path.glob("remotenb-demo-*/home/.local/*")), "the start", 30)
        running.process.send_signal(signal.SIGINT)
        running.rest()
        assert running.process.returncode == 130
    until(lambda: not processes_of(tmp_path), "its processes are gone", 15)
    assert list(tmp_path.glob("remotenb-demo-*")) == []


def test_a_notebook_that_runs_on_the_machine_already_is_left_alone(tmp_path: Path) -> None:
    with demo(tmp_path) as first:
        ready = first.event(READY_TIMEOUT_S)
        with demo(tmp_path) as second:
            other = second.event(READY_TIMEOUT_S)
            assert other["reused"] is False
            assert other["url"] != ready["url"]
            for running in (second, first):
                running.process.send_signal(signal.SIGINT)
                running.rest()


def test_the_demo_takes_the_port_that_was_named_or_says_that_it_is_taken(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        port = str(running.event(READY_TIMEOUT_S)["local_port"])
        refused = remotenb(tmp_path, "demo", "--json", "--no-browser", "--port", port)
        (event,) = map(json.loads, refused.stdout.splitlines())
        assert (refused.returncode, event["code"], event["error"]) == (5, 5, "PortTaken")
        running.process.send_signal(signal.SIGINT)
        running.rest()


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--nonsense"),
        ("demo", "extra"),
        ("demo", "--port", "0"),
        ("connect",),
        ("connect", "-oProxyCommand=x"),
        ("connect", "box", "--engine", "lxc"),
        ("connect", "box", "--port", "70000"),
        ("connect", "box", "--gpus", "some"),
        ("connect", "box", "--volume", "nonsense"),
        ("connect", "a b"),
        ("connect", "box", "--config", "/nonexistent.toml"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_event_with_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = remotenb(tmp_path, *arguments, "--json")
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, event["event"], event["code"]) == (2, "error", 2)
    assert event["error"] in {"UsageError", "ConfigError"}
    assert event["message"]
    assert "Traceback" not in done.stderr


def test_without_json_an_error_is_for_people_on_stderr(tmp_path: Path) -> None:
    done = remotenb(tmp_path, "connect", "a b")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("remotenb: ")
    assert "hint: " in done.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_the_commands(tmp_path: Path, option: str) -> None:
    done = remotenb(tmp_path, option)
    assert done.returncode == 0
    assert re.search(r"^  connect +\S", done.stdout, re.MULTILINE)
    assert re.search(r"^  demo +\S", done.stdout, re.MULTILINE)


def test_the_help_of_connect_shows_the_options_of_the_contract(tmp_path: Path) -> None:
    done = remotenb(tmp_path, "connect", "--help")
    for option in ("--json", "--no-browser", "--image", "--container", "--gpus", "--volume"):
        assert option in done.stdout
    for option in ("--port", "--new", "--engine", "--allow-open", "--config", "-F", "-v"):
        assert option in done.stdout
