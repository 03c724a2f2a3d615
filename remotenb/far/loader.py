"""What runs first over there: it makes the modules that were shipped importable. Python 3.6."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Dict

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers


class Shipped:
    """Finds modules in a dict of their texts, and compiles each when it is imported."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        """For the import system; an empty text is a package."""
        if name not in self._sources:
            return None
        package = not self._sources[name]
        return importlib.util.spec_from_loader(name, self, is_package=package)  # type: ignore[arg-type]

    def create_module(self, _spec: Any) -> None:
        """For the import system: a plain module."""

    def exec_module(self, module: ModuleType) -> None:
        """For the import system: run the text."""
        name = module.__name__
        exec(compile(self._sources[name], name, "exec"), module.__dict__)  # noqa: S102  our own


def run(sources: Dict[str, str], module: str, shipped: bytes, wish: str) -> None:
    """Make ``sources`` importable, and run ``main`` of one of them."""
    sys.meta_path.insert(0, Shipped(sources))
    sys.exit(importlib.import_module(module).main(shipped, wish))
