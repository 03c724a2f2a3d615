"""What must be there before something is asked of a machine: an engine, an image. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotenb.engines.complaints import join_the_group
from remotenb.errors import (
    EngineDown,
    EngineMissing,
    EngineNotPermitted,
    ImageMissing,
    NoImage,
)
from remotenb.images.reference import among
from remotenb.spec import maker, same_image

if TYPE_CHECKING:
    from remotenb.model import Image, Probe
    from remotenb.spec import Wish


def require_engine(probe: Probe) -> None:
    """Raise the :class:`FarSideError` that tells why no engine answers."""
    if probe.engine.name is not None:
        return
    said = dict(probe.engine.refusals)
    docker, podman = said.get("docker"), said.get("podman")
    if docker and "permission denied" in docker.lower():
        raise EngineNotPermitted(
            f"{probe.user} may not use docker there", hint=join_the_group(probe.user)
        )
    if not absent(docker):
        raise EngineDown(
            f"docker does not answer: {docker}",
            hint="start it on the server: sudo systemctl start docker",
        )
    if not absent(podman):
        raise EngineDown(
            f"podman does not work there: {podman}", hint="podman info, on the server, tells more"
        )
    asked = " or ".join(one for one in ("docker", "podman") if one in said) or "docker or podman"
    raise EngineMissing(
        f"there is no {asked} on that machine",
        hint="install Docker Engine or podman there, or use a Jupyter of the host: --engine host",
    )


def absent(refusal: str | None) -> bool:
    """Whether an engine that refused so is not installed; None: it was not asked."""
    return refusal is None or "not found" in refusal.lower()


def require_image(probe: Probe, image: str | None) -> str:
    """The id of ``image``; raises :class:`NoImage` and :class:`ImageMissing`."""
    if image is None:
        raise NoImage(
            "nothing runs there, and no image is named to start from",
            hint="name one with --image: " + (_list(probe.images) or "there is no image at all"),
        )
    engine = maker(probe, image)
    having = [one for one in probe.images if same_image(one, image)]
    found = next((one for one in having if one.engine.argv == engine.argv), None)
    if found is None and having:
        other = having[0].engine.name
        raise ImageMissing(
            f"{engine.name} has no image {image} there, but {other} has",
            hint=f"take it from there: --engine {other}",
        )
    if found is None:
        raise ImageMissing(
            f"the image {image} is not on that machine",
            hint=f"remotenb pull HOST {image} fetches it"
            + (f"; there are: {_list(probe.images)}" if probe.images else ""),
        )
    return found.id


def image_id(probe: Probe, image: str | None) -> str | None:
    """The id of ``image`` in the best engine that has it; None for an image that is not there."""
    return next((one.id for one in probe.images if same_image(one, image)), None)


def named_in_full(probe: Probe, wish: Wish) -> Wish:
    """The same wish; an image that goes by a short name gets the one that it has there."""
    image = wish.settings.image
    if image is None or image_id(probe, image) is not None:
        return wish
    return wish.with_image(among(image, {one.ref for one in probe.images}))


def _list(images: tuple[Image, ...]) -> str:
    return ", ".join(image.ref for image in images[:12])
