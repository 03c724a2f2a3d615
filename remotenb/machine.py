"""A machine that we are logged in to, and its container engine: what is said to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remotenb.engines import container_engine
from remotenb.engines.complaints import understand
from remotenb.engines.docker import made_here, state_dir
from remotenb.errors import ContainerMissing, UsageError
from remotenb.reach import named
from remotenb.required import require_engine
from remotenb.spec import same_image
from remotenb.ssh.process import Process
from remotenb.ssh.remembered import Remembered
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.decision import ContainerSpec
    from remotenb.errors import FarSideError
    from remotenb.model import Container, Host, Image, Probe
    from remotenb.report import Reporter
    from remotenb.settings import Settings
    from remotenb.ssh.link import Link

ENGINE_TIMEOUT_S = 120.0
"""For what an engine does at once, on a slow disk."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One login, what is on that machine, and who is to be told."""

    host: Host
    settings: Settings
    link: Link
    probe: Probe
    report: Reporter
    remembered: Remembered = field(default_factory=Remembered)
    """What the login left, for one that follows without a person."""

    @property
    def engine(self) -> tuple[str, ...]:
        """Of the engine that new containers are made with; :class:`FarSideError` for none."""
        require_engine(self.probe)
        return self.probe.engine.argv

    @property
    def containers(self) -> tuple[Container, ...]:
        """All there are, other users' too; raises a :class:`FarSideError` without an engine."""
        require_engine(self.probe)
        return self.probe.containers

    @property
    def images(self) -> tuple[Image, ...]:
        """All that have a name; raises a :class:`FarSideError` without an engine."""
        require_engine(self.probe)
        return self.probe.images

    def asking(self, of: Container | Image | None) -> Machine:
        """The same machine, whose engine is the one that has ``of``; unchanged for None."""
        if of is None or of.engine.argv == self.probe.engine.argv:
            return self
        others = tuple(one for one in self.probe.engines if one.argv != of.engine.argv)
        return replace(self, probe=replace(self.probe, engine=of.engine, others=others))

    def run(
        self,
        *args: str,
        of: Container | Image | None = None,
        timeout: float = ENGINE_TIMEOUT_S,
    ) -> str:
        """Run an engine with ``args`` to its end, in ``timeout`` seconds; what it printed.

        It is the one that has ``of``, else the one that new containers are made with. Raises
        the :class:`FarSideError` that its words mean.
        """
        argv = of.engine.argv if of else self.engine
        done = self.link.script('"$@"', *argv, *args, timeout=timeout)
        if done.code != 0:
            raise self.complaint(done.err.decode("utf-8", "replace"), of)
        return done.out.decode("utf-8", "replace")

    def spawn(self, *argv: str) -> Process:
        """Begin a command over there, for what lasts; its stdin is empty."""
        return Process(self.link.pipe(argv, b""), self.host.name)

    def complaint(
        self, said: str, of: Container | ContainerSpec | Image | None = None
    ) -> FarSideError:
        """The error that the words of an engine mean; see :meth:`run`."""
        engine = of.engine if of else self.probe.engine
        return understand(said, user=self.probe.user, engine=engine.name or "docker")

    def container(self, name: str | None, *, others: bool = False) -> Container:
        """The container of that name, or the one that can only be meant.

        Raises :class:`ContainerMissing`, and :class:`UsageError` when it is another user's and
        ``others`` was not said, or when there are several and none was named.
        """
        name = name or self.settings.container
        if name:
            return self._named(name, others=others)
        mine = [one for one in self.containers if one.ownership == "mine"]
        running = [one for one in mine if one.running] or mine
        if len(running) == 1:
            return running[0]
        if not running:
            raise ContainerMissing(
                f"you have no container on {self.host.name}",
                hint=f"remotenb ps {self.host.name} --all",
            )
        names = ", ".join(one.name for one in running)
        raise UsageError(f"which container? You have {names}", hint="name one")

    def sizes(self, containers: Sequence[Container]) -> dict[str, int]:
        """Bytes that each wrote outside its volumes, by id."""
        rows: list[list[str]] = []
        for engine in {one.engine.argv: one for one in containers}.values():
            ids = [one.id for one in containers if one.engine.argv == engine.engine.argv]
            id_ = container_engine(engine.engine).id_field
            said = self.run(
                "inspect", "-s", "-f", f"{{{{{id_}}}}} {{{{.SizeRw}}}}", *ids, of=engine
            )
            rows += [line.split() for line in said.splitlines()]
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}  # noqa: PLR2004

    def image(self, name: str) -> Image | None:
        """The image of that name or id, in whichever engine; None for none that has a name."""
        return next((one for one in self.images if same_image(one, name)), None)

    def forget(self, container: Container) -> None:
        """Remove the state folder of a container of ours that was removed."""
        if made_here(container) and container.ownership == "mine":
            folder = state_dir(self.probe.home, container.name)
            self.link.script('rm -rf -- "$1" "$1.json"', folder, timeout=20)

    def _named(self, name: str, *, others: bool) -> Container:
        container = next((one for one in self.containers if named(one, name)), None)
        if container is None:
            there = ", ".join(one.name for one in self.containers) or "none"
            raise ContainerMissing(
                f"there is no container {one_line(name)}", hint=f"there are: {there}"
            )
        if container.ownership == "other" and not others:
            raise UsageError(
                f"container {container.name} is of {container.owner}: {container.evidence}",
                hint="--others, if you mean it",
            )
        return container
