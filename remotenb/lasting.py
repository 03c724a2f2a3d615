"""A machine whose link is opened again when it breaks. Nobody is asked: stored keys only."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from remotenb.errors import LinkError, RemotenbError
from remotenb.laptop.clock import SystemClock
from remotenb.session.retrying import Outage, Trouble, policy_for, trouble
from remotenb.ssh.link import open_link
from remotenb.ssh.redial import redial_first_hop

if TYPE_CHECKING:
    from remotenb.laptop.clock import Clock
    from remotenb.machine import Machine

GIVE_UP_S = 3600.0
"""After so long without a link somebody is told, instead of waiting on."""


class Lasting:
    """One machine, and the link to it of the moment; a context manager that closes that."""

    def __init__(self, machine: Machine, *, clock: Clock | None = None) -> None:
        self.machine = machine
        self._clock = clock or SystemClock()
        self._policy = policy_for(machine.host, random.random)
        self._outage: Outage | None = None
        self._back = 0.0
        """When the link came back last."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.machine.link.close()

    @property
    def alive(self) -> bool:
        """Whether the link still works, as far as is known."""
        return self.machine.link.alive

    def mend(self, error: RemotenbError) -> None:
        """Open the link again; raises the error that no further attempt can help."""
        old = self.machine.link
        threading.Thread(target=old.close, name="old link", daemon=True).start()
        report, host = self.machine.report, self.machine.host
        report.warning("link_lost", error.message, f"going on by itself when {host.name} answers")
        now = self._clock.now()
        if self._outage is not None and now - self._back < self._policy.settled:
            self._pause(Trouble.FLAPPING, error)
        else:
            self._outage = Outage(now)
        with report.step(f"connecting to {host.login} again"):
            while (failure := self._open()) is not None:
                self._pause(trouble(failure), failure)

    def _open(self) -> LinkError | None:
        """One attempt; why it failed."""
        try:
            link = open_link(
                self.machine.host,
                dialled=redial_first_hop(self.machine.host, stop=threading.Event()),
                remembered=self.machine.remembered,
            )
        except LinkError as failure:
            return failure
        self.machine = replace(self.machine, link=link)
        self._back = self._clock.now()
        return None

    def _pause(self, kind: Trouble, error: RemotenbError) -> None:
        """Wait as is right after ``error``; raises it when no further attempt can help."""
        assert self._outage is not None  # noqa: S101  made by mend
        age = self._clock.now() - self._outage.since
        if kind is Trouble.FINAL or age > GIVE_UP_S:
            raise error
        schedule = self._policy.schedule(kind, age)
        wait = schedule.wait(self._outage.count(kind), self._policy.jitter())
        if wait is None:
            raise error
        self._outage = self._outage.with_one(kind)
        self._clock.sleep(wait)
