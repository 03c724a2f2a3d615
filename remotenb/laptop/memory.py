"""Memory that was given back goes to the system: a session carries gigabytes, for weeks.

glibc keeps a heap for each thread, and lets blocks of up to 32 MiB into them once one so large
was freed: what a session needs hardly grows, and the holes between do.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""The names in malloc.h."""

LARGE_BYTES = 1 << 20
"""A block from here on is the system's own, and goes back to it whole."""


def settle() -> bool:
    """One heap, large blocks outside of it; False where the C library is not glibc."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, LARGE_BYTES), (_TRIM_THRESHOLD, LARGE_BYTES))
    return all(mallopt(name, value) for name, value in wishes)
