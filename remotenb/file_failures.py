"""What stands in the way of a copy, on either end, said to a person."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from remotenb import errors
from remotenb.far.copy_frames import trouble
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.errors import RemotenbError
    from remotenb.files import Place

NO_SUCH_COMMAND = frozenset({2, 126, 127})
"""What sh, the engine and an old Python say where there is no Python 3."""


@contextmanager
def here(path: str) -> Iterator[None]:
    """What the laptop's own files do not let us do."""
    try:
        yield
    except OSError as error:
        facts = trouble(error)
        number, place = facts["number"], one_line(facts["place"] or path)
        hint = _ADVICE.get(number, "check the path")
        if number in _FULL:
            hint = "make room there; what was copied whole stays, the rest goes on from there"
        raise errors.LaptopRefused(
            f"{place} on this laptop: {one_line(facts['words']).lower()}", hint=hint
        ) from None


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.ENOENT: "check the path",
    errno.EROFS: "it is read-only there: choose another folder",
    errno.EACCES: "may this account read and write there?",
    errno.EPERM: "may this account read and write there?",
}


def over_there(facts: dict[str, Any], place: Place) -> RemotenbError:
    """The other end's trouble; its text is not believed to be fit for a terminal."""
    number, words = facts.get("number"), one_line(str(facts.get("words"))).lower()
    path = one_line(str(facts.get("place"))) or place.path
    host = place.machine.host.name
    if number in _FULL:
        return errors.DiskFull(
            f"no space left for {path} in {place.where}",
            hint="make room there, then the same command again: what is whole stays",
        )
    if number == errno.ENOENT:
        other = "paths of the machine itself: --on-host" if place.container else "check the path"
        return errors.FileMissing(f"there is no {path} in {place.where}", hint=other)
    hint = _ADVICE.get(number if isinstance(number, int) else 0, "check the path")
    if number in {errno.EACCES, errno.EPERM}:
        hint = f"if it is root's in a folder of yours: remotenb chown {host}"
    return errors.FileRefused(f"{path} in {place.where}: {words}", hint=hint)


def ended(place: Place, code: int, said: str) -> RemotenbError:
    """Why the other end said no more, while the link still stands."""
    if code in NO_SUCH_COMMAND:
        return errors.PythonMissing(
            f"there is no Python 3 in {place.where}, which is wanted over there",
            hint=_WITHOUT_PYTHON if place.container else "install python3 there",
        )
    if place.container and "Error response from daemon" in said:
        return place.machine.complaint(said)
    return errors.ScriptFailed(
        f"it ended over there: {one_line(said) or f'exit code {code}'}", hint="-v tells more"
    )


_WITHOUT_PYTHON = (
    "by pipe: remotenb exec HOST -- cat FILE > FILE; or a path of the machine itself: --on-host"
)
