"""One machine of namespaces: its disk, its power switch, and a way to be on it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from . import accounts, cache
from .failures import RigError, until
from .namespaces import DIES_WITH_US, Holder, end, execute, start

_DISK: Final = """
mkdir -p "$1"
mount -t tmpfs -o size=4g,mode=755 tmpfs "$1"
mkdir -p "$1/upper" "$1/work" "$1/tree" "$1/home"
"""


class Machine:
    """The holder keeps network and disk over a power cut; everything else dies with pid 1."""

    def __init__(self, name: str, place: Path, docker_root: Path) -> None:
        """Make its disk and network, still without power."""
        self.name: Final = name
        self.docker_root: Final = docker_root
        self._disk: Final = place / "disk"
        kinds = ("--net", "--mount", "--propagation", "private")
        self.holder: Final = Holder(*kinds, first=_DISK, args=(str(self._disk),))
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._process is not None

    def install(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Put a file on its disk before the first boot."""
        upper = self.holder.root / str(self._disk).lstrip("/") / "upper"
        file = upper / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def boot(self) -> None:
        """Give it power: a file tree and a pid 1, and nothing else runs yet."""
        self._remove_cgroups()
        unshare = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"]
        init = [str(cache.SCRIPTS / "box_init.sh"), str(self._disk), str(self.docker_root)]
        into = ["nsenter", "-t", str(self.holder.pid), "-m", "-n"]
        argv = [*DIES_WITH_US, *into, *unshare, "--propagation", "private", *init, self.name]
        self._process = start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = self._process.stdout
        if said is None or said.readline() != b"on\n":
            _, complaint = self._process.communicate()
            message = f"{self.name} does not boot: {complaint.decode()}"
            raise RigError(message)
        own = self._process.pid
        self._pid = int(Path(f"/proc/{own}/task/{own}/children").read_text())
        until(lambda: Path(f"/proc/{self._pid}/comm").read_text() == "docker-init\n", "pid 1")

    def power_off(self) -> None:
        """Kill pid 1; the kernel kills the rest before it lets the parent go."""
        if self._process is None:
            return
        os.kill(self._pid, 9)
        self._process.wait()
        end(self._process)
        self._process = None
        self._remove_cgroups()

    def close(self) -> None:
        """Take power, disk and network away."""
        self.power_off()
        self.holder.close()

    def enter(self, argv: list[str]) -> list[str]:
        """Return the command that runs this one on the machine, as root."""
        if not self.is_on:
            message = f"{self.name} has no power"
            raise RigError(message)
        return ["nsenter", "-t", str(self._pid), "-m", "-u", "-i", "-n", "-p", "--", *argv]

    def path(self, path: str) -> Path:
        """Return a file of the machine as seen from here; no part of it may be a symlink."""
        return Path(f"/proc/{self._pid}/root/{path.lstrip('/')}")

    def run(
        self,
        argv: list[str],
        *,
        user: str | None = None,
        text: str | None = None,
        check: bool = True,
        timeout: float = 30.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine to its end, as root or as one of its users."""
        env, prefix = self._login(user)
        command = self.enter([*prefix, *argv])
        return execute(command, env=env, text=text, check=check, timeout=timeout)

    def _login(self, user: str | None) -> tuple[dict[str, str], list[str]]:
        """Return what a login of that user has: its environment, and how to become it."""
        name = user or "root"
        who = accounts.find(self.path("/etc/passwd").read_text(), name)
        path = "/usr/local/bin:/usr/bin:/bin:/usr/games"
        if user is None:
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {"HOME": who.home, "SHELL": who.shell, "PATH": path, "USER": name, "LOGNAME": name}
        become = ["setpriv", "--reuid", name, "--regid", name, "--init-groups"]
        return env, [*([] if user is None else become), "env", "-C", who.home]

    def _remove_cgroups(self) -> None:
        """Remove the empty control groups that containers leave when the power is cut."""
        containers = self.docker_root / "containers"
        for container in containers.iterdir() if containers.exists() else ():
            for group in Path("/sys/fs/cgroup").glob(f"*/docker/{container.name}"):
                group.rmdir()


def wipe(docker_root: Path) -> None:
    """Empty a docker's directory, while no docker uses it."""
    for path in docker_root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
