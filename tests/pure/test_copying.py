"""A copy between two folders, one end in a thread: honest, cut, damaged, hostile."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import socket
import stat
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remotenb.far import copy_frames, tree
from remotenb.far.copy_frames import Wire
from remotenb.far.receiving import Receiver
from remotenb.far.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

assert sys.platform != "win32", "FIFOs, links and limits are made as on Linux"

SOME = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def wire(sock: socket.socket, limit: int | None = None) -> Wire:
    """One end; with a limit the connection breaks after so many bytes were sent."""
    left = [limit]

    def write(data: copy_frames.Bytes) -> None:
        if left[0] is not None:
            data, left[0] = data[: left[0]], left[0] - min(len(data), left[0])
        sock.sendall(data)
        if left[0] == 0:
            sock.shutdown(socket.SHUT_RDWR)
            raise EOFError

    def read(size: int) -> bytes:
        try:
            return sock.recv(size)
        except ConnectionError:
            return b""

    return Wire(read, write)


@contextmanager
def other_end(act: Callable[[Wire], None], limit: int | None = None) -> Iterator[Wire]:
    """This end, while ``act`` is the other one, which may break off."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        try:
            act(wire(theirs, limit))
        except (EOFError, OSError, copy_frames.Trouble):
            pass
        finally:
            theirs.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield wire(ours)
    finally:
        ours.close()
        thread.join()


def copy(  # what cp does, without the asking
    source: Path | str,
    target: Path | str,
    *,
    name: str = "",
    slash: bool = False,
    limit: int | None = None,
    replace: bool = True,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan and the outcome."""

    def send(end: Wire) -> None:
        sender = Sender(end, str(source))
        sender.tell()
        sender.send(lambda _moved: None, lambda: None)

    with other_end(send, limit) as end:
        receiver = Receiver(end, str(target))
        plan = receiver.plan(name, slash)
        return plan, receiver.fetch(replace, lambda _moved: None)


def contents(top: Path) -> dict[bytes, object]:
    """Each name beneath, with what makes it what it is."""
    found: dict[bytes, object] = {}
    for path in top.rglob("*"):
        about = path.lstat()
        facts: list[object] = [stat.S_IFMT(about.st_mode)]
        if stat.S_ISLNK(about.st_mode):
            facts.append(path.readlink())
        elif stat.S_ISREG(about.st_mode):
            facts += [path.read_bytes(), about.st_mtime_ns, about.st_mode]
        found[os.fsencode(path.relative_to(top))] = tuple(facts)
    return found


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & {0, ord("/")} and name not in {b".", b".."}
)
TREES = st.recursive(
    st.binary(max_size=2000) | st.just(b"x" * 700_000),
    lambda inside: st.dictionaries(NAMES, inside, max_size=4),
    max_leaves=8,
).filter(lambda made: isinstance(made, dict))


def lay(top: Path, made: dict[bytes, Any]) -> None:
    """Make a folder with these things in it."""
    top.mkdir()
    for name, content in made.items():
        path = top / os.fsdecode(name)
        if isinstance(content, dict):
            lay(path, content)
        else:
            path.write_bytes(content)
            path.chmod(0o640)
            os.utime(path, ns=(10**18, 10**18 + len(content)))


def names(folder: Path) -> list[str]:
    """What is in it."""
    return sorted(one.name for one in folder.iterdir())


@SOME
@given(TREES)
def test_what_arrives_is_what_was_there_and_a_second_run_has_nothing_to_do(
    made: dict[bytes, Any],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "source"), Path(place, "target")
        lay(source, made)
        plan, outcome = copy(source, target)
        assert outcome["failed"] == []
        assert contents(target) == contents(source)
        assert plan["lacking_files"] == plan["files"] == outcome["copied"]
        again, nothing = copy(source, target)
        assert (again["lacking_files"], nothing["copied"], nothing["bytes"]) == (0, 0, 0)


@SOME
@given(st.integers(0, 2_200_000), st.integers(0, 2_200_000))
def test_a_copy_that_was_cut_goes_on_and_nothing_half_done_has_its_name(
    first: int, second: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "source"), Path(place, "target")
        raw = os.urandom(700_001)
        lay(source, {b"a": {b"big": raw}, b"b": raw[::-1], b"c": b""})
        for limit in (first, second):
            with suppress(EOFError):
                copy(source, target, limit=max(limit, 1))
            whole = contents(source)
            for name, facts in contents(target).items():
                assert name.endswith(tree.PART.encode()) or whole[name] == facts
        plan, outcome = copy(source, target)
        assert contents(target) == contents(source)
        assert outcome["bytes"] == plan["lacking_bytes"] - plan["kept_bytes"]


def test_what_is_left_of_another_file_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new" * 1000)
    (tmp_path / f".target{tree.PART}").write_bytes(b"old" * 500)
    copy(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"new" * 1000
    assert names(tmp_path) == ["source", "target"]


def test_a_link_in_the_place_of_what_is_being_written_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    (tmp_path / "else").write_bytes(b"kept")
    (tmp_path / "into").mkdir()
    for name in (f".source{tree.PART}", "source"):
        (tmp_path / "into" / name).symlink_to(tmp_path / "else")
    copy(tmp_path / "source", tmp_path / "into", name="source")
    assert (tmp_path / "else").read_bytes() == b"kept"
    assert not (tmp_path / "into" / "source").is_symlink()


def test_a_folder_goes_into_the_place_under_its_name_and_a_file_into_a_folder(
    tmp_path: Path,
) -> None:
    lay(tmp_path / "runs", {b"x": b"1"})
    for _ in range(2):  # the same place, whether it is there already or not
        copy(tmp_path / "runs", tmp_path / "into", name="runs")
        assert contents(tmp_path / "into").keys() == {b"runs", b"runs/x"}
    copy(tmp_path / "runs" / "x", tmp_path / "into", name="x")
    copy(tmp_path / "runs" / "x", tmp_path / "new", name="x")
    copy(tmp_path / "runs" / "x", str(tmp_path / "deep/er/"), name="x", slash=True)
    assert (tmp_path / "into" / "x").is_file()
    assert (tmp_path / "new").is_file()
    assert (tmp_path / "deep" / "er" / "x").is_file()
    with pytest.raises(FileNotFoundError):
        copy(tmp_path / "runs" / "x", tmp_path / "mistyped" / "x", name="x")


def test_what_is_there_and_differs_is_counted_and_not_replaced_unasked(tmp_path: Path) -> None:
    lay(tmp_path / "source", {b"same": b"1", b"other": b"2"})
    copy(tmp_path / "source", tmp_path / "target")
    (tmp_path / "target" / "other").write_bytes(b"mine")
    (tmp_path / "target" / "more").write_bytes(b"mine too")
    with pytest.raises(FileExistsError):
        copy(tmp_path / "source", tmp_path / "target", replace=False)
    assert (tmp_path / "target" / "other").read_bytes() == b"mine"
    plan, _ = copy(tmp_path / "source", tmp_path / "target")
    assert plan["examples"] == [str(tmp_path / "target" / "other")]
    assert (tmp_path / "target" / "other").read_bytes() == b"2"
    assert (tmp_path / "target" / "more").read_bytes() == b"mine too"


def test_links_in_the_tree_stay_links_and_those_out_of_it_do_not_come(tmp_path: Path) -> None:
    lay(tmp_path / "source", {b"a": {b"x": b"1"}})
    for name, target in (("in", "a/x"), ("a/up", "../a"), ("out", "../.."), ("far", "/etc")):
        (tmp_path / "source" / name).symlink_to(target)
    _, outcome = copy(tmp_path / "source", tmp_path / "target")
    assert {one["path"] for one in outcome["failed"]} == {"out", "far"}
    assert (tmp_path / "target" / "a" / "up").readlink() == Path("../a")
    assert (tmp_path / "target" / "in").read_bytes() == b"1"


def test_what_is_no_file_and_what_may_not_be_read_is_named_and_the_rest_comes(
    tmp_path: Path,
) -> None:
    lay(tmp_path / "source", {b"x": b"1"})
    os.mkfifo(tmp_path / "source" / "fifo")
    _, outcome = copy(tmp_path / "source", tmp_path / "target")
    assert [one["path"] for one in outcome["failed"]] == ["fifo"]
    assert (tmp_path / "target" / "x").read_bytes() == b"1"


def test_a_folder_that_is_a_link_there_is_not_written_through(tmp_path: Path) -> None:
    lay(tmp_path / "source", {b"a": {b"x": b"1"}})
    (tmp_path / "else").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "a").symlink_to(tmp_path / "else")
    with pytest.raises(NotADirectoryError):
        copy(tmp_path / "source", tmp_path / "target")
    assert list((tmp_path / "else").iterdir()) == []


def test_what_cannot_be_written_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(2_000_000))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError, match="large") as raised:
            copy(tmp_path / "source", tmp_path / "target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert raised.value.filename == str(tmp_path / "target")
    assert names(tmp_path) == ["source"]


# ---- the other end lies

PIECES = st.sampled_from(["a", "b", "..", ".", "", "c\0", "é", "\udcff", "~", "x" * 300, "aux"])
PATHS = st.lists(PIECES, max_size=4).map("/".join) | st.sampled_from(
    ["/etc/x", "../x", "a/../../x"]
)
KINDS = st.sampled_from(["file", "file", "folder", "folder", "link", "other", "device"])
TARGETS = st.sampled_from(["..", "../..", "/", "a", "b/../..", "", "../outside"])
ENTRIES = st.lists(
    st.tuples(
        PATHS, KINDS, st.integers(-1, 9), st.integers(-1, 9), st.integers(0, 0o7777), TARGETS
    ),
    max_size=8,
)


def hostile(
    entries: list[tuple[Any, ...]], frames: list[tuple[int, bytes]]
) -> Callable[[Wire], None]:
    def send(end: Wire) -> None:
        end.say(copy_frames.TREE, entries)
        end.say(copy_frames.NO_MORE)
        wanted = list(end.lists(copy_frames.WANT))
        for number, _, _ in wanted:
            end.say(copy_frames.FILE, [number, 0])
            end.put(copy_frames.DATA, b"evil")
            end.say(copy_frames.WHOLE, hashlib.sha256(b"evil").hexdigest())
        for kind, body in frames:
            end.put(kind, body)
        end.say(copy_frames.NO_MORE)

    return send


@settings(SOME, max_examples=400)
@given(
    st.sampled_from([("", "folder", 0, 0, 0o755, ""), ("", "file", 4, 0, 0o644, "")]),
    ENTRIES,
    st.lists(st.tuples(st.integers(0, 14), st.binary(max_size=9)), max_size=2),
)
def test_nothing_is_written_outside_whatever_the_other_end_says(
    top: tuple[Any, ...], entries: list[tuple[Any, ...]], frames: list[tuple[int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        lay(place / "outside", {b"x": b"1"})
        (place / "target").mkdir()
        before = contents(place / "outside")
        with other_end(hostile([top, *entries], frames)) as end:
            receiver = Receiver(end, str(place / "target"))
            with suppress(tree.Untrusted, EOFError, OSError, copy_frames.Trouble):
                receiver.plan("name", slash=False)
                receiver.fetch(True, lambda _moved: None)
        assert names(place) == ["outside", "target"]
        assert contents(place / "outside") == before
        assert set(names(place / "target")) <= {"name", f".name{tree.PART}"}
        for path in (place / "target").rglob("*"):
            assert path.resolve().is_relative_to(place / "target"), path
            assert not path.lstat().st_mode & 0o7000


@pytest.mark.parametrize(
    "entries",
    [
        [["", "folder", 0, 0, 0, ""], ["../x", "file", 1, 0, 0, ""]],
        [["", "folder", 0, 0, 0, ""], ["/x", "file", 1, 0, 0, ""]],
        [["", "folder", 0, 0, 0, ""], ["x", "file", 1, 0, 0, ""], ["x", "folder", 1, 0, 0, ""]],
        [["x", "file", 1, 0, 0, ""]],
        [["", "link", 1, 0, 0, "/"]],
        [["", "file", "1", 0, 0, ""]],
        [{}],
    ],
)
def test_a_tree_that_cannot_be_is_refused(entries: list[Any], tmp_path: Path) -> None:
    with other_end(hostile(entries, [])) as end, pytest.raises(tree.Untrusted):
        Receiver(end, str(tmp_path / "target")).plan("", slash=False)
    assert list(tmp_path.iterdir()) == []


def test_damage_on_the_way_is_noticed_and_nothing_of_it_stays(tmp_path: Path) -> None:
    def send(end: Wire) -> None:
        end.say(copy_frames.TREE, [["", "file", 4, 0, 0o644, ""]])
        end.say(copy_frames.NO_MORE)
        list(end.lists(copy_frames.WANT))
        end.say(copy_frames.FILE, [0, 0])
        end.put(copy_frames.DATA, b"xxxx")
        end.say(copy_frames.WHOLE, hashlib.sha256(b"yyyy").hexdigest())
        end.say(copy_frames.NO_MORE)

    with other_end(send) as end:
        receiver = Receiver(end, str(tmp_path / "target"))
        receiver.plan("", slash=False)
        outcome = receiver.fetch(True, lambda _moved: None)
    assert "damaged" in outcome["failed"][0]["why"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["aux", "NUL.txt", "com1", "LPT9.tar.gz", "con .x", "a:b", "a\\b", "a.", "a ", "a\x1fb", "a?"],
)
def test_windows_has_devices_and_streams_among_its_names(name: str) -> None:
    assert not tree.fits(name, windows=True)
    assert tree.fits(name, windows=False)


@pytest.mark.parametrize("name", ["auxiliary", "console.log", "com10", "a.b", "ü", ".x"])
def test_what_only_looks_like_one_is_a_name(name: str) -> None:
    assert tree.fits(name, windows=True)


def test_a_name_is_the_same_on_both_ends_whatever_its_bytes_are() -> None:
    raw = bytes(range(1, 256)).replace(b"/", b"")
    wire_name = tree.to_wire(os.fsdecode(raw))
    assert os.fsencode(tree.from_wire(json.loads(json.dumps(wire_name)))) == raw
