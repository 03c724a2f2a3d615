"""What only Windows can show, or Wine in its place: the traps that an SSH tool meets there."""

from __future__ import annotations

import _winapi
import ctypes
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paramiko import ECDSAKey

from remotenb.background import asking, detach, state
from remotenb.background.control import Control
from remotenb.background.hub import Hub
from remotenb.cli import stopping
from remotenb.cli.options import of_the_server
from remotenb.errors import PortTaken
from remotenb.laptop import notes, private
from remotenb.laptop.keyrings import Keyring
from remotenb.report import Quiet
from remotenb.secret import Secret
from remotenb.ssh.agent import AgentKeys
from remotenb.tunnel import listener
from remotenb.tunnel.onetime import OneTimeLink

assert sys.platform == "win32"

if TYPE_CHECKING:
    from collections.abc import Iterator


def python(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, input=b"", timeout=30
    )


# Ctrl-C and Ctrl-Break


def test_every_wait_of_threading_is_cut_into_short_ones() -> None:
    """In a process of its own, as it is done for good."""
    done = python(
        "import threading, queue\n"
        "from remotenb.cli import stopping\n"
        "stopping.hear_ctrl_c()\n"
        "made = []\n"
        "class Counted(stopping.PatientLock):\n"
        "    def __init__(self): super().__init__(); made.append(self)\n"
        "threading._allocate_lock = Counted\n"
        "assert not threading.Event().wait(0.01)\n"
        "try: queue.Queue().get(timeout=0.01)\n"
        "except queue.Empty: pass\n"
        "print(len(made))"
    )
    assert done.stdout.split() == [b"2"], done


def test_a_patient_lock_waits_as_long_as_any_other() -> None:
    lock = stopping.PatientLock()
    assert lock.acquire()
    begun = time.monotonic()
    assert not lock.acquire(timeout=0.6)
    assert 0.5 < time.monotonic() - begun < 3
    assert not lock.acquire(blocking=False)
    threading.Timer(0.1, lock.release).start()
    assert lock.acquire(timeout=10)


def test_ctrl_break_ends_a_wait_as_ctrl_c_does() -> None:
    """Wine cannot send it; the signal that Windows makes of it is raised here by ourselves."""
    done = python(
        "import signal, threading\n"
        "from remotenb.cli import stopping\n"
        "stopping.hear_ctrl_c(); stopping.stop_like_ctrl_c()\n"
        "threading.Timer(0.3, signal.raise_signal, [signal.SIGBREAK]).start()\n"
        "try: threading.Event().wait(20)\n"
        "except KeyboardInterrupt as interrupt: print(stopping.reason(interrupt))"
    )
    assert done.stdout.split() == [b"interrupted"], done


# output


def test_output_that_goes_to_a_pipe_is_utf8() -> None:
    done = python(
        "import sys\n"
        "print(sys.stdout.encoding, end=' ')\n"
        "from remotenb.cli import stopping\n"
        "stopping.utf8_streams()\n"
        "print('✓')"
    )
    assert done.stdout.split() == [b"cp1252", "✓".encode()], done


# ports


def test_no_other_program_can_take_our_port_too() -> None:
    with listener.bind([0]) as ours, socket.socket() as theirs:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE) == 1
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match=r"10013|10048|273d|2740"):
            theirs.bind(ours.getsockname())


def test_nor_that_of_a_one_time_link() -> None:
    link = OneTimeLink(Secret("http://127.0.0.1/"))
    try:
        used = link._server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE)
        assert used == 1
    finally:
        link.close()


def test_a_port_that_windows_has_reserved_is_said_with_the_command_that_lists_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fake: Wine reserves no ports."""

    def reserved(_sock: socket.socket, _port: int) -> None:
        raise OSError(None, "not allowed", None, listener.WSAEACCES)

    monkeypatch.setattr(listener, "_claim", reserved)
    with pytest.raises(PortTaken) as raised:
        listener.bind([50000])
    assert "excludedportrange" in raised.value.hint


# files


def test_an_open_file_is_replaced_as_soon_as_its_reader_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "note.json"
    notes.write(file, {"a": 1})
    with file.open("rb") as reader:
        (tmp_path / "other").write_text("")
        with pytest.raises(PermissionError):
            (tmp_path / "other").replace(file)
        threading.Timer(0.3, reader.close).start()
        notes.write(file, {"a": 2})
    assert notes.read(file) == {"a": 2}


def test_a_session_file_that_cannot_be_read_now_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "folder", lambda: tmp_path)
    file = tmp_path / "1.json"
    file.write_text("{")
    handle = _winapi.CreateFile(str(file), 0x80000000, 0, 0, 3, 0, 0)  # read, shared with nobody
    try:
        assert state.read_all() == []
    finally:
        _winapi.CloseHandle(handle)
    assert file.exists()
    assert state.read_all() == []
    assert not file.exists()


def descriptor(path: Path) -> str:
    """The access list as text."""
    advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    size, text = ctypes.c_ulong(), ctypes.c_wchar_p()
    buffer = ctypes.create_string_buffer(4096)
    assert advapi.GetFileSecurityW(str(path), 4, buffer, 4096, ctypes.byref(size))
    convert = advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW
    assert convert(buffer, 1, 4, ctypes.byref(text), None)
    return str(text.value)


def test_what_is_ours_alone_is_closed_to_everybody_else(tmp_path: Path) -> None:
    """Wine keeps of an access list what a mode can say, which is enough to see others shut out."""
    folder = tmp_path / "mine"
    private.make_folder(folder)
    private.make_folder(folder)
    (folder / "file").write_text("secret")
    found = descriptor(folder)
    assert ";;WD)" not in found, found
    assert ";;B\x55)" not in found, found  # the group of all users
    assert private._user_sid(ctypes.WinDLL("advapi32")).startswith("S-1-5-")


# the control of a session


class Nothing:
    """A session that has nothing to say."""

    def stop(self, reason: str) -> None:
        """Never asked."""


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Control]:
    one = Control(Nothing(), lambda: None, Hub(Quiet()), tmp_path)  # type: ignore[arg-type, return-value]
    yield one
    one.close()


def test_the_control_answers_those_who_know_its_secret(door: Control) -> None:
    assert next(asking.ask(door.address, "close")) == {}


def test_it_answers_nobody_else_and_the_secret_is_never_sent(door: Control) -> None:
    port, _, secret = door.address.partition(":")
    with socket.create_connection(("127.0.0.1", int(port)), 10) as stranger:
        asked = {"version": 1, "ask": "close", "nonce": "n", "proof": "0" * 64}
        stranger.sendall(json.dumps(asked).encode() + b"\n")
        assert stranger.recv(1000) == b""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as other:

        def listen() -> None:
            came, _ = other.accept()
            with came:
                heard.append(came.recv(4096))
                came.sendall(b'{"proof": "x"}\n{"url": "http://evil"}\n')

        thread = threading.Thread(target=listen)
        thread.start()
        with pytest.raises(ConnectionRefusedError):
            next(asking.ask(f"{other.getsockname()[1]}:{secret}", "open"))
        thread.join(10)
    assert secret.encode() not in heard[0]


def test_a_virtual_environment_starts_its_background_without_its_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fake: the embeddable Python has no venv."""
    monkeypatch.setattr(sys, "_base_executable", r"C:\Python\python.exe")
    monkeypatch.setattr(sys, "executable", r"C:\venv\Scripts\python.exe")
    assert detach._python() == (
        r"C:\Python\python.exe",
        {"__PYVENV_LAUNCHER__": r"C:\venv\Scripts\python.exe"},
    )


# the rest


def test_a_home_that_the_shell_put_in_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERPROFILE", r"C:\Users\me")
    given = (r"C:\Users\me\work:/workspace", r"C:\Users\me/work:/w:ro", "~/work:/x")
    turned = of_the_server(given, Quiet())
    assert turned == ["~/work:/workspace", "~/work:/w:ro", "~/work:/x"]


def test_the_keyring_is_the_vault_of_windows_and_knows_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    keyring = Keyring(may_ask=False)
    keyring.set("remotenb test", "name", "s3cret")
    assert Keyring(may_ask=False).get("remotenb test", "name") == "s3cret"
    keyring.delete("remotenb test", "name")
    assert keyring.get("remotenb test", "name") is None
    with pytest.raises(Exception, match="1280"):
        keyring.set("remotenb test", "name", "x" * 1281)


def text(data: bytes) -> bytes:
    """As the agent's protocol has it."""
    return len(data).to_bytes(4, "big") + data


def test_windows_agent_is_asked_over_its_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: an agent of ours at its pipe, and that it is there, as Wine cannot list pipes."""
    key = ECDSAKey.generate()
    name = r"\\.\pipe\openssh-ssh-agent"
    pipe = _winapi.CreateNamedPipe(name, _winapi.PIPE_ACCESS_DUPLEX, 0, 1, 4096, 4096, 0, 0)
    answer = bytes([12, 0, 0, 0, 1]) + text(key.asbytes()) + text(b"mine")

    def serve() -> None:
        _winapi.ConnectNamedPipe(pipe)
        _winapi.ReadFile(pipe, 5)
        _winapi.WriteFile(pipe, text(answer))

    agent = threading.Thread(target=serve, daemon=True)
    agent.start()
    monkeypatch.setattr("paramiko.win_pageant.can_talk_to_agent", lambda: False)
    monkeypatch.setattr("paramiko.win_openssh.can_talk_to_agent", lambda: True)
    asked = AgentKeys(None, attended=False)
    try:
        assert [one.asbytes() for one in asked.keys()] == [key.asbytes()]  # noqa: SIM118
    finally:
        asked.close()
        agent.join(10)
        _winapi.CloseHandle(pipe)


def test_an_agent_that_cannot_be_looked_for_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> bool:
        raise OSError(None, "network name no longer available", None, 66)

    monkeypatch.setattr("paramiko.win_pageant.can_talk_to_agent", lambda: False)
    monkeypatch.setattr("paramiko.win_openssh.can_talk_to_agent", refused)
    assert AgentKeys(None, attended=False).keys() == ()
