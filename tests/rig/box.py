"""The GPU server: a machine with people, an sshd and a dockerd on it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final, Literal, NamedTuple

from . import accounts, cache, gpus, machine, sshd
from .dockerd import Dockerd
from .failures import RigError
from .gpus import Gpu, SmiFailure
from .images import Layer
from .machine import Machine
from .network import BOX_FAR_IP, BOX_IP, LAPTOP_IP, REGISTRY_NAMES, Network

_JUPYTER: Final = re.compile(r"^\s*(\d+) .*/jupyter-", re.MULTILINE)
_BOOTING: Final = "System is booting up. Unprivileged users are not permitted to log in yet.\n"
_PROCESS: Final = re.compile(r'"([^"]+)"')


class Listening(NamedTuple):
    """A TCP socket that waits for connections."""

    proto: str
    addr: str
    port: int
    process: str


class Box:
    """A GPU server as its users see it, and as the tests may break it."""

    ip: Final = BOX_IP
    far_ip: Final = BOX_FAR_IP

    def __init__(
        self, body: Machine, network: Network, layers: Mapping[str, Sequence[Layer]]
    ) -> None:
        """Take a machine without power, plugged into the network."""
        self._machine = body
        self._network = network
        self._dockerd = Dockerd(body, layers)

    def install(self, host_key: str, authorized_key: str) -> None:
        """Write the disk: people, keys, docker's settings; all before the first boot."""
        names = f"127.0.0.1 localhost\n127.0.1.1 {self._machine.name}\n{LAPTOP_IP} laptop\n"
        # docker reads this seldom: whether a registry is there is decided elsewhere
        names += "".join(f"{LAPTOP_IP} {name}\n" for name in REGISTRY_NAMES)
        public = {
            "/etc/passwd": accounts.passwd_text(),
            "/etc/group": accounts.group_text(),
            "/etc/hostname": f"{self._machine.name}\n",
            "/etc/hosts": names,
            "/etc/resolv.conf": "",
            "/etc/docker/daemon.json": '{"storage-driver": "overlay2"}\n',
            sshd.AUTHORIZED_KEYS: authorized_key,
            sshd.PAM_FILE: sshd.PAM,
        }
        for path, text in public.items():
            self._machine.install(path, text)
        for path, text in gpus.toolkit_files().items():
            self._machine.install(path, text, mode=0o755)
        self._machine.install("/etc/shadow", accounts.shadow_text(), mode=0o600)
        self._machine.install(sshd.HOST_KEY, host_key, mode=0o600)

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        input: str | None = None,  # noqa: A002 - subprocess's own name for it
        check: bool = True,
        timeout: float = 30.0,
    ) -> CompletedProcess[str]:
        """Run a command on the box, as root or as a user with what a login gives them."""
        return self._machine.run(list(argv), user=user, text=input, check=check, timeout=timeout)

    def docker(
        self, *args: str, user: str = "alice", check: bool = True, timeout: float = 60.0
    ) -> CompletedProcess[str]:
        """Run docker on the box as a user."""
        return self.run(["docker", *args], user=user, check=check, timeout=timeout)

    def enter(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs this one on the box as root, for processes of one's own."""
        return self._machine.enter(list(argv))

    def write(self, path: str, text: str, owner: str = "root", mode: int = 0o644) -> None:
        """Write a file on the box, with the directories on the way to it."""
        script = 'mkdir -p "$(dirname "$1")"; cat >"$1"; chown "$2" "$1"; chmod "$3" "$1"'
        argv = ["sh", "-ec", script, "sh", path, f"{owner}:", f"{mode:o}"]
        self.run(argv, input=text)

    def path(self, path: str) -> Path:
        """Return a file of the box as seen from here; no part of it may be a symlink."""
        return self._machine.path(path)

    def listening(self) -> list[Listening]:
        """Return who listens on which TCP port."""
        out = self.run(["ss", "-H", "-l", "-t", "-n", "-p"]).stdout
        found = []
        for line in out.splitlines():
            columns = line.split(maxsplit=5)
            addr, _, port = columns[3].rpartition(":")
            name = _PROCESS.search(columns[5]) if len(columns) > 5 else None
            found.append(Listening("tcp", addr, int(port), name[1] if name else ""))
        return found

    def processes(self) -> list[str]:
        """Return the command line of every process of the box, containers' included."""
        lines = (_command_line(path) for path in self._machine.path("/proc").glob("[0-9]*/cmdline"))
        return [line for line in lines if line]

    def sshd(self, extra_config: str = "", port: int = 22) -> None:
        """Restart sshd with these lines of configuration, or as it was when there are none."""
        sshd.restart(self._machine, extra=extra_config, port=port)

    def sshd_stop(self) -> None:
        """End sshd and every session; connections are refused until `sshd()`."""
        sshd.stop(self._machine)
        self.signal_sshd("KILL")

    def signal_sshd(
        self, name: Literal["KILL", "STOP", "CONT"], *, user: str | None = None
    ) -> None:
        """Send a signal to every sshd, or to those of a user's sessions alone."""
        sshd.signal(self._machine, name, user=user)

    def nologin(self, *, on: bool = True) -> None:
        """Let nobody but root log in, as while a machine boots; open sessions stay open."""
        self._set_nologin(on=on)
        self.sshd()

    def kill_jupyter(self, container: str, number: str = "KILL") -> None:
        """Kill the server in a container, but not its kernels; or send it another signal."""
        shown = self.docker("top", container, "-eo", "pid,args").stdout
        self.run(["kill", f"-{number}", *_JUPYTER.findall(shown)])

    def set_shell(self, user: str, shell: str) -> None:
        """Give a user another login shell."""
        self._edit(user, shell=shell)

    def set_home(self, user: str, home: str) -> None:
        """Move a user's home directory."""
        old = accounts.find(self._passwd.read_text(), user).home
        self.run(["sh", "-ec", 'mkdir -p "$(dirname "$2")"; mv -T "$1" "$2"', "sh", old, home])
        self._edit(user, home=home)

    def set_password(self, user: str, password: str, *, expired: bool = False) -> None:
        """Give a user a password, and nobody else; it may have to be changed at the next login."""
        self.set_passwords({user: password}, expired=expired)

    def set_passwords(self, passwords: Mapping[str, str], *, expired: bool = False) -> None:
        """The same for several users."""
        text = accounts.shadow_text()
        for user, password in passwords.items():
            hashed = self.run(["openssl", "passwd", "-6", "-stdin"], input=password).stdout.strip()
            text = accounts.with_password(text, user, hashed, expired=expired)
        self._machine.path("/etc/shadow").write_text(text)

    def set_pam(self, *auth: str) -> None:
        """What sshd's PAM asks at a login, a line each, where sshd has `UsePAM yes`."""
        self._machine.path(sshd.PAM_FILE).write_text(sshd.pam(*auth))

    def set_gpus(
        self,
        rows: Iterable[Gpu] | None,
        *,
        toolkit: bool = True,
        failure: SmiFailure | None = None,
    ) -> None:
        """Put fake GPUs in the box, or take them out (None).

        Without the toolkit docker refuses `--gpus` as it does where NVIDIA's is not installed;
        that needs another dockerd, which ends running containers.
        """
        if rows is None:
            gpus.remove(self._machine)
        else:
            gpus.insert(self._machine, list(rows), failure, toolkit=toolkit)
        if self._dockerd.toolkit != toolkit:
            self._dockerd.switch(toolkit=toolkit)

    def power_off(self) -> None:
        """Cut the power: links down first, then everything is dead in the same moment."""
        self._network.power_off()
        self._machine.power_off()
        self._dockerd.forget()
        self._network.forget()

    def boot(self, *, dockerd: bool = True, nologin: bool = False) -> None:
        """Give it power and wait for sshd, and docker unless that is to be started later."""
        self._start(dockerd=dockerd, nologin=nologin)
        if dockerd:
            self._dockerd.wait()

    def first_boot(self) -> None:
        """Boot with fresh homes and just the rig's images in docker."""
        self._start(fresh=True)
        try:
            self._dockerd.wait()
            self._dockerd.clean()
        except RigError:
            # what an earlier run left is of no use to docker: once more, from nothing
            self._dockerd.stop()
            machine.wipe(self._machine.docker_root)
            self._dockerd.start()
            self._dockerd.clean()

    def dockerd_stop(self) -> None:
        """Stop docker; its containers end."""
        self._dockerd.stop()

    def dockerd_kill(self) -> None:
        """Kill docker; its containers go on without their published ports."""
        self._dockerd.kill()

    def dockerd_start(self) -> None:
        """Start docker again."""
        self._dockerd.start(toolkit=self._dockerd.toolkit)

    def reset(self) -> None:
        """Make it as after the first boot, however it is now."""
        if not self._machine.is_on:
            self.boot()
        gpus.remove(self._machine)
        if self._dockerd.is_on and not self._dockerd.toolkit:
            self._dockerd.clean()
            self._dockerd.switch(toolkit=True)
        if not self._dockerd.is_on:
            self._dockerd.start()
        self._dockerd.clean()
        self._passwd.write_text(accounts.passwd_text())
        self._machine.path("/etc/shadow").write_text(accounts.shadow_text())
        self._machine.path(sshd.PAM_FILE).write_text(sshd.PAM)
        self._lay_homes()
        self.nologin(on=False)

    def close(self) -> None:
        """End it for good."""
        if self._machine.is_on and self._dockerd.is_on:
            self._dockerd.clean()
        self._machine.close()
        self._dockerd.forget()

    @property
    def _passwd(self) -> Path:
        return self._machine.path("/etc/passwd")

    def _start(self, *, fresh: bool = False, dockerd: bool = True, nologin: bool = False) -> None:
        self._machine.boot()
        if fresh:
            self._lay_homes()
        self._network.power_on()
        if dockerd:
            self._dockerd.begin()
        self.nologin(on=nologin)

    def _set_nologin(self, *, on: bool) -> None:
        file = self._machine.path(sshd.NOLOGIN)
        if on:
            file.write_text(_BOOTING)
        else:
            file.unlink(missing_ok=True)

    def _edit(self, user: str, *, home: str | None = None, shell: str | None = None) -> None:
        text = accounts.edited(self._passwd.read_text(), user, home=home, shell=shell)
        self._passwd.write_text(text)

    def _lay_homes(self) -> None:
        homes = [f"{user.name}:{user.home}" for user in accounts.USERS]
        script = (cache.SCRIPTS / "clean.sh").read_text()
        self.run(["sh", "-s", *homes], input=script)


def _command_line(path: Path) -> str:
    try:
        return path.read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it ended while we looked
