"""``connect`` to a session that is live already: its events, and nothing of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from remotenb.background import sessions
from remotenb.background.detach import PARTING
from remotenb.cli import stopping
from remotenb.cli.output import Terminal, emit
from remotenb.errors import LocalError, RemotenbError, UsageError
from remotenb.laptop import browser
from remotenb.report import Closed, error_of, event_of
from remotenb.session.presence import Presence

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from concurrent.futures import Future

    from remotenb.background.asking import Facts
    from remotenb.background.state import SessionFile
    from remotenb.find import People
    from remotenb.report import Reporter
    from remotenb.session.opening import Connect


def find(connect: Connect) -> SessionFile | None:
    """The live session that would be the same; None where a second one is wanted.

    Raises :class:`UsageError` where its container is to be made again, under its feet.
    """
    wish = connect.wish
    if wish.new:
        return None
    for file, _ in sessions.live(connect.host.name):
        same = file.login == connect.host.login
        same &= wish.settings.container in {None, file.container}
        same &= wish.settings.port in {None, file.local_port}
        same &= not wish.image_demanded or wish.settings.image == file.image
        if same and wish.recreate:
            if connect.dialled:
                connect.dialled.add_done_callback(_hang_up)
            raise UsageError(
                f"a session of this laptop is open at {file.container or file.host}",
                hint=f"remotenb disconnect {file.host}, then the same command again",
            )
        if same:
            return file
    return None


def _hang_up(dialled: Future[socket.socket]) -> None:
    if not dialled.exception():
        dialled.result().close()


def join(
    file: SessionFile, connect: Connect, shown: Reporter, *, detach: bool, started: float
) -> int:
    """Show the session's events until it ends, or Ctrl-C ends the showing.

    Raises the :class:`RemotenbError` that ended the session.
    """
    from remotenb.caveats import of_options  # noqa: PLC0415  loaded by now

    people = connect.people
    try:
        events = sessions.watch(file)
        if sessions.first(file, "status").get("link") == "waiting":
            sessions.log_in(file, people)
        of_options(connect.report, connect.wish, None)
        for port in connect.wish.settings.forwards:
            sessions.first(file, "forward", port=port)
        ready = sessions.first(file, "ready")
        ready |= {"joined": True, "elapsed": round(time.monotonic() - started, 3)}
        _show_ready(file, ready, connect, shown, detach=detach)
        if not detach:
            _follow(file, events, shown, Presence(people, lambda: _again(file, people, shown)))
    except KeyboardInterrupt as interrupt:
        shown.tell(Closed(stopping.reason(interrupt)))
    return 0


def _again(file: SessionFile, people: People | None, shown: Reporter) -> None:
    """Somebody pressed Enter while the session waited."""
    try:
        sessions.log_in(file, people)
    except RemotenbError as error:
        shown.warning("not_logged_in", error.message, error.hint)


def _follow(
    file: SessionFile, events: Iterator[Facts], shown: Reporter, presence: Presence
) -> None:
    for facts in events:
        if facts.get("event") == "error":
            raise error_of(facts)
        _show(facts, shown)
        if facts.get("event") == "waiting":
            presence.listen()
        if facts.get("event") == "closed":
            return
    raise LocalError(
        f"the session's process ({file.pid}) ended without a word",
        hint=f"remotenb connect {file.host} begins another; the notebook goes on",
    )


def _show_ready(
    file: SessionFile, ready: Facts, connect: Connect, shown: Reporter, *, detach: bool
) -> None:
    if not isinstance(shown, Terminal):
        emit(**ready)
        return
    shown.say(f"joined the session of {file.host} at port {file.local_port}")
    opened = connect.wish.settings.browser and browser.available()
    if opened:
        opened = browser.open_page(str(sessions.first(file, "open")["url"]))
    if not opened:
        shown.say("Open this in your browser:")
        print(ready["url"], flush=True)  # noqa: T201  data, for stdout
    shown.say(PARTING if detach else "Ctrl-C ends the showing; the session goes on.")


def _show(facts: Facts, shown: Reporter) -> None:
    if not isinstance(shown, Terminal):
        emit(**{name: value for name, value in facts.items() if name != "time"})
        return
    event = event_of(facts)
    if event is not None:
        shown.tell(event)
