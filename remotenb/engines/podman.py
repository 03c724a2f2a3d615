"""podman's command line, which is docker's but for what stands here. Argv in, nothing run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.engines.docker import LABEL_GPUS, Docker, as_user

if TYPE_CHECKING:
    from remotenb.decision import ContainerSpec
    from remotenb.engines.docker import Argv
    from remotenb.model import EngineState

CDI = "nvidia.com/gpu"


class Podman(Docker):
    """``podman``, as the user or as root; or ``sudo -n podman``."""

    id_field = ".ID"
    all_gpus: Argv = (f"--device={CDI}=all",)

    def __init__(self, state: EngineState) -> None:
        super().__init__(state)
        self.whole_images = "podman"

    def keep(self, name: str) -> Argv:  # noqa: ARG002  podman 4 cannot change it afterwards
        """Nothing: it was made with its policy."""
        return ()

    def proof_of_gpus(self, name: str) -> Argv:
        """A command that fails where the container has no GPU: podman's own word is no proof."""
        return (*self._argv, "exec", name, "nvidia-smi", "-L")

    def _life(self, spec: ContainerSpec) -> Argv:
        """podman-restart.service knows no other policy than always; ``run`` wants none."""
        init = self._state.init
        return (
            *(("--init", f"--init-path={init}") if init else ()),
            f"--restart={'always' if spec.state_dir else 'no'}",
        )

    def _user(self, spec: ContainerSpec) -> Argv:
        """Rootless, the user keeps their number inside; their other groups only as they are."""
        if not self._state.rootless or spec.identity is None:
            return as_user(spec)
        plain = (word for word in as_user(spec) if not word.startswith("--group-add="))
        groups = ("--group-add=keep-groups",) if self._state.keeps_groups else ()
        return ("--userns=keep-id", *groups, *plain)

    def _gpus(self, spec: ContainerSpec) -> Argv:
        """By CDI: podman takes ``--gpus`` without a word, and gives none."""
        names = (spec.gpus or "").replace('"', "").removeprefix("device=").split(",")
        devices = tuple(f"--device={CDI}={name}" for name in names if name)
        return (f"--label={LABEL_GPUS}={spec.gpu_names}", *devices) if spec.gpus else ()
