"""What the two ends of a copy say to each other: frames, and the trouble that ends it.

``far.copying`` tells in which order.
"""

import json
import os
import struct
from typing import Any, Callable, Dict, Iterator, List, Tuple, Union

from remotenb.far import tree
from remotenb.far.tree import Untrusted

TREE, NO_MORE, PLAN, GO, WANT, FILE, DATA, WHOLE, FAILED, DONE, TROUBLE = range(1, 12)
Bytes = Union[bytes, memoryview]
HEAD = struct.Struct(">BI")
FRAME_LIMIT = 16 << 20
READ = 1 << 18
BATCH = 500
TOGETHER = 1 << 15
"""Bytes that small frames make before they are sent: each sending costs."""


class Trouble(Exception):
    """What ended a copy, as it is told to the other end."""

    def __init__(self, facts: Dict[str, Any]) -> None:
        super().__init__(facts.get("words", ""))
        self.facts = facts


def trouble(error: Exception) -> Dict[str, Any]:
    """An error's facts: ``number`` is the errno, 0 for what the system did not say."""
    if isinstance(error, OSError):
        place = tree.to_wire(str(error.filename or ""))
        return {"number": error.errno or 0, "words": error.strerror or str(error), "place": place}
    return {"number": 0, "words": str(error), "place": ""}


class Wire:
    """Frames over two functions: ``read(n)`` gives at most n bytes, none at the end."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[Bytes], Any]) -> None:
        self._read = read
        self._write = write
        self._rest = memoryview(b"")
        self._waiting = bytearray()

    def put(self, kind: int, body: Bytes = b"", more: bool = False) -> None:
        """Send a frame; if ``more`` follow at once, together with them."""
        self._waiting += HEAD.pack(kind, len(body))
        self._waiting += body
        if not more or len(self._waiting) >= TOGETHER:
            data, self._waiting = memoryview(self._waiting), bytearray()
            self._write(data)

    def say(self, kind: int, facts: Any = None, more: bool = False) -> None:
        """Send a frame of JSON."""
        self.put(kind, json.dumps(facts).encode(), more)

    def take(self) -> Tuple[int, Bytes]:
        """The next frame; raises :class:`EOFError`, and :class:`Trouble` that the other has."""
        kind, length = HEAD.unpack(self._exactly(HEAD.size))
        if length > FRAME_LIMIT:
            raise Untrusted(f"a frame of {length} bytes")
        body = self._exactly(length)
        if kind == TROUBLE:
            raise Trouble(parse(body, dict))
        return kind, body

    def expect(self, kind: int, shape: Any) -> Any:
        """The next frame, which must be this one, as JSON."""
        came, body = self.take()
        if came != kind:
            raise Untrusted(f"frame {came} where {kind} belongs")
        return parse(body, shape)

    def lists(self, kind: int) -> Iterator[Any]:
        """What comes in frames of this kind, as lists, until there is no more."""
        while True:
            came, body = self.take()
            if came == NO_MORE:
                return
            if came != kind:
                raise Untrusted(f"frame {came} where {kind} belongs")
            for one in parse(body, list):
                yield one

    def _exactly(self, length: int) -> Bytes:
        """So many bytes, which are copied only where they did not come in one piece."""
        first, self._rest = self._rest[:length], self._rest[length:]
        pieces, lacking = [first] if first else [], length - len(first)
        while lacking > 0:
            came = memoryview(self._read(READ))
            if not came:
                raise EOFError
            pieces.append(came[:lacking])
            self._rest = came[lacking:]
            lacking -= len(came)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def parse(body: Bytes, shape: Any) -> Any:
    """The JSON in it, of this type; raises :class:`Untrusted`."""
    try:
        facts = json.loads(str(body, "utf-8"))
    except (ValueError, RecursionError):
        raise Untrusted("what is no JSON") from None
    if not isinstance(facts, shape):
        raise Untrusted("JSON of another shape")
    return facts


def batches(items: Iterator[Any]) -> Iterator[List[Any]]:
    """Lists of a bearable length."""
    batch: "List[Any]" = []
    for one in items:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def write(data: Bytes) -> None:
    """All of it to stdout, which may take less at a time."""
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]
