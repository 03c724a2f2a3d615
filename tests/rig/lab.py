"""The whole laboratory: a laptop, a GPU server, two paths between them; up in about a second."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from . import cache, images, packages, stale
from .box import Box
from .failures import RigError
from .machine import Machine
from .namespaces import Holder, enter_net, execute
from .network import BOX_FAR_IP, BOX_IP, Fault, Network
from .registry import Registry
from .wire import Wire

_ALIASES: Final = {
    "gpu-box": ("alice", BOX_IP),
    "gpu-box-far": ("alice", BOX_FAR_IP),
    "gpu-box-bob": ("bob", BOX_IP),
    "gpu-box-carol": ("carol", BOX_IP),
}
# Each docker has a directory of its own, and there are a few of them.
_TURN: Final = 60.0
_HERE: Final = Path("/proc/thread-self/ns/net")


class Lab:
    """Real machines, for as long as the `with` block lasts; to be made in the main thread."""

    box: Box
    wire: Wire
    ssh_config: Path
    known_hosts: Path
    key: Path
    host_key_line: str

    def __init__(self) -> None:
        """Do nothing yet."""
        self._open = ExitStack()
        self._left: Path | None = None

    def __enter__(self) -> Self:
        """Bring everything up; what was up is taken down again if that fails."""
        lacking = packages.missing()
        if lacking:
            message = f"the rig lacks: {', '.join(lacking)}"
            raise RigError(message)
        with ExitStack() as stack:
            self._bring_up(stack)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take everything down."""
        self._open.close()

    def _bring_up(self, stack: ExitStack) -> None:
        stale.reap()
        self._layers = layers = images.build()
        docker_root = stack.enter_context(cache.slot("docker", seconds=_TURN))
        self._place = place = stale.new_place()
        stack.callback(_remove, place)
        machine = Machine("gpubox", place, docker_root)
        stack.callback(machine.close)
        self._laptop = Holder("--net")
        stack.callback(self._laptop.close)
        self._network = Network(self._laptop, machine.holder)
        stack.callback(self._network.close)
        self.wire = self._network.wire
        self.box = Box(machine, self._network, layers)
        stack.callback(self.box.close)
        self._make_keys(place)
        self.box.first_boot()
        stack.callback(self.leave_laptop)

    @cached_property
    def registry(self) -> Registry:
        """A registry on the laptop's network, started when it is first asked for."""
        place = self._place / "registry"
        place.mkdir()
        made = Registry(place, self._laptop, self._layers)
        self._open.callback(made.close)
        return made

    def enter_laptop(self) -> None:
        """Move this thread, and what it starts from now on, into the laptop's network."""
        if self._left is None:
            self._home = _HERE.open()
            self._left = Path(f"/proc/self/fd/{self._home.fileno()}")
            enter_net(self._laptop.net)

    def leave_laptop(self) -> None:
        """Move this thread back to where it was."""
        if self._left is not None:
            enter_net(self._left)
            self._home.close()
            self._left = None

    def in_laptop(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs this one on the laptop."""
        return ["nsenter", f"--net={self._laptop.net}", "--", *argv]

    def block(self, fault: Fault) -> None:
        """Break the near path."""
        self._network.block(fault)

    def unblock(self) -> None:
        """Undo every fault of the near path."""
        self._network.unblock()

    def reset(self) -> None:
        """Bring both paths and the box back to how they were at first."""
        self._network.unblock()
        self.wire.reset()
        self.box.reset()

    def _make_keys(self, place: Path) -> None:
        self.key, self.known_hosts = place / "id_ed25519", place / "known_hosts"
        host_key = place / "host_key"
        for path in (self.key, host_key):
            execute(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", str(path)])
        public = host_key.with_suffix(".pub").read_text().strip()
        self.host_key_line = f"{BOX_IP} {public}"
        self.known_hosts.write_text(f"{self.host_key_line}\n{BOX_FAR_IP} {public}\n")
        self.ssh_config = place / "ssh_config"
        self.ssh_config.write_text("\n".join(self._entry(*alias) for alias in _ALIASES.items()))
        self.box.install(host_key.read_text(), self.key.with_suffix(".pub").read_text())

    def _entry(self, alias: str, login: tuple[str, str]) -> str:
        user, address = login
        return (
            f"Host {alias}\n    HostName {address}\n    User {user}\n"
            f"    IdentityFile {self.key}\n    IdentitiesOnly yes\n"
            f"    UserKnownHostsFile {self.known_hosts}\n    GlobalKnownHostsFile /dev/null\n"
        )


def _remove(place: Path) -> None:
    for path in sorted(place.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    place.rmdir()
