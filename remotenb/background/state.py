"""The files of live sessions: who can be asked, and where. No token is in them."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remotenb.errors import LocalError
from remotenb.laptop import notes

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 180.0
LOCK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class SessionFile:
    """What is known of a live session."""

    host: str
    login: str
    """user@hostname[:port]: a host's name alone may mean another machine in another config."""
    container: str | None
    image: str | None
    local_port: int
    pid: int
    address: str
    """Of its control: a path, or ``port:secret`` where there are no unix sockets."""
    log: str

    @property
    def path(self) -> Path:
        """Where this is kept."""
        return folder() / f"{self.local_port}.json"


def folder() -> Path:
    """Of this user alone; made if need be."""
    return notes.folder("sessions")


def write(file: SessionFile) -> None:
    """Keep ``file``; whole or not at all."""
    notes.write(file.path, asdict(file))


def read_all() -> list[SessionFile]:
    """All that are kept, live or not; what cannot be read is removed."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            found.append(SessionFile(**json.loads(path.read_text(encoding="utf-8"))))
        except OSError:  # it is just gone; or, on Windows, just being replaced
            continue
        except (TypeError, ValueError):
            logger.info("not the file of a session: %s", path)
            _remove(path)
    return found


def forget(file: SessionFile) -> None:
    """It is over: its file goes, and its socket."""
    _remove(file.path)
    if "/" in file.address:
        _remove(Path(file.address))


def _remove(path: Path) -> None:
    """Whoever looks next finds it again, where Windows says that somebody just reads it."""
    with suppress(OSError):
        path.unlink()


def log_path(host: str) -> Path:
    """The log of a host's sessions."""
    name = "".join(c if c.isalnum() or c in "-._" else "_" for c in host)[:80]
    return folder() / f"{name}-{hashlib.sha256(host.encode()).hexdigest()[:6]}.log"


@contextmanager
def opening(login: str) -> Iterator[None]:
    """Only one process at a time opens a session to ``login``: a second one joins it then."""
    name = hashlib.sha256(login.encode()).hexdigest()[:16]
    with (folder() / f"{name}.lock").open("a+b") as file:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _locked(file.fileno()):
            if time.monotonic() > deadline:
                raise LocalError(
                    f"another remotenb has been connecting to {login} for {LOCK_TIMEOUT_S:g} s",
                    hint="end it, or wait for it",
                )
            time.sleep(LOCK_EVERY_S)
        yield


def _locked(fd: int) -> bool:
    """The lock goes with the file's end, however this process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
