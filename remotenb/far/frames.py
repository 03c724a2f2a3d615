"""The relay's messages as bytes: what may stand on the wire, and nothing else. Pure.

``docs/concepts/relay-protocol.md`` is the specification. Both ends use this module; it runs on
Python 3.6, on the standard library alone.
"""

import struct
from typing import Iterator, NamedTuple, Tuple

VERSION = 1

HELLO, REFUSE, OPEN, DATA, END, RESET, ACK, PING, PONG, BYE, STATUS = range(1, 12)

HEADER = struct.Struct(">BIQI")
"""Of every frame: type, stream, offset, length of the payload."""

LIMIT = struct.Struct(">Q")
HELD = struct.Struct(">QB")
_HELLO = struct.Struct(">HB16s16s16sQI")
_ENTRY = struct.Struct(">IQQB")
_FRESH, _RESET = 1, 1

MAX_STREAMS = 4096
MAX_DATA = 64 << 10
_SIZES = {
    HELLO: (_HELLO.size, _HELLO.size + 2 * MAX_STREAMS * _ENTRY.size),
    REFUSE: (0, 256),
    OPEN: (1, 256),
    DATA: (1, MAX_DATA),
    ACK: (LIMIT.size, LIMIT.size),
    STATUS: (HELD.size, HELD.size),
}
"""Bytes that a payload of each type may have; none where it is not named."""


class ProtocolError(Exception):
    """The peer sent what no correct peer sends: this link must end."""


class Frame(NamedTuple):
    """One message as it is on the wire."""

    kind: int
    stream: int
    offset: int
    payload: bytes


class Entry(NamedTuple):
    """What one end knows of a stream, told to the other when a link begins."""

    stream: int
    received: int
    limit: int
    reset: bool


class Hello(NamedTuple):
    """The first frame of each end on each link."""

    version: int
    fresh: bool
    """The far side knew nothing of this session before."""
    session: bytes
    """16 bytes: which laptop, which tunnel. Stays the same as long as there is one."""
    incarnation: bytes
    """16 bytes: which process of the near side; for the far side, which life of the session."""
    known: bytes
    """16 bytes: the incarnation of who this is for, as far as it is known, or zeros."""
    epoch: int
    """Rises with each link of one incarnation: the highest is the one that counts."""
    highest: int
    """The highest stream that was ever opened."""
    streams: Tuple[Entry, ...]


def frame(kind: int, stream: int = 0, offset: int = 0, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEADER.pack(kind, stream, offset, len(payload)) + payload


class Decoder:
    """From bytes, split anyhow, to frames; raises :class:`ProtocolError` before it buffers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with ``data``."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= HEADER.size:
                kind, stream, offset, length = HEADER.unpack_from(self._buffer, at)
                least, most = _SIZES.get(kind, (0, 0))
                if not HELLO <= kind <= STATUS or not least <= length <= most:
                    raise ProtocolError("frame of type %d with %d bytes" % (kind, length))
                if len(self._buffer) - at < HEADER.size + length:
                    return
                begin = at + HEADER.size
                at = begin + length
                yield Frame(kind, stream, offset, bytes(self._buffer[begin:at]))
        finally:
            del self._buffer[:at]


def pack_hello(hello: Hello) -> bytes:
    """``hello`` as a frame."""
    head = _HELLO.pack(
        hello.version,
        _FRESH if hello.fresh else 0,
        hello.session,
        hello.incarnation,
        hello.known,
        hello.epoch,
        hello.highest,
    )
    entries = [_ENTRY.pack(e.stream, e.received, e.limit, e.reset) for e in hello.streams]
    return frame(HELLO, payload=head + b"".join(entries))


def unpack_hello(payload: bytes) -> Hello:
    """The payload of a HELLO; raises :class:`ProtocolError`."""
    version, flags, session, incarnation, known, epoch, highest = _HELLO.unpack_from(payload)
    rest = payload[_HELLO.size :]
    if len(rest) % _ENTRY.size:
        raise ProtocolError("HELLO of %d bytes" % len(payload))
    entries = tuple(
        Entry(stream, received, limit, bool(reset & _RESET))
        for stream, received, limit, reset in _ENTRY.iter_unpack(rest)
    )
    fresh = bool(flags & _FRESH)
    return Hello(version, fresh, session, incarnation, known, epoch, highest, entries)


def refusal(reason: str) -> bytes:
    """The frame by which the far side does not take a link."""
    return frame(REFUSE, payload=reason.encode("ascii", "replace")[:256])


def status(held: int, *, stopped: bool) -> bytes:
    """The frame by which the far side tells what it holds."""
    return frame(STATUS, payload=HELD.pack(held, stopped))
