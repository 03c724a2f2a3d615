"""A login with a key: the key that is there, or a new one that is put on the machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.errors import AuthenticationFailed, FarSideError, KeyUnusable
from remotenb.laptop.credentials import Credentials
from remotenb.ssh import newkey
from remotenb.ssh.link import open_link

if TYPE_CHECKING:
    from remotenb.laptop.credentials import Asker
    from remotenb.model import Host
    from remotenb.report import Reporter
    from remotenb.secret import Secret
    from remotenb.ssh.link import Link

logger = logging.getLogger(__name__)

SCRIPT_TIMEOUT_S = 30.0


class KnowsNoSecret:
    """A person who answers questions but types no secret: what logs in then is a key."""

    def __init__(self, person: Asker | None) -> None:
        self._person = person

    def agree(self, question: str) -> bool:
        """As the person says; nobody agrees to nothing."""
        return self._person is not None and self._person.agree(question)

    def secret(self, prompt: str) -> Secret | None:  # noqa: ARG002  Asker's signature
        """Nothing."""
        return None

    def answer(self, prompt: str, *, echo: bool) -> str:  # noqa: ARG002  Asker's signature
        """Nothing."""
        return ""

    def tell(self, text: str) -> None:
        """Said when a person may answer."""


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in to ``host``."""

    host: Host
    report: Reporter
    person: Asker | None
    placed: Path | None = None
    """The key that was put there."""

    def open(self) -> Link:
        """As a person can; raises a :class:`LinkError`."""
        return self._open(self.person)

    def by_key(self) -> Link | None:
        """With a key that needs no passphrase typed; None if none is accepted."""
        try:
            return self._open(KnowsNoSecret(self.person))
        except (AuthenticationFailed, KeyUnusable) as error:
            logger.info("no key logs in: %s", error.message)
            return None

    def _open(self, person: Asker | KnowsNoSecret | None) -> Link:
        with self.report.step(f"connecting to {self.host.login}"):
            return open_link(self.host, credentials=Credentials(person, self.report.warning))

    @property
    def key(self) -> Path:
        """The key to put there: the first that this laptop has, or where a new one goes."""
        named = [one for one in self.host.identity_files if one.is_file()]
        return named[0] if named else Path("~/.ssh/id_ed25519").expanduser()

    def put(self, file: Path, passphrase: Secret | None) -> Login:
        """Let ``file`` log in, made first if it is not there; the login that it gives."""
        public = file.with_name(f"{file.name}.pub")
        if not file.exists():
            line = newkey.make(file, passphrase)
        elif public.is_file():
            line = public.read_text(encoding="utf-8")
        else:
            raise KeyUnusable(
                f"{public} is not there", hint=f"ssh-keygen -y -f {file} > {public} makes it"
            )
        with self.open() as link:
            done = link.script(
                far.source("authorize.sh"), timeout=SCRIPT_TIMEOUT_S, KEY=line.strip()
            )
            if done.code != 0:
                raise FarSideError(
                    f"{self.host.name} did not take the key",
                    hint="is the home there yours to write?",
                    detail=done.err.decode("utf-8", "replace"),
                )
        return replace(self, host=replace(self.host, identity_files=(file,)), placed=file)
