"""Images that reach the box over SSH alone, and come from it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import tarfile
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from remotenb.lasting import Lasting
from remotenb.machine import Machine
from remotenb.probe import probe
from remotenb.report import Quiet
from remotenb.settings import Settings
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from remotenb.transfer.file import FileSource, opened
from remotenb.transfer.push import Push
from tests import fake_keyring
from tests.machines.conftest import (
    SECOND_DISK,
    SECOND_DOCKER,
    did,
    listed,
    on,
    refused,
    second_docker,
    small_disk,
)
from tests.rig import archive
from tests.rig.failures import until
from tests.rig.images import Layer
from tests.rig.registry import contents
from tests.rig.registry.front import API_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remotenb.transfer.archive import Layer as Contained
    from tests.laptop import Event, Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab
    from tests.rig.registry import Registry

MIB = 1 << 20
TRANSFERS = "/home/alice/.local/state/remotenb/transfer"


def layer(folder: Path, name: str, mib: float) -> Layer:
    """A layer with a file of random bytes, which no packing makes smaller."""
    path = folder / f"{name}.tar"
    content = random.Random(name).randbytes(int(mib * MIB))
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(f"data/{name}")
        info.size = len(content)
        tar.addfile(info, BytesIO(content))
    return Layer(path, hashlib.sha256(path.read_bytes()).hexdigest())


def saved(folder: Path, name: str, *layers: Layer) -> tuple[Path, str]:
    """An archive as docker 20 saves it, and the image's id."""
    file = folder / "image.tar"
    with file.open("wb") as out:
        archive.write({name: layers}, out)
    return file, archive.image_ids({name: layers})[name]


def ids(box: Box) -> dict[str, str]:
    """The images by name, those of the rig left out."""
    told = box.docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").stdout
    rows = (line.split() for line in told.splitlines())
    return {ref: id_ for ref, id_ in rows if not ref.startswith(("nvcr.io/", "busybox:"))}


def left(box: Box) -> str:
    """What lies in the folder of transfers."""
    return box.run(["ls", "-A", TRANSFERS]).stdout


def wire_bytes(interface: str) -> int:
    """What this laptop has sent on it so far."""
    told = subprocess.run(
        ["ip", "-j", "-s", "link", "show", interface], check=True, capture_output=True
    ).stdout
    sent: int = json.loads(told)[0]["stats64"]["tx"]["bytes"]
    return sent


def pushing(laptop: Laptop, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        laptop.argv(*on(laptop, *args)),
        env=laptop.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )


def events(process: subprocess.Popen[bytes]) -> list[Event]:
    out, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in out.splitlines()]


def arrived(box: Box) -> int:
    """Bytes of layers that lie on the box and are not loaded yet."""
    script = f"cat {TRANSFERS}/*/* 2>/dev/null | wc -c"
    return int(box.run(["sh", "-c", script]).stdout)


def _more_than(box: Box, least: float) -> bool:
    return arrived(box) > least


def test_an_image_is_loaded_by_its_missing_layers_alone_where_nothing_may_be_forwarded(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    box.sshd("AllowTcpForwarding no")
    base, top = layer(tmp_path, "base", 24), layer(tmp_path, "top", 4)
    file, _ = saved(tmp_path, "team/base:1", base)
    assert did(laptop, "load", "gpu-box", str(file))["event"] == "pushed"

    file, image = saved(tmp_path, "team/work:1", base, top)
    before = wire_bytes("lap0")
    done = did(laptop, "push", "gpu-box", "team/work:1", "--file", str(file))
    assert (done["id"], done["layers"]) == (image, 1)
    assert max(done["sent"], wire_bytes("lap0") - before) <= 1.05 * top.tar.stat().st_size
    assert ids(box)["team/work:1"] == image
    assert set(ids(box)) == {"team/base:1", "team/work:1"}
    assert left(box) == ""

    again = did(laptop, "push", "gpu-box", "team/work:1", "--file", str(file), "--tag", "b:2")
    assert (again["layers"], again["sent"]) == (0, 0)
    assert ids(box)["b:2"] == image


def test_a_push_that_is_cut_three_times_and_stopped_goes_on_where_it_was(
    lab: Lab, laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    parts = [layer(tmp_path, name, 20) for name in "abc"]
    file, image = saved(tmp_path, "team/work:1", *parts)
    lab.wire.set(rate=10e6)
    before = wire_bytes("wire0")
    command = ("push", "gpu-box-far", "team/work:1", "--file", str(file))
    process = pushing(laptop, *command)
    for share in (0.2, 0.4, 0.6):
        least = share * 60 * MIB
        until(partial(_more_than, box, least), "a part of it", seconds=40)
        box.signal_sshd("KILL", user="alice")
    until(partial(_more_than, box, 0.8 * 60 * MIB), "a part of it", seconds=40)
    process.send_signal(signal.SIGINT)
    told = events(process)
    assert process.returncode == 130
    assert [event["code"] for event in told if event["event"] == "warning"] == ["link_lost"] * 3
    assert ids(box) == {}

    done = did(laptop, *command)
    assert done["sent"] <= 0.2 * 60 * MIB
    assert wire_bytes("wire0") - before <= 1.1 * file.stat().st_size
    assert ids(box) == {"team/work:1": image}
    assert left(box) == ""


@contextmanager
def lasting(lab: Lab) -> Iterator[Lasting]:
    """Logged in to the box, in this process."""
    host = resolve("gpu-box", config_file=lab.ssh_config)
    link = open_link(host)
    seen = probe(link, engine="auto", enter=False)
    with Lasting(Machine(host, Settings(), link, seen, Quiet())) as one:
        yield one


class Unseen:
    """Shows nothing."""

    def begin(self, done: int, total: int) -> None:
        """Nothing."""

    def moved(self, count: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Stopped(Exception):
    pass


class StopsAt(FileSource):
    """A source that ends in the middle of one layer."""

    at = 2

    def read(self, layer: Contained, offset: int) -> Iterator[bytes]:
        if layer.number == self.at:
            raise Stopped
        return super().read(layer, offset)


def test_layers_that_were_loaded_are_held_until_the_image_is_whole(
    lab: Lab, box: Box, tmp_path: Path
) -> None:
    one, two, three = (layer(tmp_path, name, 1) for name in "abc")
    file, image = saved(tmp_path, "team/work:1", one, two, three, one)
    with lasting(lab) as target, opened(file) as (stream, index):
        stops = StopsAt(stream, index, "", "x.tar")
        with pytest.raises(Stopped):
            Push(target, stops, "team/work:1", Unseen(), batch=1).run()
        (held,) = ids(box)
        assert re.fullmatch("remotenb/partial:[0-9a-f]{16}-[12]", held)

        source = FileSource(stream, index, "", "x.tar")
        sent = Push(target, source, "team/work:1", Unseen(), batch=1).run()
    assert sent.bytes <= 1.05 * (three.tar.stat().st_size + one.tar.stat().st_size)
    assert ids(box) == {"team/work:1": image}
    assert left(box) == ""


def test_a_push_makes_do_with_one_session_at_a_time(
    lab: Lab, laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    box.sshd("MaxSessions 1")
    file, image = saved(tmp_path, "team/work:1", *(layer(tmp_path, name, 4) for name in "abc"))
    with lasting(lab) as target, opened(file) as (stream, index):
        source = FileSource(stream, index, "", "x.tar")
        Push(target, source, "team/work:1", Unseen(), batch=1).run()
    assert ids(box) == {"team/work:1": image}


def test_a_flipped_byte_names_its_layer_and_leaves_no_image(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, _ = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 1), layer(tmp_path, "b", 1))
    with file.open("r+b") as stream:
        stream.seek(int(1.5 * MIB))
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    error = refused(laptop, "load", "gpu-box", str(file))
    assert error["error"] == "LayerDamaged"
    assert "layer 2 of 2" in error["message"]
    assert ids(box) == {}


REFUSES_PARTS = r"""#!/bin/sh
# like podman, wants all layers in the archive
[ "$1" = load ] || exec /usr/bin/docker "$@"
cat >/tmp/whole.tar
layers=$(tar -xOf /tmp/whole.tar manifest.json | grep -o '[0-9a-f]*/layer.tar')
for one in $layers; do
    tar -tf /tmp/whole.tar "$one" >/dev/null 2>&1 && continue
    echo "Error: $one: file does not exist" >&2
    exit 125
done
exec /usr/bin/docker load -i /tmp/whole.tar
"""


def test_an_engine_that_wants_all_layers_gets_them_and_it_is_said(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    base, top = layer(tmp_path, "base", 2), layer(tmp_path, "top", 2)
    file, _ = saved(tmp_path, "team/base:1", base)
    did(laptop, "load", "gpu-box", str(file))
    box.write("/usr/local/bin/docker", REFUSES_PARTS, mode=0o755)
    try:
        file, image = saved(tmp_path, "team/work:1", base, top)
        done = laptop.run(*on(laptop, "load", "gpu-box", str(file)))
    finally:
        box.run(["rm", "/usr/local/bin/docker"])
    assert "whole_image" in [event.get("code") for event in done.events]
    assert done.events[-1]["layers"] == 2
    assert ids(box)["team/work:1"] == image


def test_a_disk_without_room_is_noticed_before_anything_is_sent(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, _ = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 8))
    df = "#!/bin/sh\necho x; echo 'disk 9 9 1000 99% /'\n"
    box.write("/usr/local/bin/df", df, mode=0o755)
    try:
        error = refused(laptop, "load", "gpu-box", str(file))
    finally:
        box.run(["rm", "/usr/local/bin/df"])
    assert error["error"] == "DiskFull"
    assert arrived(box) == 0


def test_a_disk_that_fills_in_the_middle_of_a_push_is_one_line_and_it_goes_on_from_there(
    lab: Lab, laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, image = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 8), layer(tmp_path, "b", 8))
    command = ("push", "gpu-box-far", "team/work:1", "--file", str(file))
    box.run(["mkdir", "-p", TRANSFERS], user="alice")
    box.run(["mount", "-t", "tmpfs", "-o", "size=20m,uid=1000", "tmpfs", TRANSFERS])
    try:
        lab.wire.set(rate=4e6)
        process = pushing(laptop, *command)
        until(partial(_more_than, box, 2 * MIB), "a part of it", seconds=40)
        box.run(["sh", "-c", f"cat /dev/zero >{TRANSFERS}/another"], check=False)
        *_, error = events(process)
        assert (error["error"], error["code"]) == ("DiskFull", process.returncode)
        assert error["hint"] == "make room; the same command goes on where this one stopped"
        assert ids(box) == {}
        box.run(["rm", f"{TRANSFERS}/another"])
        lab.wire.reset()
        done = did(laptop, *command)
        assert done["sent"] < 15 * MIB
        assert ids(box) == {"team/work:1": image}
        assert left(box) == ""
    finally:
        box.run(["umount", "-l", TRANSFERS])


def test_dockers_own_disk_that_fills_costs_no_byte_that_was_sent(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, _ = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 12))
    command = ("push", "gpu-box-bob", "team/work:1", "--file", str(file))
    with second_docker(box, disk="20m"):
        error = refused(laptop, *command)
        assert (error["error"], error["code"]) == ("DiskFull", 4)
        assert "docker system df" in error["hint"]
        assert listed(laptop, "images", "gpu-box-bob") == []
        box.run(["mount", "-o", "remount,size=80m", SECOND_DISK])
        done = did(laptop, *command)
        assert (done["event"], done["sent"]) == ("pushed", 0)


def test_a_name_that_another_image_has_is_asked_about(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, first = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 1))
    did(laptop, "load", "gpu-box", str(file))
    file, second = saved(tmp_path, "team/work:1", layer(tmp_path, "b", 1))
    assert refused(laptop, "load", "gpu-box", str(file))["error"] == "TagTaken"
    assert ids(box) == {"team/work:1": first}
    did(laptop, "load", "gpu-box", str(file), "--yes")
    assert ids(box)["team/work:1"] == second


def test_an_image_is_saved_to_a_file_that_is_whole_or_not_there(
    lab: Lab, laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, image = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 8), layer(tmp_path, "b", 8))
    did(laptop, "load", "gpu-box", str(file))
    out = tmp_path / "out.tar"
    lab.wire.set(rate=80e6 / 8)
    process = pushing(laptop, "save", "gpu-box-far", "team/work:1", "-o", str(out))
    part = tmp_path / "out.tar.part"
    until(lambda: part.exists() and part.stat().st_size > 4 * MIB, "a part of it", seconds=40)
    box.signal_sshd("KILL", user="alice")
    until(lambda: part.stat().st_size > 12 * MIB, "more of it", seconds=40)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert not out.exists()
    lab.wire.reset()
    done = did(laptop, "save", "gpu-box", "team/work:1", "-o", str(out))
    assert done["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (tmp_path / "out.tar.sha256").read_text() == f"{done['sha256']}  out.tar\n"
    assert not part.exists()
    assert refused(laptop, "save", "gpu-box", "team/work:1", "-o", str(out))["error"] == "FileTaken"
    assert left(box) == ""

    box.docker("rmi", "team/work:1")
    did(laptop, "load", "gpu-box", str(out))
    assert ids(box) == {"team/work:1": image}
    with out.open("r+b") as stream:
        stream.write(b"x")
    assert "out.tar.sha256" in refused(laptop, "load", "gpu-box", str(out))["message"]


def test_a_disk_of_the_laptop_that_is_full_is_one_line_and_what_is_there_is_gone_on_with(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, image = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 3))
    did(laptop, "load", "gpu-box", str(file))
    small = tmp_path / "small"
    with small_disk(None, small), small_disk(None, tmp_path / "tmp"):
        save = ("save", "gpu-box", "team/work:1", "-o", str(small / "out.tar"))
        error = refused(laptop, *save)
        assert (error["error"], error["code"]) == ("LaptopRefused", 5)
        assert "goes on where this one stopped" in error["hint"]
        assert [one.name for one in small.iterdir()] == ["out.tar.part"]
        laptop.variables["TMPDIR"] = str(tmp_path / "tmp")
        packed = tmp_path / "image.tar.gz"
        packed.write_bytes(gzip.compress(file.read_bytes(), 1))
        error = refused(laptop, "load", "gpu-box", str(packed))
        assert (error["error"], "TMPDIR" in error["hint"]) == ("LaptopRefused", True)
        subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
        did(laptop, *save)
        box.docker("rmi", "team/work:1")
        assert did(laptop, "load", "gpu-box", str(small / "out.tar"))["id"] == image
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        error = refused(laptop, "save", "gpu-box", "team/work:1", "-o", str(small / "b.tar"))
        assert ("read-only" in error["message"], error["code"]) == (True, 5)


@pytest.fixture
def other_docker(box: Box) -> Iterator[None]:
    """An open machine, of sorts."""
    with second_docker(box):
        yield


def test_an_image_goes_from_one_machine_to_another_through_the_laptop(
    lab: Lab, laptop: Laptop, box: Box, tmp_path: Path, other_docker: None
) -> None:
    base, top = layer(tmp_path, "base", 8), layer(tmp_path, "top", 8)
    file, _ = saved(tmp_path, "team/base:1", base)
    did(laptop, "load", "gpu-box", str(file))
    file, image = saved(tmp_path, "team/work:1", base, top)
    did(laptop, "load", "gpu-box-bob", str(file))
    assert "team/work:1" not in ids(box)

    before = {one for one in laptop.home.rglob("*") if one.is_file()}
    done = did(laptop, "push", "gpu-box", "team/work:1", "--from", "gpu-box-bob")
    assert (done["id"], done["layers"]) == (image, 1)
    assert ids(box)["team/work:1"] == image
    assert {one for one in laptop.home.rglob("*") if one.is_file()} == before
    transfers = "/home/bob/.local/state/remotenb/transfer"
    assert box.run(["ls", "-A", transfers]).stdout == ""
    missing = refused(laptop, "push", "gpu-box", "team/none:1", "--from", "gpu-box-bob")
    assert missing["error"] == "ImageMissing"

    box.docker("rmi", "team/work:1")
    laptop.variables["DOCKER_HOST"] = f"unix://{box.path(SECOND_DOCKER)}"  # as the laptop's own
    done = did(laptop, "push", "gpu-box", "team/work:1")
    assert (done["id"], done["layers"], done["source"]) == (image, 1, "this laptop's docker")
    assert refused(laptop, "push", "gpu-box", "b:1", "--local")["error"] == "ImageMissing"


def test_an_image_is_fetched_from_its_registry_by_the_laptop_for_a_box_that_reaches_none(
    laptop: Laptop, box: Box, registry: Registry
) -> None:
    keyring = {fake_keyring.FILE: str(laptop.home / "keyring.json"), **fake_keyring.ENVIRONMENT}
    laptop.variables.update(keyring)
    registry.shut_from(box)
    registry.faults.cut_after, registry.faults.cuts = 6 * MIB, 2
    done = did(laptop, "push", "gpu-box", contents.CLARA)
    assert (done["layers"], done["source"]) == (contents.CLARA_LAYERS, "nvcr.io")
    assert done["sent"] <= 1.05 * contents.CLARA_LAYERS * contents.CLARA_LAYER
    shown = box.docker("image", "inspect", "-f", "{{.Id}}", contents.CLARA).stdout.strip()
    assert shown == done["id"]
    registry.faults.damage = True
    box.docker("rmi", contents.CLARA)
    assert refused(laptop, "push", "gpu-box", contents.CLARA)["error"] == "BlobDamaged"
    registry.faults.damage = False

    error = refused(laptop, "push", "gpu-box", contents.SECRET)
    assert (error["error"], error["hint"]) == ("LoginNeeded", "remotenb login HOST nvcr.io")
    login = laptop.argv(*on(laptop, "login", "gpu-box", "--password-stdin"))
    key = f"{API_KEY}\n".encode()
    subprocess.run(login, check=True, env=laptop.environment, input=key, capture_output=True)
    assert did(laptop, "push", "gpu-box", contents.SECRET)["event"] == "pushed"
    traces = ["grep", "-rlsF", API_KEY, "/home", "/tmp", "/dev/shm", "/run", "/var/log"]
    assert box.run(traces, check=False).stdout == ""
    box.docker("rmi", contents.SECRET)
