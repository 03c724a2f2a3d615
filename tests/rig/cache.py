"""Where the rig keeps what outlives a run, and the locks around it."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from .failures import RigError, until

_SLOTS: Final = 12
SCRIPTS: Final = Path(__file__).parent / "scripts"


def directory(name: str) -> Path:
    """Return a directory of the cache, made if need be."""
    root = Path(os.environ.get("REMOTENB_RIG_CACHE", "/var/cache/remotenb-rig"))
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def recipe(*parts: str) -> str:
    """Name a thing by everything that goes into it, so that an edited recipe is another thing."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def slot(name: str, *, seconds: float) -> Iterator[Path]:
    """Hold the first of a few directories of this name that nobody else holds."""
    names = [name, *(f"{name}-{number}" for number in range(1, _SLOTS))]
    with ExitStack() as held:
        for one in names:
            try:
                held.enter_context(lock(one, seconds=0))
            except RigError:
                continue
            break
        else:
            one = name
            held.enter_context(lock(one, seconds=seconds))
        yield directory(one)


@contextmanager
def lock(name: str, *, seconds: float) -> Iterator[None]:
    """Hold a lock of the cache; the kernel drops it if this process dies."""
    path = directory(".") / f"{name}.lock"
    with path.open("a") as file:
        try:
            until(lambda: _taken(file), f"lock {path}", seconds=seconds)
        except RigError as error:
            holder = path.read_text() or "another process"
            message = f"{holder} holds {path}: gave up after {seconds:g} s"
            raise RigError(message) from error
        path.write_text(f"pid {os.getpid()}")
        yield


def _taken(file: IO[str]) -> bool:
    if sys.platform == "linux":  # every system can import the rig, and ask what it lacks
        import fcntl  # noqa: PLC0415

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
