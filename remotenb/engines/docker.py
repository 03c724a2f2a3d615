"""Docker's command line: argv in, nothing run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.model import Mount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.decision import ContainerSpec
    from remotenb.model import Container, EngineState

STATE_TARGET = "/run/remotenb"
"""Where a container that we start sees its state folder."""

JUPYTER_PORT = 8888

LABEL_NAME = "remotenb.name"
LABEL_USER = "remotenb.user"
LABEL_LAUNCH = "remotenb.launch"
"""Which launch made it, so that a launch that fails takes away its own and nothing else."""
LABEL_RUN = "remotenb.run"
"""On what ``run`` made: there is no notebook of ours in it."""
LABEL_GPUS = "remotenb.gpus"

Argv = tuple[str, ...]


def made_here(container: Container) -> bool:
    """Whether remotenb made it; a copy that somebody else made of it has another name."""
    return container.labels.get(LABEL_NAME) == container.name


def notebook_of_ours(container: Container) -> bool:
    """Whether remotenb made it for a notebook."""
    return made_here(container) and LABEL_RUN not in container.labels


def state_dir(home: str, name: str) -> str:
    """The folder of the machine that belongs to a container of ours."""
    return f"{home}/.local/state/remotenb/{name}"


class Docker:
    """``docker``, or ``sudo -n docker``."""

    id_field = ".Id"
    all_gpus: Argv = ("--gpus=all",)

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._argv = state.argv
        self.whole_images = "docker's containerd image store" if state.manifest_ids else ""

    def create(self, spec: ContainerSpec, command: Sequence[str], *, launch: str) -> Argv:
        """``docker create``: nothing published unasked, never pulled."""
        return (
            *self._argv,
            "create",
            "--pull=never",
            f"--name={spec.name}",
            *self._life(spec),
            f"--label={LABEL_NAME}={spec.name}",
            f"--label={LABEL_USER}={spec.owner}",
            f"--label={LABEL_LAUNCH}={launch}",
            *self._user(spec),
            *self._gpus(spec),
            *((f"--network={spec.network}",) if spec.network else ()),
            *(f"--publish={port}" for port in spec.ports),
            *(("--security-opt=label=disable",) if spec.unconfined else ()),
            *((f"--ipc={spec.ipc}",) if spec.ipc else ()),
            *((f"--shm-size={spec.shm_size}",) if spec.shm_size else ()),
            *(f"--ulimit={limit}" for limit in spec.ulimits),
            *(_state(spec) if spec.state_dir else ()),
            *(_mount(mount) for mount in spec.mounts),
            *(f"--env={name}={value}" for name, value in spec.env),
            *((f"--workdir={spec.root_dir}",) if spec.root_dir else ()),
            *spec.run_args,
            spec.image,
            *command,
        )

    def inside(self, container: str) -> Argv:
        """``docker exec``, with our stdin."""
        return (*self._argv, "exec", "-i", container)

    def keep(self, name: str) -> Argv:
        """After a crash or a reboot it is started again, but not after ``docker stop``."""
        return (*self._argv, "update", "--restart=unless-stopped", name)

    def proof_of_gpus(self, name: str) -> Argv:  # noqa: ARG002  podman must be asked
        """Nothing: what cannot be had is refused."""
        return ()

    def _life(self, spec: ContainerSpec) -> Argv:  # noqa: ARG002  podman must know
        return (
            "--init",
            "--restart=no",  # until it is known to work; then unless-stopped
        )

    def _user(self, spec: ContainerSpec) -> Argv:
        return as_user(spec)

    def _gpus(self, spec: ContainerSpec) -> Argv:
        return _gpus(spec)


def as_user(spec: ContainerSpec) -> Argv:
    """Before the user's own ``env``, which may say otherwise."""
    who = spec.identity
    if who is None:
        return ()
    return (
        f"--user={who.uid}:{who.gid}",
        *(f"--group-add={gid}" for gid, _ in who.groups),
        *(("--userns=host",) if spec.host_uids else ()),
        f"--env=HOME={who.home}",
        f"--env=USER={who.name}",
        f"--env=LOGNAME={who.name}",
        "--env=PIP_BREAK_SYSTEM_PACKAGES=1",  # Debian's pip refuses even --user without
    )


def _gpus(spec: ContainerSpec) -> Argv:
    """NVIDIA's own runtime takes them by the environment, also where ``--gpus`` is unknown."""
    label = (f"--label={LABEL_GPUS}={spec.gpu_names}",) if spec.gpus else ()
    if spec.runtime == "nvidia":
        visible = spec.gpu_names or "void"
        return (*label, "--runtime=nvidia", f"--env=NVIDIA_VISIBLE_DEVICES={visible}")
    return (
        *label,
        *((f"--runtime={spec.runtime}",) if spec.runtime else ()),
        *((f"--gpus={spec.gpus}",) if spec.gpus else ()),
    )


def _state(spec: ContainerSpec) -> Argv:
    """What a notebook of ours has from outside: its token, its script, its runtime files."""
    labelled = any(mount.relabel for mount in spec.mounts)
    return (
        _mount(Mount(spec.state_dir, STATE_TARGET, relabel="Z" if labelled else "")),
        f"--env=JUPYTER_TOKEN_FILE={STATE_TARGET}/token",
        f"--env=JUPYTER_RUNTIME_DIR={STATE_TARGET}/rt",
    )


def _mount(mount: Mount) -> str:
    """``--mount``, for ``-v`` makes a missing folder, as root and without a word.

    But only ``-v`` knows SELinux's labels; such a folder has been made before.
    """
    if mount.relabel:
        mode = f"{'ro' if mount.read_only else 'rw'},{mount.relabel}"
        return f"--volume={mount.source}:{mount.target}:{mode}"
    read_only = ",readonly" if mount.read_only else ""
    return f"--mount=type=bind,{bind_source(mount.source)},{_csv('dst=' + mount.target)}{read_only}"


def bind_source(path: str) -> str:
    """The field of ``--mount`` that names what is mounted."""
    return _csv(f"src={path}")


def _csv(field: str) -> str:
    """One field of ``--mount``, which is CSV: a comma or a quote needs quotes around it."""
    if '"' in field or "," in field:
        return '"' + field.replace('"', '""') + '"'
    return field
