"""Why a launch did not come off, read from what it left behind. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.engines.complaints import understand
from remotenb.errors import (
    DiskFull,
    GpuTaken,
    JupyterFailed,
    JupyterMissing,
    JupyterNotReady,
    MountMissing,
    ScriptFailed,
)
from remotenb.text import one_line, tail

if TYPE_CHECKING:
    from collections.abc import Collection

    from remotenb.decision import ContainerSpec
    from remotenb.errors import RemotenbError

LOG_LINES = 30


def why_not_started(said: bytes, *, user: str, engine: str = "docker") -> RemotenbError:
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
    return understand(text, user=user, engine=engine)


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


def who_was_faster(
    facts: list[tuple[str, str]], spec: ContainerSpec, known: Collection[str]
) -> GpuTaken | None:
    """Whether GPUs that were idle were given to a container that was made just before.

    From the records of ``start_container.sh``; ``known`` are the ids of containers that were
    there when the GPUs were chosen. Of two that see each other the later one gives way.
    """
    rows = [record.split(" ") for record, _ in facts if record.startswith("@holder ")]
    holders = [(_moment(row[1]), row[2], row[3]) for row in rows if len(row) == 4]  # noqa: PLR2004
    own = next((record[4:] for record, _ in facts if record.startswith("@id ")), "")
    since = next((moment for moment, holder, _ in holders if holder == own), None)
    wanted = set((spec.gpu_names or "").split(","))
    for moment, holder, names in holders:
        earlier = since is not None and (moment, holder) < (since, own)
        if earlier and holder not in known and wanted & set(names.split(",")):
            return GpuTaken(
                f"GPU {spec.gpu_names} was given to another container in the same moment",
                hint="the same command again chooses anew",
            )
    return None


def _moment(created: str) -> tuple[str, str]:
    """Sorts docker's times, whose fractions end where the zeros begin."""
    second, _, fraction = created.rstrip("Z").partition(".")
    return second, fraction.ljust(9, "0")
