"""podman on the box, without root: a real one, taken out for a test and put away after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Final

from . import cache
from .box import Box
from .gpus import Gpu

_CDI: Final = "/etc/cdi/nvidia.yaml"
_LOAD: Final = 'podman image exists "$1" || docker save "$1" | podman load --quiet'


class Podman:
    """The user's own podman."""

    def __init__(self, box: Box, user: str) -> None:
        """Take a box on which podman is out."""
        self._box = box
        self._user = user

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        """Run it as its user."""
        return self._box.run(["podman", *args], user=self._user, check=check, timeout=60)

    def load(self, image: str) -> None:
        """Give it an image of docker's; it is kept for the next time."""
        self._box.run(["sh", "-ec", _LOAD, "sh", image], user=self._user, timeout=120)

    def set_cdi(self, gpus: list[Gpu]) -> None:
        """Describe FAKE GPUs for CDI: what a container gets is the fake nvidia-smi."""
        self._box.write(_CDI, _cdi([str(gpu.index) for gpu in gpus]))


@contextmanager
def podman(box: Box, user: str, uid: int) -> Iterator[Podman]:
    """Take it out; afterwards no container of it is left, and it is put away."""
    script = (cache.SCRIPTS / "podman_on.sh").read_text()
    box.run(["sh", "-s", user, str(uid)], input=script)
    own = Podman(box, user)
    own("rm", "-f", "-a", "-t", "0")
    try:
        yield own
    finally:
        own("rm", "-f", "-a", "-t", "0", check=False)
        box.run(["rm", "-f", "/usr/bin/podman", _CDI])


def _cdi(names: list[str]) -> str:
    mounts = "".join(
        f"        - hostPath: {path}\n          containerPath: {path}\n"
        "          options: [ro, bind]\n"
        for path in ("/usr/bin/nvidia-smi", "/etc/fake-gpus")
    )
    edits = f"    containerEdits:\n      mounts:\n{mounts}"
    devices = "".join(f'  - name: "{name}"\n{edits}' for name in [*names, "all"])
    return f"cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n{devices}"
