"""What an engine says when it cannot, and what to do about it.

The patterns are texts of dockerd 20.10 to 28, podman 4.3 with crun, and the NVIDIA toolkit, as
they were met.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remotenb import errors
from remotenb.text import one_line

if TYPE_CHECKING:
    from remotenb.errors import FarSideError

_TOOLKIT = (
    "install the NVIDIA Container Toolkit on the server and restart docker, "
    "or go on without GPUs: --gpus none"
)

_DRIVER = (
    "the server's NVIDIA driver does not work; its administrator must load it again. "
    "Or go on without GPUs: --gpus none"
)

NO_CDI = (
    "its administrator can describe the GPUs for podman: "
    "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml; "
    "or go on without GPUs: --gpus none"
)

_SUBORDINATE = (
    "podman has too few user ids there; its administrator can give more: "
    "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
)

_KNOWN: tuple[tuple[str, type[FarSideError], str], ...] = (
    (r"could not select device driver", errors.GpuUnavailable, _TOOLKIT),
    (r"unresolvable CDI devices", errors.GpuUnavailable, NO_CDI),
    (r"unknown (or invalid )?runtime (specified|name)", errors.GpuUnavailable, _TOOLKIT),
    (
        r"nvidia-container-cli: device error|unknown device",
        errors.GpuUnavailable,
        "a GPU that it was given is not there any more; remotenb gpus HOST shows what is",
    ),
    (
        r"nvidia-container-cli|nvml error|driver/library version mismatch",
        errors.GpuUnavailable,
        _DRIVER,
    ),
    (
        r"error setting rlimit|setrlimit `",
        errors.LimitRefused,
        "leave them out with ulimits = [] in the config",
    ),
    (
        r"no space left on device",
        errors.DiskFull,
        "make room: {engine} system df shows what fills it",
    ),
    (
        r"invalid diffID|invalid checksum|invalid tar header|unexpected EOF",
        errors.LayerDamaged,
        "the image is damaged where it comes from; save or pull it there again",
    ),
    (
        r"container name .* is already in use|that name is already in use",
        errors.NameTaken,
        "choose another: run --name, or container_name in the config",
    ),
    (
        r"no such image|unable to find image|pull access denied|manifest unknown|image not known",
        errors.ImageMissing,
        "remotenb pull HOST IMAGE lets the server fetch it",
    ),
    (
        r"permission denied.*docker.*sock|got permission denied|a password is required",
        errors.EngineNotPermitted,
        "",
    ),
    (
        r"cannot connect to the docker daemon|is the docker daemon running",
        errors.EngineDown,
        "start it on the server: sudo systemctl start docker",
    ),
    (
        r"(stat|mkdir|creating mount source path) .*permission denied",
        errors.MountMissing,
        "root may not enter it, as on NFS with root_squash: use a local disk, or chmod o+x it",
    ),
    (
        r"bind source path does not exist|statfs /.*: no such file or directory",
        errors.MountMissing,
        "make the folder on the server, or leave that volume out",
    ),
    (
        r"port is already allocated|address already in use",
        errors.EngineRefused,
        "choose another port of the server: -p PORT_OF_THE_SERVER:PORT",
    ),
    (
        r"cannot remove a running container|container is running: stop|removed without force",
        errors.EngineRefused,
        "stop it first, or --force",
    ),
    (
        r"is using its referenced image|image is (being used|in use) by|image has dependent child",
        errors.EngineRefused,
        "remove what needs it first: remotenb ps HOST --all",
    ),
    (
        r"insufficient UIDs or GIDs|no subuid ranges|potentially insufficient",
        errors.EngineRefused,
        _SUBORDINATE,
    ),
    (
        r"can only (kill running|create exec sessions on running) containers",
        errors.ContainerNotRunning,
        "start it first: remotenb start HOST",
    ),
    (
        r"no such container",
        errors.ContainerMissing,
        "it was removed meanwhile; connect again",
    ),
)


def join_the_group(user: str) -> str:
    """How a user gets permission; the price is said, because it is root."""
    return (
        f"an administrator can add you: sudo usermod -aG docker {user}, then log in again "
        "(that makes you root on that machine); or allow sudo -n docker"
    )


def understand(said: str, *, user: str = "you", engine: str = "docker") -> FarSideError:
    """The error that the words of ``engine`` mean."""
    line = one_line(said)
    for opening in ("docker: ", "Error: ", "Error response from daemon: "):
        line = line.removeprefix(opening)
    for pattern, error, hint in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            if error is errors.EngineNotPermitted:
                hint = join_the_group(user)  # noqa: PLW2901  the only one that names a person
            return error(f"{engine}: {line}", hint=hint.replace("{engine}", engine))
    return errors.EngineRefused(
        f"{engine}: {line or 'it failed without a word'}", hint="-v shows the whole command"
    )
