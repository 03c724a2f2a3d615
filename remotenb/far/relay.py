"""The relay: it stays beside the server, and keeps its connections while the laptop is away.

One thread. Visitors come in by the door and bring the pipes of their link; the first frame says
whose session it is. Python 3.6.
"""

import socket
import sys
import time
from typing import Dict, FrozenSet, Set, Tuple

assert sys.platform != "win32"  # noqa: S101  for mypy: this runs on servers

from remotenb.far import frames
from remotenb.far.carrier import Carrier
from remotenb.far.frames import Frame, ProtocolError, unpack_hello
from remotenb.far.place import Door
from remotenb.far.poll import READ, WRITE, Poll, Ready
from remotenb.far.session import Session
from remotenb.far.spool import Budget
from remotenb.far.upstream import dial

MEMORY_BYTES, MEMORY_LEAST = 64 << 20, 1 << 20
DISK_BYTES = 1 << 30
TICK_S = 1.0
LIFE_S = 14 * 86400.0
"""Without a visitor."""
UNUSED_S = 15.0
"""Without a session."""
LOOK_EVERY_S, DEAD_LOOKS = 20.0, 6
"""So many times in a row nobody answered where the server was: it is gone, and we go."""


class Relay:
    """All sessions of one user beside one server."""

    def __init__(self, door: Door, memory: int = MEMORY_BYTES, disk: int = DISK_BYTES) -> None:
        """What all websockets together may hold, in bytes."""
        self._door = door
        self._memory = memory
        self._poll = Poll()
        self._budget = Budget(disk, [door.folder, "/var/tmp", "/tmp", "/dev/shm"])
        self._sessions: "Dict[bytes, Session]" = {}
        self._carriers: "Set[Carrier]" = set()
        self._visited = self._ticked = self._looked = time.monotonic()
        self._dead_looks = 0

    def run(self) -> None:
        """Until there is nothing left to stay for."""
        for sock in self._door.sockets:
            sock.setblocking(False)
            self._poll.watch(sock.fileno(), READ, self._visited_at(sock))
        try:
            now = time.monotonic()
            while self._needed(now):
                waits = [session.deadline() - now for session in self._sessions.values()]
                self._poll.wait(min([TICK_S, *waits]))
                now = time.monotonic()
                self._go_on(now)
        finally:
            self._door.close()

    def _needed(self, now: float) -> bool:
        if self._carriers:
            self._visited = now
            self._dead_looks = 0
            return True
        limit = LIFE_S if self._sessions else UNUSED_S
        return now - self._visited < limit and self._dead_looks < DEAD_LOOKS

    def _go_on(self, now: float) -> None:
        tick = now - self._ticked >= TICK_S
        if tick:
            self._ticked = now
            self._look(now)
        eager = sum(session.websockets for session in self._sessions.values())
        memory = max(MEMORY_LEAST, self._memory // max(eager, 1))
        for session in self._sessions.values():
            session.go_on(now, memory, tick)
        for carrier in list(self._carriers):
            if not carrier.write():
                self._drop(carrier)
            elif carrier.greeted:
                self._poll.watch(carrier.ends[1], WRITE if carrier.waiting else 0, _only_wake)

    def _look(self, now: float) -> None:
        """While nobody is here: is there still a server to stay for?"""
        if self._carriers or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        targets = {target for session in self._sessions.values() for target in session.targets}
        self._dead_looks = 0 if any(map(_answers, targets)) else self._dead_looks + 1

    # visitors

    def _visited_at(self, listener: socket.socket) -> Ready:
        def come(_mask: int) -> None:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if not self._door.trusted(sock, listener):
                sock.close()
                return
            carrier = Carrier(sock)
            self._carriers.add(carrier)
            self._poll.watch(sock.fileno(), READ, lambda _mask: self._greeted(carrier))

        return come

    def _greeted(self, carrier: Carrier) -> None:
        """The visitor's message; after that, that the visitor is gone."""
        try:
            goes_on = not carrier.greeted and carrier.greet()
        except (OSError, ValueError, LookupError, TypeError):
            goes_on = False
        if not goes_on:
            self._drop(carrier)
        elif carrier.greeted:
            self._poll.watch(carrier.ends[0], READ, lambda _mask: self._came(carrier))

    def _came(self, carrier: Carrier) -> None:
        """Frames from the laptop, or its end."""
        now = time.monotonic()
        try:
            for one in carrier.read():
                self._frame(carrier, one, now)
        except (ProtocolError, UnicodeError) as error:
            carrier.put(frames.refusal(str(error)))
            carrier.write()
            self._drop(carrier)
        except EOFError:
            self._drop(carrier)

    def _frame(self, carrier: Carrier, one: Frame, now: float) -> None:
        session = self._sessions.get(carrier.session)
        if not carrier.session:
            self._attach(carrier, one, now)
        elif session is not None and session.carrier is carrier and session.receive(one, now):
            del self._sessions[carrier.session]
            session.close()
            self._visited -= 0 if self._sessions else UNUSED_S
            raise EOFError

    def _attach(self, carrier: Carrier, one: Frame, now: float) -> None:
        """A link begins: the same process of the laptop goes on, or another one begins anew."""
        if one.kind != frames.HELLO:
            raise ProtocolError("a link must begin with HELLO")
        hello = unpack_hello(one.payload)
        before = self._sessions.get(hello.session)
        past: "FrozenSet[bytes]" = before.past if before else frozenset()
        if hello.incarnation in past:
            raise ProtocolError("superseded")
        session = before
        if session is None or session.incarnation != hello.incarnation:
            past |= {session.incarnation} if session else set()
            session = Session(hello, past, self._poll, self._budget)
        old = before.carrier if before else None
        session.attach(carrier, hello, now)  # until here nothing has changed for anybody
        if before is not None and session is not before:
            session.succeed(before, now)
        self._sessions[hello.session] = session
        carrier.session = hello.session
        if old is not None:
            self._drop(old)

    def _drop(self, carrier: Carrier) -> None:
        """A link is over; its session waits for the next."""
        self._carriers.discard(carrier)
        for fd in (carrier.sock.fileno(), *carrier.ends):
            self._poll.forget(fd)
        session = self._sessions.get(carrier.session)
        if session is not None and session.carrier is carrier:
            session.detach()
        carrier.close()


def _only_wake(_mask: int) -> None:
    """The loop writes what waits, each time it wakes."""


def _answers(target: Tuple[str, int]) -> bool:
    """Whether somebody listens there: on this machine, which says so at once."""
    try:
        sock = dial(target)
    except OSError:
        return False
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    sock.close()
    return not error
