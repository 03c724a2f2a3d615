"""Names of images: what docker takes for one, and NVIDIA's frameworks by their short names.

The grammar is docker's own (github.com/distribution/reference), and so is what stands for the
parts that are left out::

    busybox              docker.io/library/busybox:latest
    someone/tool:2       docker.io/someone/tool:2
    nvcr.io/a/b@sha256:… that image of registry nvcr.io, whatever its tags are now
    pytorch:25.10        nvcr.io/nvidia/pytorch:25.10-py3       ours alone, see FRAMEWORKS
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remotenb.errors import UsageError
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection

DOCKER_HUB = "docker.io"
NGC = "nvcr.io"
PARTIAL = "remotenb/partial"
"""The name of images that only hold layers until the whole image of a push is there."""

FRAMEWORKS = {
    "jax": "-py3",
    "mxnet": "-py3",
    "paddlepaddle": "-py3",
    "pytorch": "-py3",
    "tensorflow": "-tf2-py3",
    "tritonserver": "-py3",
}
"""NVIDIA's images that have a short name here, and how their tags end after the release."""

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_WORD}(?:/{_WORD})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_ID = re.compile(r"[a-f0-9]{64}")
_RELEASE = re.compile(r"[0-9]{2}\.[0-9]{2}")
_NAME_LIMIT = 255


_PARTIAL = re.compile(rf"(?:docker\.io/|localhost/)?{PARTIAL}(?::.*)?")


def is_partial(ref: str) -> bool:
    """Whether an image of this name only holds layers, and is for nothing."""
    return _PARTIAL.fullmatch(ref) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's whole name; without a tag and a digest it is a repository's."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, as ``nvcr.io/nvidia/pytorch``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """As docker shows it: without what it would add by itself."""
        short = self.repository.removeprefix("library/")
        understood = _split(short) == (DOCKER_HUB, self.repository)
        return f"{short if understood and self.registry == DOCKER_HUB else self.name}{self._rest}"

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def _rest(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag

    def __str__(self) -> str:
        return f"{self.name}{self._rest}"


def parse(text: str) -> Reference:
    """The image that docker takes ``text`` for; raises :class:`UsageError` where it refuses.

    >>> str(parse("busybox"))
    'docker.io/library/busybox:latest'
    """
    rest, _, digest = text.partition("@")
    domain, path = _split(rest)
    path, _, tag = path.partition(":")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise _refused(text, "a digest is sha256: and 64 digits or a to f")
    if path.lower() != path:
        raise _refused(text, "write the image's name in small letters")
    if not _NAME.fullmatch(path) or not re.fullmatch(_HOST, domain):
        raise _refused(text, "a name is like nvcr.io/nvidia/pytorch:25.10-py3, or pytorch:25.10")
    if ":" in rest.rpartition("/")[2] and not _TAG.fullmatch(tag):
        raise _refused(text, "a tag has letters, digits, '_', '.' and '-', at most 128")
    if _ID.fullmatch(text):
        raise _refused(text, "that looks like an image's id; name it by repository and tag")
    if len(f"{domain}/{path}") > _NAME_LIMIT:
        raise _refused(text, f"a name has at most {_NAME_LIMIT} characters")
    return Reference(domain, path, tag or ("" if digest else "latest"), digest)


def wanted(text: str) -> Reference:
    """The image that a person means by ``text``: as :func:`parse`, and NVIDIA's short names.

    >>> str(wanted("pytorch:25.10"))
    'nvcr.io/nvidia/pytorch:25.10-py3'
    """
    framework, colon, tag = text.partition(":")
    if framework not in FRAMEWORKS or "@" in text:
        return parse(text)
    if not colon:
        hint = f"say which: {framework}:25.10 is NVIDIA's release of October 2025"
        raise UsageError(f"{framework} has no version that is meant by itself", hint=hint)
    end = FRAMEWORKS[framework] if _RELEASE.fullmatch(tag) else ""
    return parse(f"{NGC}/nvidia/{text}{end}")


def among(text: str, there: Collection[str]) -> str:
    """What ``text`` is called among the images that are there, if it is a short name of one."""
    if text in there:
        return text
    try:
        name = wanted(text).familiar
    except UsageError:
        return text
    return name if name in there else text


def release_tag(reference: Reference) -> Reference | None:
    """The tag that NVIDIA's image has, if it was named by its release alone."""
    framework = reference.repository.removeprefix("nvidia/")
    if reference.registry != NGC or not _RELEASE.fullmatch(reference.tag):
        return None
    end = FRAMEWORKS.get(framework)
    return replace(reference, tag=reference.tag + end) if end else None


def _split(text: str) -> tuple[str, str]:
    """Registry and path: the first part is a registry only if it cannot be anything else."""
    first, slash, path = text.partition("/")
    is_host = "." in first or ":" in first or first == "localhost"
    domain, path = (first, path) if slash and is_host else (DOCKER_HUB, text)
    if domain == "index.docker.io":
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _refused(text: str, hint: str) -> UsageError:
    return UsageError(f"no image can be called {one_line(text, 100)!r}", hint=hint)
