"""podman on the box: a real one, taken out for a test and put away after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Final

from . import cache
from .box import Box
from .gpus import Gpu

_CDI: Final = "/etc/cdi/nvidia.yaml"
_LOAD: Final = 'podman image exists "$1" || docker save "$1" | podman load --quiet'
_FORGET: Final = """
kept=$(podman image inspect -f '{{.ID}}' -- "$@" 2>/dev/null)
for id in $(podman images -aq --no-trunc | sed 's/.*://' | sort -u); do
    case $kept in *"$id"*) ;; *) podman rmi -f "$id" >/dev/null 2>&1 || : ;; esac
done
"""
_STORE: Final = "/var/lib/containers/storage"
_ROOTS_STORE: Final = f"""
mkdir -p /srv/podman/root {_STORE}
mount --bind /srv/podman/root {_STORE}
"""
_SUDO: Final = "/etc/sudoers.d/podman"
_PAM: Final = "account required pam_permit.so\nsession required pam_permit.so\n"


class Podman:
    """One user's podman, or root's."""

    def __init__(self, box: Box, user: str | None) -> None:
        """Take a box on which podman is out."""
        self._box = box
        self._user = user
        self._given: list[str] = []

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]:
        """Run it as its user."""
        return self._box.run(["podman", *args], user=self._user, check=check, timeout=60)

    def load(self, image: str) -> None:
        """Give it an image of docker's; it is kept for the next time."""
        self._box.run(["sh", "-ec", _LOAD, "sh", image], user=self._user, timeout=120)
        self._given.append(image)

    def forget(self) -> None:
        """Remove every container, and every image that it was not given."""
        self("rm", "-f", "-a", "-t", "0", check=False)
        forget = ["sh", "-c", _FORGET, "sh", *self._given]
        self._box.run(forget, user=self._user, check=False, timeout=60)

    def set_cdi(self, gpus: list[Gpu]) -> None:
        """Describe FAKE GPUs for CDI: what a container gets is the fake nvidia-smi."""
        self._box.write(_CDI, _cdi([str(gpu.index) for gpu in gpus]))


@contextmanager
def podman(box: Box, user: str, uid: int) -> Iterator[Podman]:
    """Take it out without root; afterwards no container of it is left, and it is put away."""
    with _out(box, user, uid):
        own = Podman(box, user)
        own("rm", "-f", "-a", "-t", "0")
        try:
            yield own
        finally:
            own("rm", "-f", "-a", "-t", "0", check=False)


@contextmanager
def roots_podman(box: Box, user: str, uid: int) -> Iterator[Podman]:
    """Take root's out too, which ``user`` may call by sudo without a password."""
    with _out(box, user, uid):
        box.run(["sh", "-ec", _ROOTS_STORE])
        box.write(_SUDO, f"{user} ALL=(root) NOPASSWD: /usr/bin/podman\n", mode=0o440)
        box.write("/etc/pam.d/sudo", _PAM)
        roots = Podman(box, None)
        roots("rm", "-f", "-a", "-t", "0")
        try:
            yield roots
        finally:
            roots("rm", "-f", "-a", "-t", "0", check=False)
            box.run(["umount", _STORE], check=False)
            box.run(["rm", "-f", _SUDO])


@contextmanager
def _out(box: Box, user: str, uid: int) -> Iterator[None]:
    script = (cache.SCRIPTS / "podman_on.sh").read_text()
    box.run(["sh", "-s", user, str(uid)], input=script)
    try:
        yield
    finally:
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
