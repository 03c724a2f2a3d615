"""Files between the laptop, a container and the box, over real SSH."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.machines.conftest import LAB4, TINY, did, on, refused, small_disk
from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab

ODD = ["a b", "new\nline", "-rf", "ü", os.fsdecode(b"\xff\xfe"), "$(reboot)", "'\"", ":x"]
BIG = 12_000_000
MANY = 400
LAPTOPS = ("LaptopRefused", 5)
HOLDERS = """
for one in /proc/[0-9]*; do
    ls -l "$one/fd" 2>/dev/null | grep -qF "$1" && cat "$one/comm"
done; true
"""
"""Who has a pipe open."""


@pytest.fixture
def mine(box: Box) -> str:
    """A container of alice's that runs as root, with a folder of hers, as people start them."""
    box.run(["mkdir", "-p", "/home/alice/work"], user="alice")
    mounts = ("-v", "/home/alice/work:/workspace", "-v", "/srv:/locked:ro")
    start = ("run", "-d", "--init", "--name", "mine", *mounts, LAB4, "sleep", "1000")
    box.docker(*start, user="alice")
    return "mine"


def odd_tree(top: Path) -> Path:
    """Names that shells, terminals and old tools stumble over."""
    (top / "in").mkdir(parents=True)
    for name in ODD:
        (top / "in" / name).write_text(f"in {name!r}")
    (top / "script").write_text("#!/bin/sh")
    (top / "script").chmod(0o755)
    (top / "link").symlink_to("in/a b")
    os.utime(top / "script", (10**9, 10**9))
    return top


def facts(top: Path) -> dict[str, tuple[int, bytes]]:
    """Each file beneath, its mode and what is in it."""
    files = [one for one in top.rglob("*") if one.is_file()]
    return {str(one.relative_to(top)): (one.stat().st_mode, one.read_bytes()) for one in files}


def test_a_folder_comes_back_as_it_went_and_what_lies_in_a_mounted_folder_is_the_users(
    laptop: Laptop, box: Box, mine: str
) -> None:
    tree = odd_tree(laptop.home / "tree")
    for place in ("/workspace", "/opt/deep", "relative"):
        copied = did(laptop, "cp", "gpu-box", str(tree), f":{place}")
        assert (copied["files"], copied["failed"]) == (len(ODD) + 1, [])
        back = laptop.home / f"back{len(place)}"
        assert did(laptop, "cp", "gpu-box", f":{place}/tree/", str(back))["files"] == len(ODD) + 1
        assert facts(back) == facts(tree)
        assert (back / "link").readlink() == Path("in/a b")
        assert (back / "script").stat().st_mtime == 10**9
        again = did(laptop, "cp", "gpu-box", str(tree), f":{place}")
        assert (again["files"], again["unchanged"]) == (0, len(ODD) + 1)
    assert box.run(["find", "/home/alice/work", "!", "-user", "alice"]).stdout == ""
    seen = box.docker("exec", mine, "ls", "/workspace/tree/in", "/opt/deep/tree/in").stdout
    assert seen.count("$(reboot)") == 2


def test_a_container_that_mounts_nothing_where_it_goes_gives_roots_files_to_the_folders_owner(
    laptop: Laptop, box: Box, mine: str
) -> None:
    (laptop.home / "x").write_text("1")
    box.docker("exec", mine, "sh", "-c", "mkdir /his && chown 1000:1000 /his", user="alice")
    did(laptop, "cp", "gpu-box", str(laptop.home / "x"), ":/his")
    assert box.docker("exec", mine, "stat", "-c", "%u:%g", "/his/x").stdout == "1000:1000\n"


def test_the_machines_own_paths_are_to_be_had_too(laptop: Laptop, box: Box) -> None:
    (laptop.home / "x").write_text("1")
    did(laptop, "cp", "gpu-box", str(laptop.home / "x"), ":data/", "--on-host")
    assert box.run(["stat", "-c", "%U %a", "/home/alice/data/x"]).stdout == "alice 644\n"
    error = refused(laptop, "cp", "gpu-box", str(laptop.home / "x"), ":data/")
    assert error["error"] == "ContainerMissing"
    assert "--on-host" in error["hint"]


def test_nothing_is_replaced_unasked(laptop: Laptop, box: Box) -> None:
    file = laptop.home / "x"
    file.write_text("mine")
    box.write("/home/alice/x", "theirs", owner="alice")
    for way in ((str(file), ":x"), (":x", str(file))):
        error = refused(laptop, "cp", "gpu-box", *way, "--on-host")
        assert (error["code"], "--force" in error["hint"]) == (2, True)
    assert (file.read_text(), box.run(["cat", "/home/alice/x"]).stdout) == ("mine", "theirs")
    did(laptop, "cp", "gpu-box", str(file), ":x", "--on-host", "--force")
    assert box.run(["cat", "/home/alice/x"]).stdout == "mine"


REFUSED = (
    (":nowhere/x", "there", "FileMissing", 4),
    ("nowhere", ":there", "LaptopRefused", 5),
    (":/etc/hostname", "no/such/folder/x", "LaptopRefused", 5),
    ("here", ":/locked/", "FileRefused", 4),
    ("here", ":/etc/hostname/", "FileRefused", 4),
    (":/dev/zero", "there", "FileRefused", 4),
    ("here", "there", "UsageError", 2),
    (":a", ":b", "UsageError", 2),
)


def test_what_cannot_be_copied_is_one_line_and_nothing_half_done(
    laptop: Laptop, box: Box, mine: str
) -> None:
    (laptop.home / "here").write_text("1")
    for *way, name, code in REFUSED:
        ends = [str(one) if str(one)[0] == ":" else str(laptop.home / str(one)) for one in way]
        error = refused(laptop, "cp", "gpu-box", *ends)
        assert (error["error"], error["code"]) == (name, code), error
        assert error["hint"]
    assert sorted(one.name for one in laptop.home.iterdir() if one.name[0] != ".") == ["here"]
    assert "remotenb-part" not in box.docker("diff", mine).stdout
    options = ("-F", str(laptop.ssh_config), "--on-host")
    closed = laptop.run("cp", *options, "gpu-box", ":/etc/shadow", str(laptop.home))
    assert (closed.code, "not copied: shadow: Permission denied" in closed.err) == (4, True), closed


def test_a_full_disk_is_said_before_anything_is_written(laptop: Laptop, box: Box) -> None:
    (laptop.home / "big").write_bytes(bytes(2_000_000))
    with small_disk(box, Path("/home/alice/small")):
        error = refused(laptop, "cp", "gpu-box", str(laptop.home / "big"), ":small/", "--on-host")
        assert error["error"] == "DiskFull"
        assert box.run(["ls", "-A", "/home/alice/small"]).stdout == ""


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_disk_that_fills_in_the_middle_keeps_what_is_whole_and_the_same_command_goes_on(
    laptop: Laptop, box: Box, way: str
) -> None:
    many = laptop.home / "many"
    many.mkdir()
    for number in range(MANY):
        (many / str(number)).write_text("x")
    target = Path("/home/alice/small") if way == "up" else laptop.home / "small"
    argv = ("cp", "gpu-box", str(many), ":small/", "--on-host")
    if way == "down":
        did(laptop, "cp", "gpu-box", str(many), ":", "--on-host")
        argv = ("cp", "gpu-box", ":many", f"{target}/", "--on-host")
    there = box.path(str(target)) if way == "up" else target
    with small_disk(box if way == "up" else None, target):
        error = refused(laptop, *argv)
        assert (error["error"], error["code"]) == (("DiskFull", 4) if way == "up" else LAPTOPS)
        assert "make room there" in error["hint"]
        kept = {one.name for one in (there / "many").iterdir()}
        assert 100 < len(kept) < MANY
        assert not [one for one in kept if "remotenb-part" in one]
        remount = ["mount", "-o", "remount,size=8m", str(target)]
        box.run(remount) if way == "up" else subprocess.run(remount, check=True)
        copied = did(laptop, *argv)
        assert (copied["files"], copied["unchanged"]) == (MANY - len(kept), len(kept))


def test_a_read_only_disk_is_one_line(laptop: Laptop, box: Box) -> None:
    (laptop.home / "x").write_text("1")
    box.write("/home/alice/x", "1", owner="alice")
    with small_disk(box, Path("/home/alice/small")), small_disk(None, laptop.home / "small"):
        box.run(["mount", "-o", "remount,ro", "/home/alice/small"])
        subprocess.run(["mount", "-o", "remount,ro", laptop.home / "small"], check=True)
        for argv in ((str(laptop.home / "x"), ":small/"), (":x", f"{laptop.home}/small/")):
            error = refused(laptop, "cp", "gpu-box", *argv, "--on-host")
            assert error["code"] == (4 if argv[1] == ":small/" else 5)
            assert "read-only" in error["message"]
            assert error["hint"] == "it is read-only there: choose another folder"


def test_without_python_over_there_it_is_said_what_else_helps(laptop: Laptop, box: Box) -> None:
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "tiny", label, TINY, "sleep", "1000", user="alice")
    error = refused(laptop, "cp", "gpu-box", ":/bin/", str(laptop.home / "bin"))
    assert error["error"] == "PythonMissing"
    assert "remotenb exec" in error["hint"]


@pytest.mark.parametrize("way", ["up", pytest.param("down", marks=pytest.mark.long)])
def test_after_a_lost_link_the_same_command_goes_on_where_it_stopped(
    laptop: Laptop, box: Box, lab: Lab, way: str
) -> None:
    raw = os.urandom(BIG)
    part = Path(".big.remotenb-part")
    if way == "up":
        (laptop.home / "big").write_bytes(raw)
        argv = ("gpu-box-far", str(laptop.home / "big"), ":", "--on-host")
    else:
        lab.box.run(["sh", "-c", f"head -c {BIG} /dev/urandom >/home/alice/big"], user="alice")
        argv = ("gpu-box-far", ":big", f"{laptop.home}/", "--on-host")

    def there() -> int:
        if way == "down":
            file = laptop.home / part
            return file.stat().st_size if file.exists() else 0
        said = box.run(["stat", "-c", "%s", f"/home/alice/{part}"], check=False).stdout
        return int(said or 0)

    lab.wire.set(rate=40_000_000)
    process = subprocess.Popen(
        laptop.argv(*on(laptop, "cp", *argv)), env=laptop.environment, stdout=subprocess.PIPE
    )
    try:
        until(lambda: there() > 3_000_000, "a quarter of it", seconds=40)
        box.signal_sshd("KILL", user="alice")
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 3
    assert b"LinkLost" in out
    kept = there()
    assert kept > 3_000_000
    lab.wire.reset()
    copied = did(laptop, "cp", *argv)
    assert copied["bytes"] <= BIG - 3_000_000
    sums = box.run(["sha256sum", "/home/alice/big"]).stdout.split()[0]
    assert subprocess.check_output(["sha256sum", laptop.home / "big"]).decode().split()[0] == sums
    assert there() == 0


def test_a_copy_into_the_containers_own_layer_has_sshds_pipes_and_a_lost_link_leaves_none_of_it(
    laptop: Laptop, box: Box, lab: Lab, mine: str
) -> None:
    (laptop.home / "big").write_bytes(os.urandom(BIG))
    argv = ("gpu-box-far", str(laptop.home / "big"), ":/opt/")

    def there() -> int:
        asked = ("exec", mine, "stat", "-c", "%s", "/opt/.big.remotenb-part")
        return int(box.docker(*asked, check=False).stdout or 0)

    def copying() -> list[str]:
        pids = box.docker("top", mine, "-o", "pid,args").stdout.splitlines()
        return [one.split()[0] for one in pids if "take(" in one]

    lab.wire.set(rate=3_000_000)
    process = subprocess.Popen(
        laptop.argv(*on(laptop, "cp", *argv)), env=laptop.environment, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: there() > 0, "the beginning of it", seconds=40)
        (pid,) = copying()
        pipe = box.run(["readlink", f"/proc/{pid}/fd/0"]).stdout.strip()
        assert "sshd" in box.run(["sh", "-c", HOLDERS, "sh", pipe]).stdout.split()
        assert box.run(["ls", "-A", "/home/alice/work"]).stdout == ""
        until(lambda: there() > 3_000_000, "a quarter of it", seconds=40)
        box.signal_sshd("KILL", user="alice")
        assert process.wait(30) == 3
    finally:
        process.kill()
    until(lambda: not copying(), "the end of it there")
    lab.wire.reset()
    assert did(laptop, "cp", *argv)["bytes"] <= BIG - 3_000_000
    summed = box.docker("exec", mine, "sha256sum", "/opt/big").stdout.split()[0]
    assert subprocess.check_output(["sha256sum", laptop.home / "big"]).decode().split()[0] == summed


def test_a_container_that_shares_no_folder_with_the_user_takes_files_through_the_engine(
    laptop: Laptop, box: Box
) -> None:
    label = "--label=remotenb.user=alice"
    box.run(["mkdir", "-p", "/home/alice/work"], user="alice")
    (laptop.home / "x").write_text("1")
    for name, options in (("alone", ()), ("other", ("-v", "/home/alice/work:/w", "-u", "4711"))):
        box.docker("run", "-d", "--init", "--name", name, label, *options, LAB4, "sleep", "1000")
        argv = (str(laptop.home / "x"), ":/tmp/", "--container", name)
        assert did(laptop, "cp", "gpu-box", *argv)["files"] == 1
        assert box.docker("exec", name, "cat", "/tmp/x").stdout == "1"
