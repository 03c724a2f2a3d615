"""What is kept for the laptop beyond what memory should hold: a file without a name. Python 3.6."""

import os
import sys
import tempfile
from typing import IO, List, Optional

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

FREE_SHARE = 10
"""Never more than one part in so many of the free disk."""


class Budget:
    """What all spools of a relay may hold together."""

    def __init__(self, limit: int, folders: List[str]) -> None:
        self.limit = limit
        self.used = 0
        self.folders = folders

    def allows(self, count: int, folder: str) -> bool:
        """Whether so many bytes more may go to that disk."""
        try:
            disk = os.statvfs(folder)
        except OSError:
            return False
        free = disk.f_bavail * disk.f_frsize
        return self.used + count <= min(self.limit, (free + self.used) // FREE_SHARE)


class Spool:
    """First in, first out, on disk: 0600 and unlinked, so that it goes with its process."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._file: "Optional[IO[bytes]]" = None
        self._folder = ""
        self._head = self._tail = 0

    def __len__(self) -> int:
        return self._tail - self._head

    def put(self, data: bytes) -> bool:
        """Keep ``data``; False when it may not, or cannot, and then nothing of it is kept."""
        if self._file is None and not self._open():
            return False
        if self._file is None or not self._budget.allows(len(data), self._folder):
            return False
        try:
            self._file.seek(self._tail)
            if self._file.write(data) != len(data):
                return False
        except OSError:
            return False
        self._tail += len(data)
        self._budget.used += len(data)
        return True

    def get(self, count: int) -> bytes:
        """The oldest bytes, at most ``count``."""
        if self._file is None or not len(self):
            return b""
        self._file.seek(self._head)
        data = self._file.read(min(count, len(self)))
        self._head += len(data)
        if not len(self):
            self.close()
        return data

    def close(self) -> None:
        """Let it go, with all that is in it."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._budget.used -= self._tail
        self._head = self._tail = 0

    def _open(self) -> bool:
        for folder in self._budget.folders:
            try:
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  it stays
            except OSError:
                continue
            self._folder = folder
            return True
        return False
