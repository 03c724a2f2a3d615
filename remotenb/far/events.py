"""What one end of a session is told by the other. Pure; runs on Python 3.6."""

from typing import NamedTuple, Union

from remotenb.far.frames import Hello


class Opened(NamedTuple):
    """The near side opened a stream to ``target``."""

    stream: int
    target: bytes


class Received(NamedTuple):
    """The next bytes of a stream; say with :meth:`Mux.consumed` when they are dealt with."""

    stream: int
    data: bytes


class Ended(NamedTuple):
    """The peer sends nothing more on this stream; the other direction goes on."""

    stream: int


class Reset(NamedTuple):
    """The stream is over, in both directions, and what was under way is lost."""

    stream: int


class Refused(NamedTuple):
    """The far side does not take this link."""

    reason: str


class Bye(NamedTuple):
    """The near side is done with this session."""


class Status(NamedTuple):
    """What the far side holds for the near one."""

    held: int
    stopped: bool
    """It stopped reading from the server, because it holds all that it may."""


Event = Union[Hello, Opened, Received, Ended, Reset, Refused, Bye, Status]
