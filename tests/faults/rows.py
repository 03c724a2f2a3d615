"""The faults, one a row: how each strikes, how long it lasts, how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.rig.failures import until

if TYPE_CHECKING:
    from tests.faults.tunnels import Remotenb
    from tests.rig.lab import Lab
    from tests.rig.network import Fault


# In the container's network: its server may listen on its loopback alone.
_ASK: Final = """
pid=$(docker inspect -f '{{.State.Pid}}' "$1") && nsenter -t "$pid" -n bash -c '
    exec 3<>/dev/tcp/127.0.0.1/8888 &&
    printf "GET /api HTTP/1.0\\r\\n\\r\\n" >&3 && grep -q version <&3'
"""


@dataclass(frozen=True)
class Scene:
    """Where a fault strikes: the machines, and remotenb's session if it takes part."""

    lab: Lab
    session: Remotenb | None = None

    @property
    def ours(self) -> Remotenb:
        """The session of remotenb."""
        assert self.session is not None
        return self.session


Act = Callable[[Scene], None]
Strike = Callable[[Scene], float | None]
"""May say when it struck, by the wall clock, where that is not at the call."""


def block(fault: Fault) -> Act:
    """Break the near path."""
    return lambda scene: scene.lab.block(fault)


def unblock(scene: Scene) -> None:
    scene.lab.unblock()


def leave(scene: Scene) -> None:
    """What has changed for good is not mended."""


def kill_session(scene: Scene) -> None:
    scene.lab.box.signal_sshd("KILL", user="alice")


def stop_session(scene: Scene) -> None:
    scene.lab.box.signal_sshd("STOP", user="alice")


def stop_sshd(scene: Scene) -> None:
    scene.lab.box.signal_sshd("STOP")


def wake_sshd(scene: Scene) -> None:
    scene.lab.box.signal_sshd("CONT")


def remove_sshd(scene: Scene) -> None:
    scene.lab.box.sshd_stop()


def return_sshd(scene: Scene) -> None:
    scene.lab.box.sshd()


def cut_power(scene: Scene) -> None:
    scene.lab.box.power_off()


def boot(scene: Scene) -> None:
    scene.lab.box.boot()
    wait_for_server(scene)


def boot_with_nologin(scene: Scene, *, seconds: float = 30) -> None:
    scene.lab.box.boot(nologin=True)
    time.sleep(seconds)
    wait_for_server(scene)
    scene.lab.box.nologin(on=False)


def boot_docker_later(scene: Scene, *, seconds: float = 20) -> None:
    scene.lab.box.boot(dockerd=False)
    time.sleep(seconds)
    scene.lab.box.dockerd_start()
    wait_for_server(scene)


def restart_container(scene: Scene) -> None:
    scene.lab.box.docker("restart", "-t", "1", scene.ours.container)


def stop_dockerd(scene: Scene) -> None:
    scene.lab.box.dockerd_stop()


def replace_dockerd(scene: Scene) -> float:
    """Docker 20.10 stops what it finds running after a crash, and takes that for a wish.

    Until then the container lives: that is when there is something to notice.
    """
    box = scene.lab.box
    box.dockerd_kill()
    box.dockerd_start()
    ended = ["inspect", "-f", "{{.State.FinishedAt}}", scene.ours.container]
    return datetime.fromisoformat(box.docker(*ended).stdout.strip()).timestamp()


def start_dockerd(scene: Scene) -> None:
    scene.lab.box.dockerd_start()
    wait_for_server(scene)


def start_container(scene: Scene) -> None:
    scene.lab.box.docker("start", scene.ours.container)
    wait_for_server(scene)


def kill_jupyter(scene: Scene) -> None:
    scene.lab.box.kill_jupyter(scene.ours.container)


def freeze(scene: Scene) -> None:
    scene.ours.process.suspend()


def thaw(scene: Scene) -> None:
    scene.ours.process.resume()


def kill_ours(scene: Scene) -> None:
    scene.ours.process.kill()


def start_ours(scene: Scene) -> None:
    scene.ours.start()


def wait_for_server(scene: Scene) -> None:
    """Until the server in remotenb's container answers on the box itself."""
    argv = ["timeout", "2", "bash", "-c", _ASK, "bash", scene.ours.container]

    def answers() -> bool:
        return scene.lab.box.run(argv, check=False).returncode == 0

    until(answers, "the server after its restart", seconds=60)


@dataclass(frozen=True)
class Row:
    """A fault of the table."""

    name: str
    title: str
    strike: Strike
    mend: Act = unblock
    lasts: float = 8.0
    way_stays_open: bool = False
    """For new connections: then what is back is counted from the fault."""
    asleep: bool = False
    """Nothing can be noticed before the end of the fault: noticing counts from there."""
    server_lives: bool = True
    """The kernels too: then no line may be lost."""
    ours_only: bool = False
    long: bool = False


@dataclass(frozen=True)
class Calm:
    """A link that is bad, but never gone: whoever takes it for lost is wrong."""

    name: str
    title: str
    delay: float = 0.0
    loss: float = 0.0
    rate: float = 0.0
    lasts: float = 60.0
    download: bool = False
    ours_only: bool = False
    long: bool = False


_ours = partial(Row, ours_only=True)
_of_server = partial(Row, ours_only=True, server_lives=False)

ROWS: Final = (
    Row("drop_in", "packets into the box dropped", block("drop_in")),
    Row("drop_out", "packets to the laptop dropped", block("drop_out")),
    Row("rst", "TCP reset", block("reset")),
    Row("unreachable", "host unreachable", block("host_unreachable")),
    Row("link_box", "link down at the server", block("link_down")),
    Row("link_laptop", "link down at the laptop", block("laptop_link_down")),
    Row("moves", "the laptop's address changes", block("laptop_moves"), leave, way_stays_open=True),
    Row("session_killed", "session's sshd killed", kill_session, way_stays_open=True),
    Row("session_stopped", "session's sshd stopped", stop_session, wake_sshd, way_stays_open=True),
    Row("sshd_stopped", "every sshd stopped", stop_sshd, wake_sshd),
    Row("sshd_away", "sshd away for 30 s", remove_sshd, return_sshd, 30),
    Row("silent_8", "silence for 8 s", block("drop")),
    Row("silent_60", "silence for 60 s", block("drop"), lasts=60),
    Row("silent_600", "silence for 10 min", block("drop"), lasts=600, long=True),
    _of_server("power", "box power-cycled", cut_power, boot),
    _of_server("power_nologin", "the same, nologin for 30 s", cut_power, boot_with_nologin),
    _of_server("power_docker", "the same, sshd 20 s before dockerd", cut_power, boot_docker_later),
    _of_server("container", "container restarted", restart_container, wait_for_server, 0),
    _of_server("dockerd", "dockerd restarted", stop_dockerd, start_dockerd),
    _of_server(
        "dockerd_killed",
        "dockerd killed and started, the container 8 s later",
        replace_dockerd,
        start_container,
    ),
    _of_server("jupyter", "Jupyter killed", kill_jupyter, wait_for_server, 0),
    _ours("frozen", "the laptop's process stopped for 20 s", freeze, thaw, 20, asleep=True),
    _ours(
        "frozen_120",
        "the laptop's process stopped for 2 min",
        freeze,
        thaw,
        120,
        asleep=True,
        long=True,
    ),
    _ours("killed", "remotenb killed and started", kill_ours, start_ours, 0, way_stays_open=True),
)  # fmt: skip

_lossy = partial(Calm, delay=0.2, loss=0.02)
_full = partial(Calm, rate=10e6 / 8, download=True, ours_only=True)

CALMS: Final = (
    _lossy("lossy", "400 ms and 2 % loss, 60 s"),
    _lossy("lossy_1800", "400 ms and 2 % loss, 30 min", lasts=1800, long=True),
    _full("full", "10 Mbit/s, full of a download, 60 s"),
)
