"""What can be decided, as data: the plan and the container that it may speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotenb.errors import RemotenbError
    from remotenb.model import Container, EngineState, Mount
    from remotenb.server import Server


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a container's processes are: the user of the box, by number and by name."""

    name: str
    uid: int
    gid: int
    groups: tuple[tuple[int, str], ...] = ()

    @property
    def home(self) -> str:
        """Where their files go that belong nowhere else; in the container."""
        return f"/home/{self.name}"

    @property
    def passwd(self) -> str:
        """Their line of /etc/passwd."""
        return f"{self.name}:x:{self.uid}:{self.gid}:{self.name}:{self.home}:/bin/bash"

    @property
    def group(self) -> str:
        """Their lines of /etc/group."""
        return "\n".join(f"{name}:x:{gid}:" for gid, name in ((self.gid, self.name), *self.groups))


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The container to start, all names resolved for this box."""

    name: str
    image: str
    gpus: str | None
    """docker's own ``--gpus`` argument, or None."""
    mounts: tuple[Mount, ...]
    env: tuple[tuple[str, str], ...]
    ipc: str | None
    shm_size: str | None
    ulimits: tuple[str, ...]
    run_args: tuple[str, ...]
    owner: str
    engine: EngineState
    """What makes it."""
    state_dir: str
    """0700 folder of the user's on the box; mounted at /run/remotenb. Empty: no notebook."""
    root_dir: str | None = None
    identity: Identity | None = None
    """None: whoever the image says, mostly root."""
    host_uids: bool = False
    """Whether the engine must be told not to give it other uids than the machine's."""
    runtime: str | None = None
    network: str | None = None
    ports: tuple[str, ...] = ()
    """docker's own ``--publish`` arguments, each with its address."""
    gpus_chosen: bool = False
    """Whether they were idle a moment ago, for which somebody else may have chosen them too."""
    settings: str = ""
    """What it was made by, to be made again by; see :func:`remotenb.settings.record`."""
    unconfined: bool = False
    """Without SELinux's labels, where the folders that it mounts have none for containers."""

    @property
    def gpu_names(self) -> str | None:
        """``all``, or indices and UUIDs with commas; None for no GPU."""
        return (self.gpus or "").replace("device=", "").strip('"') or None

    @property
    def copies_image(self) -> bool:
        """Whether the engine copies the image the first time, as its files get other owners."""
        return self.engine.rootless and self.identity is not None


@dataclass(frozen=True, slots=True)
class Reuse:
    """Go to a server that runs."""

    server: Server
    others: int = 0
    """How many other good ones were passed over."""


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start Jupyter in a running container, or on the host."""

    container: Container | None


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Make a container and start it; or start ``existing``, which stopped."""

    spec: ContainerSpec
    existing: Container | None = None
    install: bool = False
    """Jupyter comes into it, before it is waited for."""
    again: bool = False
    """It takes the place of one that was set aside, and its state folder with it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing can be done before somebody changes something."""

    error: RemotenbError


Plan = Reuse | StartServer | StartContainer | Refuse
