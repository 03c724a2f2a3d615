"""Which laptop this is: a number of its own, so that the far side knows it when it comes back."""

from __future__ import annotations

import logging
import os
import secrets

logger = logging.getLogger(__name__)

BYTES = 16


def laptop_id() -> bytes:
    """The same 16 bytes each time, for this user on this machine; others where none can be kept.

    It is no secret. Without it a dropped session is still carried on by its own process; only
    one that was killed leaves its connections to the relay's patience.
    """
    import platformdirs  # noqa: PLC0415  20 ms, which only a connection needs to pay

    path = platformdirs.user_state_path("remotenb") / "laptop"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            known = file.read(BYTES)
            if len(known) < BYTES:
                known = secrets.token_bytes(BYTES)
                file.seek(0)
                file.write(known)
    except OSError as error:
        logger.info("this laptop's number cannot be kept: %s", error)
        return secrets.token_bytes(BYTES)
    return known
