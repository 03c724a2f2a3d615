"""Linux namespaces: hold one open, enter one, and run commands that die with this process.

A namespace lives as long as a process in it. So the rig keeps none by name: each is held by a
process that the kernel kills together with the one that started it (PDEATHSIG), and a crashed
run leaves no network, mount or process behind. Started from a thread, it ends with the thread.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from .failures import CommandFailed, RigError
from .packages import SYSTEM_PATH

DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
BARE_ENV: Final = {"PATH": SYSTEM_PATH}
_CLONE_NEWNET: Final = 0x40000000


class Holder:
    """A process that does nothing but hold new namespaces open."""

    def __init__(self, *kinds: str, first: str = ":", args: tuple[str, ...] = ()) -> None:
        """Make namespaces of these kinds (unshare's options) and run a shell text in them."""
        script = f"set -eu\n{first}\necho held\nexec sleep infinity >/dev/null 2>&1"
        argv = [*DIES_WITH_US, "unshare", *kinds, "sh", "-c", script, "sh", *args]
        self._process = start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid: Final = self._process.pid
        said = self._process.stdout
        if said is None or said.readline() != b"held\n":
            _, complaint = self._process.communicate()
            message = f"no namespace: {complaint.decode()}"
            raise RigError(message)

    def close(self) -> None:
        """Let the namespaces go."""
        end(self._process)

    @property
    def net(self) -> Path:
        """The network namespace, as the file that setns and nsenter take."""
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def root(self) -> Path:
        """The file tree as the holder sees it, with its own mounts."""
        return Path(f"/proc/{self.pid}/root")


def start(
    argv: list[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which a Ctrl-C in this terminal does not reach."""
    return subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=BARE_ENV,
        pass_fds=pass_fds,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that `start` started, and close what was read from it."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr, process.stdin):
        if pipe:
            pipe.close()


def execute(
    argv: list[str],
    *,
    env: dict[str, str] | None = None,
    text: str | None = None,
    check: bool = True,
    timeout: float = 30.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; on timeout everything it started in its session is killed."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE_ENV if env is None else env,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(text, timeout)
        except BaseException:
            _kill_session(process.pid)
            raise
    if check and process.returncode:
        raise CommandFailed(process.returncode, argv, out, err)
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def enter_net(path: Path) -> None:
    """Move the calling thread into a network namespace (os.setns comes with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))


def _kill_session(leader: int) -> None:
    if sys.platform == "linux":
        os.killpg(leader, signal.SIGKILL)
