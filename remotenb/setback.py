"""Why a launch did not come off, read from what it left behind. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.engines.complaints import understand
from remotenb.errors import (
    DiskFull,
    JupyterFailed,
    JupyterMissing,
    JupyterNotReady,
    MountMissing,
    ScriptFailed,
)
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    from remotenb.errors import RemotenbError

LOG_LINES = 30


def why_not_started(said: bytes, *, user: str) -> RemotenbError:
    """From what ``start_container.sh`` wrote to stderr."""
    text = said.decode("utf-8", "replace")
    _, not_made, folder = text.partition("remotenb: cannot make ")
    if not_made:
        return MountMissing(
            f"the folder {one_line(folder)} is not there and cannot be made",
            hint="make it on the server, or leave that volume out",
        )
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return DiskFull(
            f"no space left on that machine: {one_line(text)}", hint="make room in your home there"
        )
    return understand(text, user=user)


def why_no_server(
    facts: list[tuple[str, str]], err: bytes, place: str, timeout: float
) -> RemotenbError:
    """From the records of ``start_server.sh`` and its stderr; ``timeout`` in seconds."""
    for record, content in facts:
        if record.startswith(("@ended", "@silent")):
            log = tail(content, LOG_LINES)
            if "@missing" in content:
                return JupyterMissing(
                    f"there is no Jupyter in {place}", hint="pip install jupyterlab there"
                )
            if record == "@silent":
                return JupyterNotReady(
                    f"Jupyter did not get ready in {timeout:g} s in {place}",
                    hint="a slow machine needs a longer start_timeout",
                    detail=log,
                )
            return JupyterFailed(
                f"Jupyter ended before it was ready in {place}",
                hint="the end of its log tells why",
                detail=log,
            )
    said = one_line(err)
    if "No space left on device" in said:
        return DiskFull(f"no space left in {place}: {said}", hint="make room there")
    return ScriptFailed(f"Jupyter could not be started in {place}: {said}", hint="-v tells more")
