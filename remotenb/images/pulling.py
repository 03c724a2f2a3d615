"""How far a pull is, from what the engine tells of each layer. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remotenb.registry.manifests import Descriptor

LAYERS_LIMIT = 1000
COUNT_LIMIT = 1 << 50
ID_LENGTH = 12
"""Of a layer's digest, as the engine's lines name it."""

_FETCHED = frozenset({"Verifying Checksum", "Download complete", "Extracting", "Pull complete"})


@dataclass(slots=True)
class Pulling:
    """One pull: bytes fetched, bytes to fetch as far as they are known, layers unpacked."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Of each layer that is to be fetched, by its short id."""
    fetched: dict[str, int] = field(default_factory=dict)
    extracted: dict[str, int] = field(default_factory=dict)
    """Bytes of the layer that is being unpacked."""
    layers: set[str] = field(default_factory=set)
    unpacked: set[str] = field(default_factory=set)
    digest: str = ""
    status: str = ""
    error: str = ""

    @classmethod
    def of(cls, layers: Iterable[Descriptor]) -> Pulling:
        """A pull whose layers a registry has told already."""
        return cls({short_id(layer.digest): layer.size for layer in layers})

    @property
    def done(self) -> int:
        """Bytes fetched so far."""
        return sum(self.fetched.values())

    @property
    def total(self) -> int:
        """Bytes to fetch, as far as it is known."""
        return sum(self.sizes.values())

    @property
    def stage(self) -> str:
        """What is to be said beside the bytes: they are there, but it goes on."""
        if not self.fetched or self.done < self.total or self.unpacked >= self.layers:
            return ""
        whole = sum(size for id_, size in self.sizes.items() if id_ in self.unpacked)
        parts = sum(n for id_, n in self.extracted.items() if id_ not in self.unpacked)
        return f", unpacking {100 * min(whole + parts, self.total) // self.total} %"

    @property
    def up_to_date(self) -> bool:
        """Whether all of it was there before."""
        return "up to date" in self.status

    def hear(self, line: str) -> None:
        """Take one line of the engine's answer; what is no JSON object is left aside."""
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(told, dict):
            return
        status = str(told.get("status", ""))
        if told.get("error") or told.get("message"):
            self.error = str(told.get("error") or told.get("message"))
        elif told.get("id") and not status.startswith("Pulling from"):
            self._layer(one_line(str(told["id"]), 64), status, told.get("progressDetail"))
        elif status.startswith("Digest: "):
            self.digest = one_line(status.removeprefix("Digest: "), 80)
        elif status.startswith("Status: "):
            self.status = one_line(status.removeprefix("Status: "))

    def _layer(self, id_: str, status: str, detail: Any) -> None:  # noqa: ANN401  whatever JSON has
        known = id_ in self.layers or len(self.layers) < LAYERS_LIMIT
        if not known or not re.fullmatch(r"[0-9a-f]{12}", id_):
            return
        self.layers.add(id_)
        if status == "Already exists":
            self.sizes.pop(id_, None)
            self.unpacked.add(id_)
        elif status in {"Downloading", "Extracting"}:
            self._moved(id_, status, detail if isinstance(detail, dict) else {})
        if status in _FETCHED and id_ in self.sizes:
            self.fetched[id_] = self.sizes[id_]
        if status == "Pull complete":
            self.unpacked.add(id_)

    def _moved(self, id_: str, status: str, detail: dict[str, Any]) -> None:
        current, total = detail.get("current"), detail.get("total")
        if not _is_count(current) or "units" in detail:  # containerd tells seconds of unpacking
            return
        if _is_count(total) and status == "Downloading":
            self.sizes[id_] = total
        into = self.fetched if status == "Downloading" else self.extracted
        into[id_] = min(current, self.sizes.get(id_, current))


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= COUNT_LIMIT


def short_id(digest: str) -> str:
    """A layer's id in the engine's lines."""
    return digest.partition(":")[2][:ID_LENGTH]
