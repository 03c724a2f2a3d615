"""Packages to install, made in a moment."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    *,
    requires: str = "",
    tag: str = "py3-none-any",
    script: str = "",
    command: str = "jupyter",
) -> None:
    """A package that has its own tag in it, or a ``script`` whose ``main`` is that command."""
    version = "4.0" if script else "1.0"
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    texts = {
        f"{name}.py": script or f"me = {tag!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if script:
        texts[f"{info}/entry_points.txt"] = f"[console_scripts]\n{command} = {name}:main\n"
    texts[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in texts)
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as file:
        for path, text in texts.items():
            file.writestr(path, text)
