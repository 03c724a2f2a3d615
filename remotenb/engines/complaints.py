"""What Docker says when it cannot, and what to do about it.

The patterns are texts of dockerd 20.10 to 28 and of the NVIDIA toolkit, as they were met.
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

_KNOWN: tuple[tuple[str, type[FarSideError], str], ...] = (
    (r"could not select device driver|unresolvable CDI devices", errors.GpuUnavailable, _TOOLKIT),
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
        r"error setting rlimit",
        errors.LimitRefused,
        "leave them out with ulimits = [] in the config",
    ),
    (
        r"no space left on device",
        errors.DiskFull,
        "make room: docker system df shows what fills it",
    ),
    (
        r"invalid diffID|invalid checksum|invalid tar header|unexpected EOF",
        errors.LayerDamaged,
        "the image is damaged where it comes from; save or pull it there again",
    ),
    (
        r"container name .* is already in use",
        errors.NameTaken,
        "choose another with container_name in the config",
    ),
    (
        r"no such image|unable to find image|pull access denied|manifest unknown",
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
        r"bind source path does not exist",
        errors.MountMissing,
        "make the folder on the server, or leave that volume out",
    ),
    (
        r"port is already allocated|address already in use",
        errors.EngineRefused,
        "choose another port of the server: -p PORT_OF_THE_SERVER:PORT",
    ),
    (
        r"cannot remove a running container|container is running: stop",
        errors.EngineRefused,
        "stop it first, or --force",
    ),
    (
        r"is using its referenced image|image is being used by|image has dependent child",
        errors.EngineRefused,
        "remove what needs it first: remotenb ps HOST --all",
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


def understand(said: str, *, user: str = "you") -> FarSideError:
    """The error that the engine's words mean."""
    line = one_line(said).removeprefix("docker: ").removeprefix("Error response from daemon: ")
    for pattern, error, hint in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            if error is errors.EngineNotPermitted:
                hint = join_the_group(user)  # noqa: PLW2901  the only one that names a person
            return error(f"docker: {line}", hint=hint)
    return errors.EngineRefused(
        f"docker: {line or 'it failed without a word'}", hint="-v shows the whole command"
    )
