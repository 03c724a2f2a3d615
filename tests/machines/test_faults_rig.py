"""The rig's faults: what an open tunnel and a new login see of each, and that a reset ends all."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.rig.failures import until
from tests.rig.images import BUSYBOX, LAB4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.rig.lab import Lab

pytestmark = pytest.mark.long

OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=3")
ALIVE = ("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3")
SILENCE = "Timeout, server 10.77.0.2 not responding"
BEGIN = "echo begun; exec sleep 99"


@dataclass
class Open:
    """An ssh that holds a session open."""

    process: subprocess.Popen[str]

    def end(self) -> tuple[float, str]:
        """Wait for its end; the seconds until then, and what it said."""
        start = time.monotonic()
        _, said = self.process.communicate(timeout=15)
        return time.monotonic() - start, said


@contextmanager
def session(lab: Lab, host: str = "gpu-box") -> Iterator[Open]:
    """An open ssh that asks each second whether the other end is there."""
    argv = ["ssh", "-F", str(lab.ssh_config), *OPTIONS, *ALIVE, host, BEGIN]
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield Open(process)
        finally:
            process.kill()


def login(lab: Lab, command: str = "true", host: str = "gpu-box") -> str:
    """What a new login says that fails; empty for one that works."""
    argv = ["ssh", "-F", str(lab.ssh_config), *OPTIONS, host, command]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20)
    return done.stderr if done.returncode else ""


def blocks(fault: str) -> Callable[[Lab], None]:
    return lambda lab: lab.block(fault)  # type: ignore[arg-type]


def kill_session(lab: Lab) -> None:
    lab.box.signal_sshd("KILL", user="alice")


def stop_session(lab: Lab) -> None:
    lab.box.signal_sshd("STOP", user="alice")


def stop_every_sshd(lab: Lab) -> None:
    lab.box.signal_sshd("STOP")


def take_sshd_away(lab: Lab) -> None:
    lab.box.sshd_stop()


@pytest.mark.parametrize(
    ("strike", "within", "said", "new"),
    [
        pytest.param(blocks("drop"), (2, 5), SILENCE, "timed out", id="silence"),
        pytest.param(blocks("drop_in"), (2, 5), SILENCE, "timed out", id="into the box"),
        pytest.param(blocks("drop_out"), (2, 5), SILENCE, "timed out", id="to the laptop"),
        pytest.param(blocks("reset"), (0, 2), "Broken pipe|reset by peer", "refused", id="RST"),
        pytest.param(
            blocks("host_unreachable"), (2, 5), SILENCE, "No route to host", id="unreachable"
        ),
        pytest.param(blocks("link_down"), (2, 5), SILENCE, "timed out", id="link of the box"),
        pytest.param(
            blocks("laptop_link_down"),
            (2, 5),
            SILENCE,
            "Network is unreachable",
            id="link of the laptop",
        ),
        pytest.param(blocks("laptop_moves"), (2, 5), SILENCE, "", id="another address"),
        pytest.param(kill_session, (0, 1), "closed by remote host", "", id="session's sshd killed"),
        pytest.param(stop_session, (2, 5), SILENCE, "", id="session's sshd stopped"),
        pytest.param(stop_every_sshd, (2, 5), SILENCE, "timed out", id="every sshd stopped"),
        pytest.param(take_sshd_away, (0, 1), "closed by remote host", "refused", id="sshd away"),
    ],
)
def test_an_open_session_and_a_new_login_see_the_fault_and_a_reset_ends_it(
    lab: Lab, strike: Callable[[Lab], None], within: tuple[float, float], said: str, new: str
) -> None:
    with session(lab) as still:
        strike(lab)
        after, words = still.end()
        assert within[0] <= after <= within[1]
        assert any(one in words for one in said.split("|")), words
    complaint = login(lab)
    assert (new in complaint) if new else not complaint, complaint
    lab.reset()
    assert not login(lab)


@pytest.mark.parametrize("fault", ["drop", "drop_in", "drop_out", "link_down", "laptop_link_down"])
def test_an_open_session_outlives_a_short_fault(lab: Lab, fault: str) -> None:
    with session(lab) as still:
        blocks(fault)(lab)
        lab.unblock()
        with pytest.raises(subprocess.TimeoutExpired):
            still.process.wait(4)


def test_sshd_comes_back_after_it_was_away(lab: Lab) -> None:
    lab.box.sshd_stop()
    assert "refused" in login(lab)
    lab.box.sshd()
    assert not login(lab)


def test_nologin_refuses_a_good_key_but_ends_no_session(lab: Lab) -> None:
    with session(lab) as still:
        lab.box.nologin()
        assert "booting up" in login(lab)
        assert still.process.poll() is None
    lab.reset()
    assert not login(lab)


def test_a_box_boots_with_nologin_and_with_docker_later(lab: Lab) -> None:
    lab.box.power_off()
    lab.box.boot(dockerd=False, nologin=True)
    assert "booting up" in login(lab)
    lab.box.nologin(on=False)
    assert "Cannot connect to the Docker daemon" in login(lab, "docker ps")
    lab.box.dockerd_start()
    assert not login(lab, "docker ps")


def test_a_power_cut_is_silence(lab: Lab) -> None:
    with session(lab) as still:
        lab.box.power_off()
        assert SILENCE in still.end()[1]
    assert "timed out" in login(lab)


def test_a_box_that_booted_does_not_know_the_old_connection(lab: Lab) -> None:
    with session(lab) as still:
        lab.box.power_off()
        lab.box.boot()
        after, words = still.end()
        assert after < 2
        assert "reset by peer" in words or "Broken pipe" in words, words


def test_a_reset_mends_a_box_that_has_no_docker_and_no_login(lab: Lab) -> None:
    lab.box.power_off()
    lab.box.boot(dockerd=False, nologin=True)
    lab.reset()
    assert not login(lab, "docker ps")


def pids(lab: Lab) -> str:
    return lab.box.docker("inspect", "-f", "{{.State.Pid}} {{.State.Running}}", "nb").stdout


def jupyters(lab: Lab) -> list[str]:
    return [line for line in lab.box.processes() if "/jupyter-lab" in line]


def test_a_killed_jupyter_ends_its_container_and_the_policy_starts_it_again(lab: Lab) -> None:
    again = ("--init", "--restart", "unless-stopped")
    server = ("jupyter", "lab", "--no-browser", "--allow-root")
    lab.box.docker("run", "-d", "--name", "nb", *again, LAB4.tag, *server)
    until(lambda: jupyters(lab), "Jupyter")
    before = pids(lab)
    lab.box.kill_jupyter("nb")
    until(lambda: pids(lab) != before and "true" in pids(lab), "another life of the container")


def test_a_container_outlives_a_killed_dockerd_and_the_next_one_stops_it_for_good(
    lab: Lab,
) -> None:
    again = ("--init", "--restart", "unless-stopped")
    lab.box.docker("run", "-d", "--name", "nb", *again, BUSYBOX, "sleep", "1234")
    lab.box.dockerd_kill()
    assert "Cannot connect to the Docker daemon" in login(lab, "docker ps")
    assert [line for line in lab.box.processes() if line.endswith("sleep 1234")]
    lab.box.dockerd_start()
    assert "false" in pids(lab)
    lab.box.docker("start", "nb")
    assert "true" in pids(lab)


def test_a_stopped_and_started_dockerd_starts_the_container_again(lab: Lab) -> None:
    again = ("--init", "--restart", "unless-stopped")
    lab.box.docker("run", "-d", "--name", "nb", *again, BUSYBOX, "sleep", "1234")
    lab.box.dockerd_stop()
    lab.box.dockerd_start()
    until(lambda: "true" in pids(lab), "the container")


def test_a_far_link_has_four_hundred_milliseconds_and_a_session_bears_its_losses(lab: Lab) -> None:
    lab.wire.set(delay=0.2, loss=0.02)
    start = time.monotonic()
    assert not login(lab, host="gpu-box-far", command="head -c 200000 /dev/zero")
    assert time.monotonic() - start > 2


def test_a_slow_link_takes_ten_megabits_a_second(lab: Lab) -> None:
    lab.wire.set(rate=10e6 / 8)
    argv = ["ssh", "-F", str(lab.ssh_config), "gpu-box-far", "head -c 5000000 /dev/zero"]
    start = time.monotonic()
    got = subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout
    assert len(got) == 5_000_000
    assert 3.8 <= time.monotonic() - start <= 6
