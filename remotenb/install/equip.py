"""Jupyter for a container whose image has none: whether it may be installed, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.machine import Machine
from remotenb.reach import named
from remotenb.report import Quiet

if TYPE_CHECKING:
    from remotenb.errors import JupyterMissing
    from remotenb.find import People
    from remotenb.model import Container, Probe
    from remotenb.settings import Settings
    from remotenb.ssh.link import Link


def lacks_it(container: Container | None) -> bool:
    """Whether that container was looked into, and has no Jupyter."""
    return bool(container and container.scan and container.scan.jupyter is None)


def bare(missing: JupyterMissing, probe: Probe, settings: Settings) -> Container:
    """The container that was asked for; raises ``missing`` if it is the host that has none."""
    name = settings.container or ""
    container = next((one for one in probe.containers if name and named(one, name)), None)
    if container is None:
        raise missing
    return container


def agree(missing: JupyterMissing, settings: Settings, people: People | None) -> None:
    """Raise ``missing``, unless it may be installed: by the settings, or by a person."""
    if settings.install_jupyter:
        return
    if people is None or not people.agree(f"{missing.message}. Install it (yes/no)? "):
        raise missing


def install(link: Link, probe: Probe, settings: Settings, container: Container) -> None:
    """Bring JupyterLab into a container that runs; raises a :class:`RemotenbError`."""
    from remotenb.install import packages  # noqa: PLC0415  what connect needs only here
    from remotenb.install.lacking import parse  # noqa: PLC0415

    machine = Machine(link.host, settings, link, probe, Quiet())
    packages.install(machine, container, [parse("jupyterlab")], told=packages.Silent())
