"""A fault costs nothing: the session mends itself, and what the kernel printed arrives once."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults.rows import ROWS, Row, Scene
from tests.faults.tunnels import Remotenb
from tests.laptop import Laptop
from tests.lines import EVERY_S, KernelLines
from tests.machines.conftest import CLASSIC, LAB2, LAB4
from tests.rig.failures import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laptop import Event
    from tests.machines.conftest import ByHand
    from tests.rig.box import Box
    from tests.rig.lab import Lab

NOTICED_S = 4.0
BACK_S = 5.0
SERVER_BACK_S = 45.0
HELD_S = 15.0
SILENT_S = 130.0
LINES = 180
QUICK = {"drop_in", "session_killed"}
OF_THE_LINK = [
    pytest.param(row, id=row.name, marks=[] if row.name in QUICK else pytest.mark.long)
    for row in ROWS
    if not row.long and row.server_lives and not row.ours_only
]
OF_THE_SERVER = [row for row in ROWS if not row.server_lives]


@pytest.fixture
def ours(lab: Lab, laptop: Laptop) -> Iterator[Remotenb]:
    """A session with a container of its own."""
    with Remotenb(lab, "gpu-box", laptop, "--image", LAB4) as session:
        yield session


@pytest.fixture
def scene(lab: Lab, ours: Remotenb) -> Scene:
    """Where the faults of the table strike."""
    return Scene(lab, ours)


def mended(session: Remotenb) -> Event:
    """Wait until the link is back; nothing was lost."""
    restored = session.connected.wait_for("restored", BACK_S)
    assert restored["lost"] is False
    assert restored["after"] > 0
    return restored


def cut(lab: Lab, session: Remotenb) -> Event:
    """Silence, until it was noticed."""
    lab.block("drop")
    return session.connected.wait_for("dropped", NOTICED_S)


def answers(session: Remotenb) -> bool:
    """The notebook does, on the port and with the token of the ready event."""
    return "kernels" in session.notebook.call("GET", "api/status")


@pytest.mark.parametrize("row", OF_THE_LINK)
def test_a_fault_of_the_link_is_told_and_mended_and_costs_no_line(
    scene: Scene, ours: Remotenb, row: Row
) -> None:
    with KernelLines(ours.notebook, LINES) as lines:
        lines.wait_past(20)
        row.strike(scene)
        dropped = ours.connected.wait_for("dropped", NOTICED_S)
        row.mend(scene)
        restored = mended(ours)
        lines.assert_each_once_in_order()
        assert lines.closings == 0
    assert dropped["cause"]
    assert dropped["silent_for"] >= 0
    assert restored["replayed_bytes"] >= 0
    assert answers(ours)


@pytest.mark.long
@pytest.mark.parametrize("image", [LAB2, CLASSIC])
def test_older_servers_lose_no_line_either(lab: Lab, laptop: Laptop, image: str) -> None:
    with (
        Remotenb(lab, "gpu-box", laptop, "--image", image) as session,
        KernelLines(session.notebook, LINES) as lines,
    ):
        lines.wait_past(20)
        cut(lab, session)
        lab.unblock()
        mended(session)
        lines.assert_each_once_in_order()
        assert lines.closings == 0


@pytest.mark.parametrize("row", OF_THE_SERVER, ids=lambda row: row.name)
@pytest.mark.long
def test_a_server_that_comes_back_is_found_again_at_the_same_address(
    scene: Scene, ours: Remotenb, row: Row
) -> None:
    row.strike(scene)
    row.mend(scene)
    restarted = ours.connected.wait_for("server_restarted", SERVER_BACK_S)
    assert restarted["kernels_lost"] is True
    assert restarted["server"]["started"] != ours.connected.ready["server"]["started"]
    assert ours.notebook.run("print(6 * 7)") == "42\n"


def test_a_container_that_is_removed_is_told_as_gone_to_all_who_watch(
    ours: Remotenb, laptop: Laptop, box: Box
) -> None:
    argv = laptop.argv("connect", "gpu-box", "--no-browser")
    with (
        laptop.connected("gpu-box") as joined,
        subprocess.Popen(
            argv,
            env=laptop.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as shown,
    ):
        assert joined.ready["joined"] is True
        assert shown.stdout is not None
        assert "token=" in shown.stdout.readline()
        box.docker("rm", "-f", ours.container)
        for one in (ours.connected, joined):
            gone = one.wait_for("server_gone", 20)
            assert gone["reason"]
            assert gone["hint"]
            error = one.wait_for("error", 10)
            assert (error["error"], error["code"]) == ("ServerGone", 6)
            assert one.process.wait(10) == 6
        assert shown.communicate(timeout=10)[1].count("is not there any more") == 1


def test_a_download_through_a_cut_is_whole(ours: Remotenb, lab: Lab, box: Box) -> None:
    make = "head -c 50000000 /dev/urandom >big && sha256sum big"
    made = box.docker("exec", "-w", "/workspace", ours.container, "sh", "-c", make)
    request = urllib.request.Request(
        f"{ours.notebook.base}files/big", headers={"Authorization": f"token {ours.notebook.token}"}
    )
    got = hashlib.sha256()
    with urllib.request.urlopen(request, timeout=30) as answer:
        got.update(answer.read(5_000_000))
        cut(lab, ours)
        lab.unblock()
        while block := answer.read(1 << 20):
            got.update(block)
    assert got.hexdigest() == made.stdout.split()[0]


def server_memory(box: Box, container: str) -> int:
    """Bytes that the Jupyter server in that container takes; its kernels not counted."""
    rows = box.docker("top", container, "-eo", "pid,rss,args").stdout.splitlines()[1:]
    return max(int(row.split()[1]) << 10 for row in rows if "/jupyter" in row)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_200_mb_of_output_and_a_paused_download_in_one_outage(
    ours: Remotenb, lab: Lab, box: Box
) -> None:
    make = "head -c 200000000 /dev/urandom >big && sha256sum big"
    made = box.docker("exec", "-w", "/workspace", ours.container, "sh", "-c", make)
    request = urllib.request.Request(
        f"{ours.notebook.base}files/big", headers={"Authorization": f"token {ours.notebook.token}"}
    )
    got = hashlib.sha256()
    line = 45_000
    with (
        urllib.request.urlopen(request, timeout=60) as answer,
        KernelLines(ours.notebook, 200_000_000 // line, padding=line) as lines,
    ):
        got.update(answer.read(1_000_000))
        lines.wait_past(20)
        before = server_memory(box, ours.container)
        cut(lab, ours)
        peak = 0
        while time.time() < lines.ends_at + 3:
            peak = max(peak, server_memory(box, ours.container))
            time.sleep(1)
        came = len(lines.numbers)
        lab.unblock()
        restored = mended(ours)
        lines.assert_each_once_in_order()
        assert lines.closings == 0
        while block := answer.read(1 << 20):
            got.update(block)
    print(f"the server's memory: {before >> 20} MiB, in the outage at most {peak >> 20} MiB")
    print(f"{came} lines before it; {restored['replayed_bytes'] >> 20} MiB were waiting")
    assert got.hexdigest() == made.stdout.split()[0]
    assert restored["replayed_bytes"] > 150_000_000
    assert peak < before + (32 << 20)


@pytest.mark.parametrize("fault", ["drop_in", pytest.param("drop_out", marks=pytest.mark.long)])
def test_a_post_through_a_cut_happens_once(ours: Remotenb, lab: Lab, fault: str) -> None:
    with ThreadPoolExecutor() as threads:
        lab.block("drop_in" if fault == "drop_in" else "drop_out")
        body = {"type": "file", "ext": ".txt"}
        answer = threads.submit(ours.notebook.call, "POST", "api/contents", body)
        ours.connected.wait_for("dropped", NOTICED_S)
        lab.unblock()
        made = answer.result(HELD_S)["name"]
    listed = ours.notebook.call("GET", "api/contents")["content"]
    assert [one["name"] for one in listed if one["name"].startswith("untitled")] == [made]


@pytest.mark.long
def test_a_put_that_is_cut_in_the_middle_arrives_whole(ours: Remotenb, lab: Lab) -> None:
    content = "x" * 200_000
    body = json.dumps({"type": "file", "format": "text", "content": content}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=30)
    connection.putrequest("PUT", "/api/contents/put.txt")
    connection.putheader("Authorization", f"token {ours.notebook.token}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:100_000])
    cut(lab, ours)
    connection.send(body[100_000:])
    lab.unblock()
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()
    assert ours.notebook.call("GET", "api/contents/put.txt")["content"] == content


def asked(session: Remotenb, **headers: str) -> http.client.HTTPConnection:
    """A connection with a question on it."""
    connection = http.client.HTTPConnection("127.0.0.1", session.port, timeout=HELD_S + 5)
    connection.request("GET", "/api", headers=headers)
    return connection


def test_a_connection_made_in_an_outage_is_answered_when_it_is_over(
    ours: Remotenb, lab: Lab
) -> None:
    cut(lab, ours)
    waiting = asked(ours)
    lab.unblock()
    assert waiting.getresponse().status == 200
    waiting.close()


@pytest.mark.long
def test_a_connection_made_in_a_long_outage_ends_without_a_byte(ours: Remotenb, lab: Lab) -> None:
    cut(lab, ours)
    start = time.monotonic()
    waiting = asked(ours)
    with pytest.raises(http.client.RemoteDisconnected):
        waiting.getresponse()
    waiting.close()
    assert time.monotonic() - start < HELD_S + 2
    lab.unblock()
    mended(ours)


def test_a_page_opened_in_an_outage_is_one_that_reloads_itself(ours: Remotenb, lab: Lab) -> None:
    cut(lab, ours)
    waiting = asked(ours, **{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
    answer = waiting.getresponse()
    page = answer.read().lower()
    waiting.close()
    assert "text/html" in answer.headers["Content-Type"]
    assert b"refresh" in page + str(answer.headers).lower().encode() or b"reload" in page
    assert ours.notebook.token.encode() not in page
    lab.unblock()
    mended(ours)
    assert answers(ours)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("image", [LAB4, LAB2, CLASSIC])
def test_a_notebook_started_by_hand_is_kept_past_its_own_ping_timeout(
    lab: Lab, laptop: Laptop, by_hand: ByHand, image: str
) -> None:
    """Jupyter ends a websocket whose pings were not answered for 90 s; the relay answers them."""
    by_hand("-v", "/home/alice:/home/alice", image=image)
    with (
        Remotenb(lab, "gpu-box", laptop, "--container", "nb") as session,
        KernelLines(session.notebook, 3200) as lines,
    ):
        lines.wait_past(20)
        cut(lab, session)
        time.sleep(SILENT_S)
        lab.unblock()
        mended(session)
        lines.assert_each_once_in_order()
        assert lines.closings == 0


def test_two_laptops_do_not_disturb_each_other(
    ours: Remotenb, lab: Lab, laptop: Laptop, tmp_path: Path
) -> None:
    home = tmp_path / "other"
    home.mkdir()
    elsewhere = Laptop(home, laptop.ssh_config)
    with (
        Remotenb(lab, "gpu-box", elsewhere, "--container", ours.container) as other,
        KernelLines(ours.notebook, 240) as here,
        KernelLines(other.notebook, 240) as there,
    ):
        there.wait_past(20)
        ours.process.suspend()
        there.wait_past(100)
        ours.process.resume()
        for lines in (here, there):
            lines.assert_each_once_in_order()
            assert lines.closings == 0
        assert not other.losses()


@pytest.mark.parametrize(
    "image", [LAB4, *(pytest.param(old, marks=pytest.mark.long) for old in (LAB2, CLASSIC))]
)
def test_a_killed_remotenb_that_is_started_again_loses_no_line(
    lab: Lab, laptop: Laptop, image: str
) -> None:
    """Of a page that stays open. What was under way at that moment may come twice."""
    with (
        Remotenb(lab, "gpu-box", laptop, "--image", image) as session,
        KernelLines(session.notebook, LINES) as lines,
    ):
        lines.wait_past(20)
        port = session.port
        session.process.kill()
        session.connected.process.wait(5)
        session.start()
        assert session.port == port
        lines.wait_to_the_end()
        assert not lines.missing
        assert sorted(lines.numbers) == lines.numbers
        assert len(lines.numbers) <= LINES + 2
        assert lines.closings == 1


@pytest.mark.parametrize("config", ["AllowTcpForwarding no", "MaxSessions 1"])
def test_a_strict_sshd_costs_no_line(lab: Lab, laptop: Laptop, box: Box, config: str) -> None:
    box.sshd(config)
    with (
        Remotenb(lab, "gpu-box", laptop, "--image", LAB4) as session,
        KernelLines(session.notebook, LINES) as lines,
    ):
        forbids = config == "AllowTcpForwarding no"
        assert ("forwarding_forbidden" in session.connected.warnings) is forbids
        lines.wait_past(20)
        box.signal_sshd("KILL", user="alice")
        mended(session)
        lines.assert_each_once_in_order()
        assert lines.closings == 0


@pytest.mark.long
def test_a_laptop_that_sleeps_for_ten_seconds_loses_no_line(ours: Remotenb) -> None:
    with KernelLines(ours.notebook, int(14 / EVERY_S)) as lines:
        lines.wait_past(20)
        ours.process.suspend()
        time.sleep(10)  # the sleep itself
        ours.process.resume()
        until(lambda: lines.numbers[-1] > 220, "what came in its sleep", seconds=BACK_S)
        lines.assert_each_once_in_order()
        assert lines.closings == 0
