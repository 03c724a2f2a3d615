"""What keeps a session: the shell around the supervisor's table. One loop, one inbox.

A reconnect is ``connect`` minus the browser: first the same relay over a new link, and only if
that is not there any more a look around, as at the beginning.
"""

from __future__ import annotations

import logging
import queue
import random
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from remotenb.errors import LinkError, LinkLost, RemotenbError, ServerGone
from remotenb.jupyter import started
from remotenb.laptop.clock import timestamp
from remotenb.laptop.notify import notify
from remotenb.laptop.wake import WakeWatch
from remotenb.report import Dropped, Quiet, Restored, ServerRestarted, Waiting
from remotenb.report import ServerGone as Gone_
from remotenb.session.presence import Presence
from remotenb.session.retrying import policy_for
from remotenb.session.supervisor import (
    AskPerson,
    Check,
    Due,
    End,
    Event,
    Failed,
    Gone,
    Lost,
    Nothing,
    Open,
    Opened,
    PersonCame,
    Stop,
    Stopped,
    Up,
    Wait,
    WaitingForPerson,
    Woke,
    advance,
)
from remotenb.session.watch import Restarted, ServerWatch, Silent
from remotenb.ssh.redial import redial_first_hop
from remotenb.tunnel.relayed import Cut

if TYPE_CHECKING:
    from remotenb.find import Find
    from remotenb.report import LinkState
    from remotenb.server import Server
    from remotenb.session.opening import Connect
    from remotenb.session.supervisor import Action, State
    from remotenb.session.tunnels import Tunnel
    from remotenb.ssh.link import Link
    from remotenb.tunnel.relayed import Attached

logger = logging.getLogger(__name__)

News = Cut | Restarted | Silent | Event

TICK_S = 0.5
SILENT_LINK_S = 2.0
"""A link that was silent for so long is not tried again."""


class Keeper:
    """Holds a tunnel open until somebody stops it, or nothing is left to hold."""

    def __init__(
        self,
        connect: Connect,
        find: Find,
        tunnel: Tunnel,
        link: Link,
        inbox: queue.SimpleQueue[News],
    ) -> None:
        self._connect = connect
        self._find = replace(find, report=Quiet(), people=None, session=_nobodys, cut=_unheard)
        self._tunnel = tunnel
        self._link = link
        self._inbox = inbox
        self._policy = policy_for(connect.host, random.random)
        self._stop = threading.Event()
        self._due = float("inf")
        self._dropped_at = 0.0
        self._started = tunnel.server.started
        self._reusable = False
        """The link may still be good: only what it carried has ended."""
        self.presence = Presence(connect.people, lambda: inbox.put(PersonCame()))
        self._wake = WakeWatch(every=TICK_S)
        self.link_state: LinkState = "up"
        self.since = timestamp()
        self.outages = 0
        self.watch = ServerWatch(tunnel, inbox.put)

    def happened(self, event: News) -> None:
        """Tell of something; from any thread."""
        if isinstance(event, Stop):
            self._stop.set()
            self.presence.send_away()
        self._inbox.put(event)

    def keep(self) -> None:
        """Go on until the end; raises the error that ended it, if one did."""
        state: State = Up(time.monotonic())
        action: Action = Nothing()
        while not isinstance(state, Stopped):
            event = self._perform(action) or self._next(state)
            before = state
            state, action = advance(state, event, time.monotonic(), self._policy)
            self._note(before, state, event)
            self.presence.attend(state, event)
        if isinstance(action, End) and action.error is not None:
            if isinstance(action.error, ServerGone):
                self._connect.report.tell(Gone_(action.error.message, action.error.hint))
            raise action.error

    def close(self) -> None:
        """Let go of the link of the moment."""
        self._stop.set()
        self.presence.settle(LinkLost("the session has ended", hint="connect again"))
        self.watch.close()
        self._link.close()

    # what happens

    def _next(self, state: State) -> Event:
        """Wait for something that matters in this state."""
        while True:
            patience = min(TICK_S, max(self._due - time.monotonic(), 0))
            try:
                news = self._inbox.get(timeout=patience)
            except queue.Empty:
                event = self._looked(state)
            else:
                event = self._meaning(news, state)
            if event is not None:
                return event

    def _looked(self, state: State) -> Event | None:
        """Nothing came; look for ourselves."""
        if time.monotonic() >= self._due:
            self._due = float("inf")
            return Due()
        why = self._wake.changed()
        if why is not None:
            logger.info("%s", why)
            return Woke()
        if isinstance(state, Up) and self._tunnel.relayed is None and not self._link.alive:
            return self._lost("the connection broke", 0.0)
        return None

    def _meaning(self, news: News, state: State) -> Event | None:
        match news:
            case Cut() | Silent():
                return self._broken(news) if isinstance(state, Up) else None
            case Restarted(since):
                self._restarted(replace(self._tunnel.server, started=since))
                return None
            case event:
                return event

    def _broken(self, news: Cut | Silent) -> Event:
        """What was up is not: only what the link carried, or the link itself."""
        if isinstance(news, Silent):
            self._reusable = True
            return self._lost("Jupyter does not answer", 0.0)
        self._reusable = news.silent_for < SILENT_LINK_S
        return self._lost(news.why.message, news.silent_for) if news.why.passing else Gone(news.why)

    def _lost(self, cause: str, silent_for: float) -> Event:
        self._dropped_at = time.monotonic()
        self._tunnel.hold()
        self._connect.report.tell(Dropped(cause, silent_for))
        return Lost(cause)

    def _note(self, before: State, state: State, event: Event) -> None:
        """What ``status`` and the page of the outage tell."""
        link: LinkState = "reconnecting"
        if isinstance(state, Up):
            link = "up"
        elif isinstance(state, WaitingForPerson):
            link = "waiting"
        if link != self.link_state:
            self.link_state, self.since = link, timestamp()
            self.outages += isinstance(before, Up)
        if isinstance(event, Failed):
            logger.info("not yet: %s", event.error)
            if self._tunnel.relayed is not None:
                message = getattr(event.error, "message", str(event.error))
                waits = isinstance(state, WaitingForPerson)
                what = "Waiting for you" if waits else "Trying again"
                self._tunnel.relayed.tell_state(f"{what}: {message}.")

    # what is done

    def _perform(self, action: Action) -> Event | None:
        match action:
            case Open():
                return self._reopen()
            case Wait(seconds):
                self._due = time.monotonic() + seconds
            case Check() if self._tunnel.relayed is not None:
                self._tunnel.relayed.suspect()
            case AskPerson(what, hint):
                self._connect.report.tell(Waiting(what, hint or "remotenb connect tries again"))
                notify(f"remotenb: {self._connect.host.name}", what)
                self.presence.listen()
            case _:
                pass
        return None

    def _reopen(self) -> Event:
        self._due = float("inf")
        try:
            link = self._link if self._reusable and self._link.alive else self._fresh_link()
            self._reusable = False
            attached = self._resume(link)
        except ServerGone as error:
            return Gone(error)
        except RemotenbError as error:
            return Failed(error, attended=self.presence.asked)
        self._connect.report.tell(
            Restored(
                after=time.monotonic() - self._dropped_at,
                replayed_bytes=attached.held if attached else 0,
                lost=attached is None or attached.lost > 0,
            )
        )
        if attached is not None and attached.stopped:
            self._connect.report.warning(
                "relay_full",
                "the relay could keep no more, and made the notebook wait with its output",
                "what was read is not lost; a cell that prints less, or to a file, would go on",
            )
        self.watch.look()
        return Opened()

    def _fresh_link(self) -> Link:
        old = self._link
        threading.Thread(target=old.close, name="old link", daemon=True).start()
        rtt = self._tunnel.relayed.rtt if self._tunnel.relayed else 0.0
        dialled = redial_first_hop(self._connect.host, stop=self._stop, rtt=rtt)
        self._link = self._connect.link_again(self.presence.taken(), dialled)
        return self._link

    def _resume(self, link: Link) -> Attached | None:
        """The same place again; else wherever the server is now."""
        try:
            attached = self._tunnel.resume(link)
        except LinkError as error:
            if not link.alive:
                raise LinkLost("the connection broke again", hint="") from None
            logger.info("the relay is not there any more: %s", error)
            return self._recover(link)
        if attached is not None and not attached.fresh:
            return attached
        # the relay, or the carrier, is new: so the server may be
        answers = started(self._tunnel.connect, self._tunnel.server) is not None
        return attached if answers else self._recover(link)

    def _recover(self, link: Link) -> Attached | None:
        """Look around, as at the first connect, for the server that was there."""
        before = self._tunnel.server
        if self._tunnel.relayed is not None:
            self._tunnel.relayed.detach("looking for the server")
        outage = time.monotonic() - self._dropped_at
        with self._find.again(link, before, outage) as (server, ways):
            attached = self._tunnel.move(link, server, ways)
        self._restarted(server)
        return attached

    def _restarted(self, server: Server) -> None:
        """Tell it once; what the page shows of its kernels is gone."""
        if server.started != self._started:
            self._started = server.started
            self._tunnel.server = replace(self._tunnel.server, started=server.started)
            self._connect.report.tell(ServerRestarted(kernels_lost=True, server=server))


def _nobodys(_place: str) -> bytes:
    """A session of its own for each look around, so that it takes nobody's place at a relay."""
    return secrets.token_bytes(16)


def _unheard(_cut: Cut) -> None:
    """The relays of a look around are let go with it."""
