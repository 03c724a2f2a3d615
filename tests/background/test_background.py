"""Sessions that go on without their terminal, and the commands that find them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from remotenb.background import asking
from remotenb.background.asking import dial
from remotenb.background.control import Control
from remotenb.background.hub import WAITING_EVENTS, Hub
from remotenb.errors import ServerGone
from remotenb.report import Closed, Quiet
from tests.laptop import Laptop
from tests.notebook import get
from tests.rig.failures import until

assert sys.platform != "win32"  # unix sockets and signals

if TYPE_CHECKING:
    from pathlib import Path

DETACHED = ("connect", "box", "--engine", "host", "-d", "--json", "--no-browser")


def detached(laptop: Laptop, *more: str) -> dict[str, Any]:
    done = laptop.run(*DETACHED, *more)
    assert done.code == 0, done
    ready: dict[str, Any] = done.events[-1]
    assert ready["event"] == "ready"
    return ready


def status(laptop: Laptop) -> list[dict[str, Any]]:
    done = laptop.run("status", "--json")
    assert done.code == 0, done
    rows: list[dict[str, Any]] = json.loads(done.out)
    return rows


def sessions_folder(laptop: Laptop) -> Path:
    return laptop.home / ".local/state/remotenb/sessions"


def test_a_detached_session_goes_on_and_is_seen_opened_and_ended(laptop: Laptop) -> None:
    ready = detached(laptop)
    assert get(ready["url"])[0] == 200
    (row,) = status(laptop)
    assert (row["host"], row["local_port"], row["link"]) == ("box", ready["local_port"], "up")
    assert row["relay"] is True
    opened = laptop.run("open", "box", "--json")
    assert opened.events[0]["url"] == ready["url"]
    shown = laptop.run("status").out
    assert str(ready["local_port"]) in shown
    assert max(map(len, shown.splitlines())) <= 79  # of a screen with 80 columns
    assert laptop.run("disconnect", "box").code == 0
    until(lambda: not psutil.pid_exists(row["pid"]), "its end")
    assert status(laptop) == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", ready["local_port"]))
    assert "ready" in (log := laptop.run("logs", "box").out)
    assert "disconnected" in log


def test_the_address_of_a_detached_session_stands_below_what_says_so(laptop: Laptop) -> None:
    done = subprocess.run(
        laptop.argv(*(one for one in DETACHED if one != "--json")),
        env=laptop.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=True,
    )
    *_, last, address = done.stdout.decode().splitlines()
    assert last == "Open this in your browser:"
    assert "token=" in address
    assert laptop.run("disconnect", "box").code == 0


def test_no_token_is_in_any_file_or_argv_and_all_is_for_its_user_alone(laptop: Laptop) -> None:
    token = detached(laptop)["url"].partition("token=")[2]
    (row,) = status(laptop)
    folder = sessions_folder(laptop)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in laptop.home.rglob("*") if path.is_file()]
    for path in files:
        assert token not in path.read_text(errors="replace"), path
        if path.suffix != ".lock":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert token not in " ".join(psutil.Process(row["pid"]).cmdline())
    assert token not in laptop.run("status").out + laptop.run("logs", "box").out


def test_connect_joins_a_live_session_and_ctrl_c_ends_only_the_showing(laptop: Laptop) -> None:
    first = detached(laptop)
    with laptop.connected("box", "--engine", "host") as joined:
        assert joined.ready["joined"] is True
        assert joined.ready["url"] == first["url"]
        assert joined.stop() == 0
    assert detached(laptop)["joined"] is True
    assert len(status(laptop)) == 1


def test_who_joined_sees_the_sessions_end(laptop: Laptop) -> None:
    detached(laptop)
    with laptop.connected("box", "--engine", "host") as joined:
        assert laptop.run("disconnect", "box").code == 0
        event = joined.next_event(10)
        assert event is not None
        assert (event["event"], event["reason"]) == ("closed", "disconnected")
        assert joined.process.wait(10) == 0


def test_who_joined_is_told_when_the_sessions_process_is_killed(laptop: Laptop) -> None:
    detached(laptop)
    (row,) = status(laptop)
    with laptop.connected("box", "--engine", "host") as joined:
        os.kill(row["pid"], signal.SIGKILL)
        error = joined.wait_for("error", 10)
        assert str(row["pid"]) in error["message"]
        assert joined.process.wait(10) == error["code"] == 5


def test_a_terminal_that_closes_with_two_signals_ends_the_session_once(laptop: Laptop) -> None:
    with laptop.connected("box", "--engine", "host") as session:
        session.process.send_signal(signal.SIGHUP)
        assert session.stop(signal.SIGTERM) == 0
        assert session.events[-1]["event"] == "closed"
        assert session.events[-1]["reason"] in {"hangup", "terminated"}
    assert status(laptop) == []


def test_a_session_that_is_stopped_is_said_and_not_forgotten(laptop: Laptop) -> None:
    detached(laptop)
    (row,) = status(laptop)
    os.kill(row["pid"], signal.SIGSTOP)
    try:
        done = laptop.run("status")
        assert (done.code, done.out) == (0, "")
        assert "does not answer" in done.err
        assert str(row["pid"]) in done.err
    finally:
        os.kill(row["pid"], signal.SIGCONT)
    assert len(status(laptop)) == 1


def test_a_home_with_a_long_name_has_sessions_too(laptop: Laptop) -> None:
    home = laptop.home / ("x" * 100)
    home.mkdir()
    deep = Laptop(home, laptop.ssh_config)
    detached(deep)
    assert len(status(deep)) == 1
    assert deep.run("disconnect", "box").code == 0
    until(lambda: not list(sessions_folder(deep).glob("*.sock")), "the socket's end")


def test_a_listener_that_does_not_listen_holds_nobody_up() -> None:
    hub = Hub(Quiet())
    with hub.listening() as events:
        for _ in range(2 * WAITING_EVENTS):
            hub.tell(Closed("test"))
        hub.end()
        assert events.qsize() == WAITING_EVENTS
        assert [events.get() for _ in range(WAITING_EVENTS)][-1] is None


def test_who_watches_has_heard_of_the_end_when_the_door_is_closed(tmp_path: Path) -> None:
    hub = Hub(Quiet())
    nobody: Any = None  # a session is asked for nothing here
    door = Control(nobody, nobody, hub, tmp_path)
    with dial(door.address) as sock:
        sock.sendall(b'{"version": 1, "ask": "watch"}\n')
        assert sock.recv(100) == b"{}\n"
        for _ in range(50):
            hub.tell(Closed("test"))
        hub.fail(ServerGone("it is gone"))
        door.close()
        sock.setblocking(False)
        came = b""
        with suppress(BlockingIOError):  # no more than what is here by now
            while data := sock.recv(1 << 16):
                came += data
    assert json.loads(came.splitlines()[-1])["error"] == "ServerGone"


def test_two_connects_at_once_make_one_session(laptop: Laptop) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: detached(laptop), range(2))
    assert {first["joined"], second["joined"]} == {True, False}
    assert first["local_port"] == second["local_port"]
    assert len(status(laptop)) == 1


def test_another_port_is_a_second_session(laptop: Laptop) -> None:
    first = detached(laptop)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    second = detached(laptop, "--port", str(port))
    assert second["local_port"] == port != first["local_port"]
    assert len(status(laptop)) == 2
    assert laptop.run("disconnect", "box", "--port", str(port)).code == 0
    until(lambda: len(status(laptop)) == 1, "the second session's end")


def test_a_forward_leads_beside_the_notebook_and_is_added_to_a_live_session(
    laptop: Laptop,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as board:
        port = board.getsockname()[1]
        assert detached(laptop)["forwards"] == []
        ready = detached(laptop, "--forward", str(port))
        (forward,) = ready["forwards"]
        assert forward["port"] == port
        board.settimeout(10)
        with socket.create_connection(("127.0.0.1", forward["local_port"])) as sock:
            sock.sendall(b"hello")
            came, _ = board.accept()
            with came:
                assert came.recv(5) == b"hello"
        (row,) = status(laptop)
        assert row["forwards"] == ready["forwards"]


def test_a_session_that_was_killed_leaves_nothing_that_does_not_heal(laptop: Laptop) -> None:
    ready = detached(laptop)
    (row,) = status(laptop)
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: not psutil.pid_exists(row["pid"]), "its end")
    assert status(laptop) == []
    assert not list(sessions_folder(laptop).glob("*.json"))
    again = detached(laptop)
    assert (again["joined"], again["url"]) == (False, ready["url"])


def test_without_a_session_commands_say_so(laptop: Laptop) -> None:
    assert status(laptop) == []
    for command in (("open", "box"), ("disconnect", "box"), ("logs", "box")):
        done = laptop.run(*command)
        assert done.code == 5, done
        assert len(done.err.splitlines()) == 2
        assert "remotenb " in done.err.splitlines()[1]
    assert laptop.run("disconnect").code == 2
    assert laptop.run("disconnect", "--all").code == 0


def test_a_detached_connect_that_fails_says_why_with_its_exit_code(laptop: Laptop) -> None:
    done = laptop.run("connect", "nowhere.invalid", "-d", "--json", "--no-browser")
    assert (done.code, done.events[-1]["error"]) == (3, "HostUnknown")


def test_ctrl_c_before_ready_waits_for_the_end_of_the_background_process(
    laptop: Laptop,
) -> None:
    process = subprocess.Popen(
        laptop.argv(*DETACHED),
        env=laptop.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parent = psutil.Process(process.pid)

    def begun() -> list[psutil.Process]:  # it has the lock of this host's sessions
        locks = {
            child: [file for file in child.open_files() if file.path.endswith(".lock")]
            for child in parent.children()
        }
        return [child for child, held in locks.items() if held]

    until(begun, "the background process")
    (child,) = begun()
    child.suspend()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):  # it may have things to take away over there
        process.wait(1)
    child.resume()
    assert process.wait(10) == 130
    assert not child.is_running()


@pytest.mark.parametrize(
    "request_line",
    [b"", b"\n", b"[]\n", b"{}\n", b"x" * 100_000, b'{"version": 1, "ask": "rm -rf"}\n'],
)
def test_a_request_that_makes_no_sense_harms_nothing(laptop: Laptop, request_line: bytes) -> None:
    detached(laptop)
    (file,) = sessions_folder(laptop).glob("*.json")
    address = json.loads(file.read_text())["address"]
    with asking.dial(address) as stranger:
        stranger.settimeout(10)
        try:
            stranger.sendall(request_line)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1000):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert len(status(laptop)) == 1


def test_a_session_of_another_version_is_said(laptop: Laptop) -> None:
    detached(laptop)
    (file,) = sessions_folder(laptop).glob("*.json")
    address = json.loads(file.read_text())["address"]
    with asking.dial(address) as client:
        client.sendall(json.dumps({"version": asking.VERSION + 1, "ask": "status"}).encode())
        client.sendall(b"\n")
        assert "another version" in json.loads(client.makefile().readline())["error"]
