"""The nouns: frozen data with the names that OpenSSH, Docker and jupyter_server use.

Nothing here does anything but hold, compare and print itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from remotenb.secret import Secret

EngineName = Literal["docker", "podman", "host"]
"""What runs the server; ``sudo -n docker`` is ``docker`` too."""

EngineChoice = Literal["auto", "docker", "podman", "host"]
"""What may run it: with ``auto`` whatever is there."""

Ownership = Literal["mine", "other", "none"]
"""What the evidence says of a container: the user's own, another's, or nothing."""


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Who somebody is at a registry of images."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Host:
    """Where and how to log in: one host as ssh_config resolves it."""

    name: str
    hostname: str
    user: str
    port: int = 22
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    strict_host_key: Literal["yes", "ask", "accept-new"] = "ask"
    hash_known_hosts: bool = False
    host_key_alias: str | None = None
    connect_timeout: float = 10.0
    """Seconds for each of: the TCP connection, the banner, the login."""
    jumps: tuple[Host, ...] = ()
    """ProxyJump, nearest first."""
    proxy_command: str | None = None
    auth_methods: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    """Those that may be tried, in this order."""
    password_prompts: int = 3
    batch_mode: bool = False
    """Nobody is to be asked for anything."""
    alias: str = ""
    """What ssh would have been asked for: the name without user and port."""
    known_hosts_command: str | None = None
    revoked_host_keys: Path | None = None
    address_family: Literal["any", "inet", "inet6"] = "any"
    bind_address: str | None = None
    bind_interface: str | None = None
    compression: bool = False
    ciphers: str = ""
    """This and the next four are lists as ssh_config has them; empty is no wish."""
    macs: str = ""
    kex_algorithms: str = ""
    host_key_algorithms: str = ""
    public_key_algorithms: str = ""
    token_library: str | None = None
    """PKCS11Provider, which only an agent can load."""

    @property
    def key_name(self) -> str:
        """The name this host has in known_hosts."""
        if self.host_key_alias:
            return self.host_key_alias
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"  # noqa: PLR2004  SSH's own port

    @property
    def login(self) -> str:
        """``user@hostname[:port]``, for people."""
        address = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        port = "" if self.port == 22 else f":{self.port}"  # noqa: PLR2004  SSH's own port
        return f"{self.user}@{address}{port}"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the server inside the container; ``source`` may start with ``~``."""

    source: str
    target: str
    read_only: bool = False
    relabel: Literal["", "z", "Z"] = ""
    """SELinux: let containers read it, all of them (z) or this one alone (Z)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One row of nvidia-smi; memory in MiB, utilization in percent."""

    index: int
    uuid: str
    name: str
    memory_total: int
    memory_used: int
    utilization: int
    processes: int = 0

    @property
    def idle(self) -> bool:
        """Nobody computes on it: no process, hardly any memory in use."""
        idle_memory, idle_load = 512, 10
        return (
            self.processes == 0
            and self.memory_used <= idle_memory
            and self.utilization <= idle_load
        )


@dataclass(frozen=True, slots=True)
class EngineState:
    """The engine that answered, or why none did."""

    name: Literal["docker", "podman"] | None
    argv: tuple[str, ...] = ()
    version: str | None = None
    refusals: tuple[tuple[str, str], ...] = ()
    """(command, what it said), for each that was tried and did not work."""
    rootless: bool = False
    """It runs as the user, who is root in its containers."""
    remaps: bool = False
    """It gives containers other uids than the machine's (userns-remap)."""
    keeps_ids: bool = False
    """Rootless, it can all the same let the user be the user (podman, with subordinate uids)."""
    keeps_groups: bool = False
    """So too with the user's further groups (podman with crun)."""
    manifest_ids: bool = False
    """An image's id is its manifest's, not its configuration's (docker's containerd store)."""
    selinux: bool = False
    """SELinux keeps its containers from the user's folders."""
    init: str | None = None
    """A program to be a container's first process, where the engine must be told of one."""
    freezes: bool = True
    """It can stop a container's processes for a moment (not podman without root on cgroups v1)."""
    after_logout: bool = True
    """Its containers live on when the user's last login ends."""
    after_reboot: bool = True
    """It starts containers again that have a policy for that."""


DOCKER = EngineState("docker", ("docker",))


@dataclass(frozen=True, slots=True)
class Image:
    """An image on the box; ``size`` is the engine's own text."""

    ref: str
    id: str
    size: str
    engine: EngineState = DOCKER
    """The one that has it."""


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container that the engine opened on the box."""

    container_port: int
    host_ip: str
    host_port: int

    @property
    def to_the_world(self) -> bool:
        """Whether other machines can reach it."""
        return self.host_ip in {"", "0.0.0.0", "::"}  # noqa: S104  a comparison


@dataclass(frozen=True, slots=True)
class RuntimeFile:
    """What a ``jpserver-*.json`` or ``nbserver-*.json`` says; believe it only once verified.

    ``url``, ``hostname`` and ``password`` of the file are left out: they lie
    (0.0.0.0, the container's name, false under PasswordIdentityProvider).
    """

    path: PurePosixPath
    pid: int
    port: int
    token: Secret
    base_url: str
    secure: bool = False
    root_dir: str | None = None
    sock: str = ""
    version: str | None = None
    alive: bool = False
    """That pid is, in that pid namespace, a process that looks like Jupyter."""
    modified: int = 0
    """The file's age, seconds since 1970 on the box's clock."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A TCP socket in state LISTEN, in one network namespace."""

    address: str
    port: int

    @property
    def wildcard(self) -> bool:
        """Whether it takes connections on every address."""
        return self.address in {"0.0.0.0", "::"}  # noqa: S104  a comparison

    @property
    def loopback(self) -> bool:
        """Whether only the same network namespace reaches it."""
        return self.address.startswith("127.") or self.address in {"::1", "::ffff:127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Scan:
    """What is to be seen inside one machine or one container."""

    files: tuple[RuntimeFile, ...] = ()
    listening: tuple[Listening, ...] = ()
    python: str | None = None
    jupyter: str | None = None
    environment: str | None = None
    """The folder of the Python environment that was entered."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the engine, running or not."""

    id: str
    name: str
    image: str
    image_id: str
    status: str
    network: str = "bridge"
    addresses: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    gpus: str | None = None
    """GPUs it was given: ``all``, ``0,1``, a count, or None."""
    user: str | None = None
    """Who runs in it, as its maker said: empty for whoever the image says, None for unknown."""
    restarts: bool = False
    """Whether the engine starts it again by itself."""
    ownership: Ownership = "none"
    owner: str | None = None
    evidence: str = ""
    engine: EngineState = DOCKER
    """The one that it is in."""
    scan: Scan | None = None
    """None: not entered, because it is another's, does not run or did not answer."""

    @property
    def running(self) -> bool:
        """Whether there is something in it to talk to."""
        return self.status == "running"

    @property
    def about_to_run(self) -> bool:
        """Whether it was made and not yet started."""
        return self.status == "created"


@dataclass(frozen=True, slots=True)
class Probe:
    """What is on that machine; nothing inferred."""

    user: str
    uid: int
    home: str
    engine: EngineState
    """The one that new containers are made with."""
    others: tuple[EngineState, ...] = ()
    """Further engines that answered."""
    gid: int = 0
    groups: tuple[tuple[int, str], ...] = ()
    """The user's further groups: number and name."""
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    gpu_refusal: str = ""
    """What nvidia-smi said when it did not list the GPUs."""
    gpu_toolkit: bool = False
    """Whether there are signs that ``--gpus`` can work."""
    cdi: bool = False
    """Whether the GPUs are described for CDI, which podman needs."""
    host: Scan = field(default_factory=Scan)

    @property
    def engines(self) -> tuple[EngineState, ...]:
        """All that answered, best first."""
        return (self.engine, *self.others) if self.engine.name else ()
