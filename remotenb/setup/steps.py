"""The steps from an account on a machine to a box that is ready. Each may be run again.

A step looks first: what is there already is left as it is. What it would do is shown and asked
about before it is done; with ``dry_run`` it is only shown.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.errors import FarSideError, KeyUnusable
from remotenb.images.reference import among
from remotenb.probe import probe
from remotenb.setup import commands
from remotenb.setup.key import SCRIPT_TIMEOUT_S, Login
from remotenb.setup.outcome import Outcome
from remotenb.setup.root import Root
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remotenb.find import People
    from remotenb.model import Probe
    from remotenb.secret import Secret
    from remotenb.setup.commands import Lines, System
    from remotenb.ssh.link import Link

SKIPPED = "as you wished"


@dataclass(slots=True)
class Walk:
    """One walk through the steps; ``login`` and ``image`` are what came of it."""

    login: Login
    people: People | None
    show: Callable[[str], None]
    """Shows a person what is going to be done."""
    image: str | None = None
    """Wanted, then chosen."""
    yes: bool = False
    dry_run: bool = False
    skip: frozenset[str] = frozenset()
    _password: Secret | None = field(default=None, init=False)
    """Sudo's, until the walk ends."""
    _links: ExitStack = field(default_factory=ExitStack, init=False)

    def outcomes(self) -> Iterator[Outcome]:
        """Each step's, as soon as it is known; raises a :class:`RemotenbError` without a login."""
        with self._links:
            link, outcome = self._key()
            yield outcome
            system, seen = self._system(link), self._look(link)
            for step in (self._docker, self._permission):
                outcome = step(link, system, seen)
                yield outcome
                if outcome.state in {"failed", "would", "skipped"}:  # nothing after it can be seen
                    return
                if outcome.state == "done":  # a login has the groups of its beginning
                    link = self._links.enter_context(self.login.open())
                    seen = self._look(link)
            yield self._toolkit(link, system, seen)
            yield self._image(seen)

    def _look(self, link: Link) -> Probe:
        return probe(link, engine="auto", enter=False, sudo_password=False)

    def _key(self) -> tuple[Link, Outcome]:
        login = self.login
        if "key" not in self.skip and (link := login.by_key()):
            self._links.enter_context(link)
            return link, Outcome("key", "there", f"{login.host.login} logs in with a key")
        file, outcome = login.key, Outcome("key", "skipped", SKIPPED)
        verb, where = ("put", "on") if file.exists() else ("make", "for")
        doing = f"{verb} the key {file} {where} {login.host.login}"
        if self.dry_run:
            outcome = Outcome("key", "would", doing)
        elif "key" not in self.skip and self._agreed(f"No key logs in yet: {doing}"):
            self.login = login.put(file, self._passphrase(file))
            outcome = Outcome("key", "done", f"{file} logs in to {login.host.login}")
        return self._links.enter_context(self.login.open()), outcome

    def _passphrase(self, file: Path) -> Secret | None:
        if self.people is None or self.yes or file.exists():
            return None
        passphrase = self.people.secret(f"Passphrase for {file} (empty for none): ")
        if passphrase and self.people.secret("The same again: ") != passphrase:
            raise KeyUnusable("the two passphrases are not the same", hint="once more")
        return passphrase

    def _system(self, link: Link) -> System:
        with self.login.report.step(f"looking around on {link.host.name}"):
            done = link.script(
                far.source("system.sh"),
                timeout=SCRIPT_TIMEOUT_S,
                DOCKER=commands.DOCKER,
                NVIDIA=commands.NVIDIA,
            )
        return commands.parse(done.out.decode("utf-8", "replace"))

    def _docker(self, link: Link, system: System, seen: Probe) -> Outcome:
        if seen.engine.name:
            said = f"{' '.join(seen.engine.argv)} {seen.engine.version or ''}".strip()
            return Outcome("docker", "there", said)
        if dict(seen.engine.refusals).get("docker", "not found") != "not found":
            return Outcome("docker", "there", "installed")
        without = commands.carried(commands.OFFLINE_DOCKER)
        return self._run("docker", link, system, commands.install_docker(system), without)

    def _permission(self, link: Link, system: System, seen: Probe) -> Outcome:
        if seen.engine.name:
            said = f"{seen.user} may use {' '.join(seen.engine.argv)}"
            return Outcome("permission", "there", said)
        refusal = dict(seen.engine.refusals).get("docker", "")
        if "permission denied" not in refusal.lower():
            said = one_line(refusal) or "docker does not answer"
            return Outcome("permission", "failed", said, f"remotenb doctor {link.host.name}")
        self.show("Who may use docker is root on that machine.")
        return self._run("permission", link, system, commands.permit(seen.user), "")

    def _toolkit(self, link: Link, system: System, seen: Probe) -> Outcome:
        if not seen.gpus:
            return Outcome("toolkit", "there", "not needed: there are no GPUs")
        if seen.gpu_toolkit or seen.engine.name != "docker":
            return Outcome("toolkit", "there", "NVIDIA Container Toolkit")
        running = sum(one.running for one in seen.containers)
        if running:
            self.show(f"docker is restarted at its end: {running} running containers end.")
        without = commands.carried(commands.OFFLINE_TOOLKIT)
        return self._run("toolkit", link, system, commands.install_toolkit(system), without)

    def _image(self, seen: Probe) -> Outcome:
        there = {one.ref for one in seen.images}
        if "image" in self.skip:
            return Outcome("image", "skipped", SKIPPED)
        if self.image and (name := among(self.image, there)) in there:
            self.image = name
            return Outcome("image", "there", name)
        if self.image or not there:
            name, wanted = self.login.host.name, self.image or "pytorch:25.10"
            cure = f"remotenb pull {name} {wanted}; without internet, remotenb push {name} {wanted}"
            said = f"{self.image} is not there" if self.image else "there is none"
            return Outcome("image", "failed", said, cure)
        if self.people and not self.yes and not self.dry_run:
            self.image = self.people.choose_image("Which image for new containers?", seen.images)
        if self.image:
            return Outcome("image", "done", self.image)
        return Outcome("image", "skipped", f"{len(there)} are there; connect asks which")

    def _run(self, step: str, link: Link, system: System, lines: Lines, without: str) -> Outcome:
        """Show ``lines``, ask, and run them as root."""
        if step in self.skip:
            return Outcome(step, "skipped", SKIPPED)
        if not lines:
            unknown = f"remotenb knows Debian and Ubuntu, not {system.id or 'this system'}"
            cure = without if system.known else unknown
            return Outcome(step, "failed", "it cannot be installed from here", cure)
        for line in lines:
            self.show(f"    {commands.shown(system, line)}")
        if self.dry_run:
            return Outcome(step, "would", f"{len(lines)} commands")
        if not self._agreed(f"Run this on {link.host.name}"):
            return Outcome(step, "skipped", "an administrator can run those lines")
        try:
            root = Root(link, system, self.people, self._password)
            root.run(lines, self.login.report)
            self._password = root.password
        except FarSideError as error:
            for line in error.detail.splitlines():
                self.show(f"  | {line}")
            return Outcome(step, "failed", error.message, error.hint)
        return Outcome(step, "done", f"{len(lines)} commands")

    def _agreed(self, question: str) -> bool:
        return self.yes or (self.people is not None and self.people.agree(f"{question} (yes/no)? "))
