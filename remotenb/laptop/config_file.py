"""The config file, written: a host is added to it, and what is there stays as it is."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit

from remotenb.errors import ConfigError
from remotenb.settings import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

NEW = "# remotenb's config: docs/reference/config.md\n"


def with_host(text: str, name: str, members: Mapping[str, object], *, source: str) -> str:
    """``text`` with ``members`` in ``[hosts.<name>]``; comments, order and other keys stay.

    Raises :class:`ConfigError` when the text is not TOML, or when what comes of it is no config.
    """
    parse(text, source=source)
    document = tomlkit.parse(text or NEW)
    hosts = document.setdefault("hosts", tomlkit.table(is_super_table=True))
    table = hosts.setdefault(name, tomlkit.table())
    for key, value in members.items():
        table[key] = value
    written = tomlkit.dumps(document)
    parse(written, source=source)
    return written


def write(file: Path, text: str) -> None:
    """Put ``text`` in the place of ``file``, all or nothing, for its owner alone.

    Raises :class:`ConfigError`.
    """
    target = file.resolve()  # a link to somebody's dotfiles stays a link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".config-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        hint = "is its folder yours to write?"
        raise ConfigError(f"cannot write {file}: {error.strerror}", hint=hint) from None
