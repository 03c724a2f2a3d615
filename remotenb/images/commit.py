"""An image of a container: its base and what was changed in it, and nothing that is private."""

from __future__ import annotations

import base64
import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remotenb import far
from remotenb.engines import layerless
from remotenb.errors import DiskFull, RemotenbError
from remotenb.laptop.clock import timestamp
from remotenb.spec import identity
from remotenb.text import plain
from remotenb.transfer.archive import unlike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.images.reference import Reference
    from remotenb.machine import Machine
    from remotenb.model import Container

LABEL_BASE = "remotenb.base"
LABEL_COMMITTED = "remotenb.committed"

_HOME = r"^(/root|/home/[^/]+)/"
_IN_HOME = (
    r"\.[a-z_]*history",
    r"\.(lesshst|viminfo|wget-hsts|netrc|git-credentials|pypirc)",
    r"\.(ssh|gnupg|aws|azure|docker|kube|kaggle|huggingface|pip|jupyter)",
    r"\.config/(gcloud|gh|git/credentials|pip|rclone|wandb)",
    r"\.cache/(pip|uv|huggingface/(token|stored_tokens))",
    r"\.ipython/profile_[^/]+/(history\.sqlite[^/]*|log|pid|security|startup/README)",
    r"\.local/share/(jupyter/(runtime|notebook_secret|nbsignatures\.db[^/]*)|keyrings)",
    r"\.local/share/fish/fish_history",
)
_ELSEWHERE = (
    r"^/(dev|proc|run|sys|tmp|var/run|var/tmp)",
    r"^/etc/(hosts|hostname|mtab|resolv\.conf)",
    r"^/(usr/)?sbin/docker-init",  # mounted there, by --init
)
PRIVATE = f"({_HOME}({'|'.join(_IN_HOME)})|{'|'.join(_ELSEWHERE)})(/|$)"
"""Paths that never go into an image: histories, keys, logins, pip's cache, what is of one run."""

LOOK_TIMEOUT_S = 120.0
"""For the list of a million changed files."""
SLOW_DISK = 20 << 20
FREEZE = 225 << 20
"""Bytes per second of a commit: at the worst, and as it was measured on a plain disk."""
ROOM = 3
"""How often what was changed is on the disk before the last of it is tidied away."""
MARGIN = 64 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """What was changed in one folder."""

    path: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a commit would take, and what not; sizes in bytes."""

    base: str
    size: int
    free: int | None
    folders: tuple[Folder, ...]
    """The largest first; none where the container does not run and cannot be asked."""
    deleted: int
    left_out: tuple[str, ...]
    mounts: tuple[str, ...]

    @property
    def pause(self) -> float:
        """Seconds for which a commit freezes what runs, about."""
        return self.size / FREEZE


def look(machine: Machine, container: Container) -> Changes:
    """What was changed in ``container`` since it was made of its image."""
    done = machine.link.script(
        far.source("changes.sh"),
        timeout=LOOK_TIMEOUT_S,
        ENGINE=shlex.join(container.engine.argv),
        ID=container.id,
        RUNS="yes" if container.running else "",
        PRIVATE=PRIVATE,
    )
    if done.code != 0:
        raise machine.complaint(done.err.decode("utf-8", "replace"))
    return parse(done.out.decode("utf-8", "replace"))


def parse(text: str) -> Changes:
    """The records of ``changes.sh``; what is none of them is left out."""
    rows = [plain(line).split("\t") for line in text.splitlines()]
    folders = [Folder(row[1], _number(row[2]), _number(row[3])) for row in _of("folder", rows, 4)]
    free = [_number(row[1]) for row in _of("free", rows, 2)]
    return Changes(
        base=next((row[1] for row in _of("base", rows, 2)), ""),
        size=sum(_number(row[1]) for row in _of("size", rows, 2)),
        free=free[0] if free else None,
        folders=tuple(sorted(folders, key=lambda one: -one.size)),
        deleted=sum(_number(row[1]) for row in _of("deleted", rows, 2)),
        left_out=tuple(sorted(row[1] for row in _of("behind", rows, 2))),
        mounts=tuple(sorted(row[1] for row in _of("mount", rows, 2))),
    )


def _of(kind: str, rows: list[list[str]], columns: int) -> Iterator[list[str]]:
    return (row for row in rows if row[0] == kind and len(row) == columns)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004  fits 64 bits


def check_room(changes: Changes, host: str) -> None:
    """Raise :class:`DiskFull` where a commit would fill the engine's disk."""
    needed = ROOM * changes.size + MARGIN
    if changes.free is not None and changes.free < needed:
        raise DiskFull(
            f"a commit needs {needed >> 20} MiB for a moment, and {changes.free >> 20} MiB are "
            f"free where {host} keeps its images",
            hint=f"make room: remotenb prune {host}, remotenb rmi {host} IMAGE",
        )


def busy_kernels(machine: Machine, container: Container) -> int | None:
    """How many kernels of the notebooks in it are busy; None if that is not to be learnt."""
    done = machine.link.script(
        """printf '%s' "$ASK" | $ENGINE exec -i "$1" \
            sh -c 'exec "$(command -v python3 || command -v python)" -'""",
        container.id,
        timeout=LOOK_TIMEOUT_S,
        ENGINE=shlex.join(container.engine.argv),
        ASK=far.source("kernels.py"),
    )
    try:
        seen = json.loads(done.out)
        return None if seen["silent"] else int(seen["busy"])
    except (KeyError, RecursionError, TypeError, ValueError):
        return None


def commit(
    machine: Machine, container: Container, changes: Changes, name: Reference, *, pause: bool
) -> str:
    """Make the image; its id. The container goes on, frozen for a while if ``pause``."""
    base = _inspected(machine, container, changes.base)
    labels = {LABEL_BASE: container.image, LABEL_COMMITTED: timestamp()}
    who = identity(machine.probe, machine.settings, container.engine)
    done = machine.link.script(
        far.source("commit.sh"),
        *_like(base["Config"], labels),
        timeout=LOOK_TIMEOUT_S + ROOM * changes.size / SLOW_DISK,
        ENGINE=shlex.join(container.engine.argv),
        ID=container.id,
        BASE=changes.base,
        PAUSE="true" if pause else "false",
        PRIVATE=PRIVATE,
        PASSWD=who.passwd if who else "",
        GROUP=who.group if who else "",
        EVERYONES=far.source("everyones.py"),
        REMAP="--userns=host" if container.engine.remaps else "",
        ROOT="--user=0:0" if base["Config"].get("User") else "",
    )
    if done.code != 0:
        raise machine.complaint(done.err.decode("utf-8", "replace"))
    made = plain(done.out).strip()
    try:
        return _named(machine, container, made, base, name, labels)
    except BaseException:
        with suppress(RemotenbError):
            machine.run("rmi", made, of=container)
        raise


def _named(  # noqa: PLR0913, PLR0917  what an image is made of
    machine: Machine,
    container: Container,
    made: str,
    base: dict[str, Any],
    name: Reference,
    labels: dict[str, str],
) -> str:
    """Give what was made the very configuration of its base, and its name."""
    about = _inspected(machine, container, made)
    exact = layerless.configuration(base, about, labels=labels, comment=container.image)
    done = machine.link.script(
        'printf %s "$ARCHIVE" | base64 -d | $ENGINE load >/dev/null && $ENGINE rmi "$1" >/dev/null',
        made,
        timeout=LOOK_TIMEOUT_S,
        ENGINE=shlex.join(container.engine.argv),
        ARCHIVE=base64.b64encode(layerless.archive(exact, name.familiar)).decode(),
    )
    if done.code == 0:
        return layerless.image_id(exact)
    machine.run("tag", made, name.familiar, of=container)
    if differs := unlike(about["Config"], base["Config"]):
        machine.report.warning(
            "unlike_base",
            f"that engine's store cannot take over the base's {' and '.join(differs)} exactly",
            f"{container.engine.name} inspect {name.familiar} shows what it has",
        )
    return made.removeprefix("sha256:")


def _inspected(machine: Machine, container: Container, image: str) -> dict[str, Any]:
    shown = json.loads(machine.run("image", "inspect", image, of=container))
    about: dict[str, Any] = shown[0]
    return about


def _like(base: dict[str, Any], labels: dict[str, str]) -> Iterator[str]:
    """What makes it start as its base, as far as an engine's own commit can."""
    for key in ("Entrypoint", "Cmd"):  # this order: an entry point resets the command
        yield f"--change={key.upper()} {json.dumps(base.get(key) or [])}"
    if base.get("User"):
        yield f"--change=USER {base['User']}"
    for key, value in labels.items():
        yield f"--change=LABEL {key}={json.dumps(value)}"
