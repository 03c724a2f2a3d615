"""Small files in the user's state folder. Never a secret: what is lost with them is asked again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from remotenb.laptop import private

READERS_TIMEOUT_S = 2.0
"""Windows replaces no file that somebody just reads."""
READERS_EVERY_S = 0.02


def folder(name: str) -> Path:
    """A folder of this user alone; made if need be."""
    path = _place(name)
    private.make_folder(path)
    return path


def file_for(name: str, subject: str) -> Path:
    """The file of folder ``name`` that is about ``subject``, whatever characters are in it."""
    return _place(name) / f"{hashlib.sha256(subject.encode()).hexdigest()[:16]}.json"


def all_of(name: str) -> list[Path]:
    """The files of folder ``name``; none where there is no such folder."""
    return sorted(_place(name).glob("*.json"))


def _place(name: str) -> Path:
    import platformdirs  # noqa: PLC0415  20 ms, which only a connection needs to pay

    return platformdirs.user_state_path("remotenb", appauthor=False) / name


def write(path: Path, facts: object) -> None:
    """Keep ``facts``; whole or not at all."""
    folder(path.parent.name)
    draft = path.with_suffix(f".{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as stream:
        json.dump(facts, stream)
    deadline = time.monotonic() + READERS_TIMEOUT_S
    while not _replaced(draft, path, patient=time.monotonic() < deadline):
        time.sleep(READERS_EVERY_S)


def _replaced(draft: Path, path: Path, *, patient: bool) -> bool:
    try:
        draft.replace(path)
    except PermissionError:
        if os.name == "nt" and patient:
            return False
        draft.unlink()
        raise
    return True


def read(path: Path) -> dict[str, object]:
    """What was kept; nothing where it is not there, or not as it was written."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
