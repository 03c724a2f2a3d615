"""``remotenb connect HOST``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from remotenb.background import detach as background
from remotenb.background import state
from remotenb.background.hub import Hub
from remotenb.cli import machines, options, stopping
from remotenb.cli.output import Terminal, reporter
from remotenb.cli.people import people
from remotenb.errors import RemotenbError, UsageError
from remotenb.laptop import memory
from remotenb.report import Closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remotenb.report import Reporter
    from remotenb.session.opening import Connect, Session
    from remotenb.settings import Settings


@click.command("connect", short_help="Go to a Jupyter on HOST.")
@click.argument("host", metavar="HOST")
@click.option("--json", "as_json", is_flag=True, help="Print events, one JSON object a line.")
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening it.")
@click.option("--image", metavar="I", help="Start from this image, or find one that runs it.")
@click.option("--container", metavar="C", help="Use this container and no other.")
@options.of_a_new_container
@click.option("--port", type=int, metavar="P", help="The LOCAL port.  [the same for each notebook]")
@click.option("--new", is_flag=True, help="Start one more, whatever runs.")
@click.option("--recreate", is_flag=True, help="Make your container again, with these options.")
@click.option("-y", "--yes", is_flag=True, help="With --recreate: whatever is lost by it.")
@click.option("--engine", type=click.Choice(["auto", "docker", "podman", "host"]), help="[auto]")
@click.option("--allow-open", is_flag=True, help="Take a server that has no token.")
@click.option("--install-jupyter", is_flag=True, help="Where the image has no Jupyter.")
@click.option("-d", "--detach", is_flag=True, help="Return when ready; the session goes on.")
@click.option(
    "--forward",
    "forwards",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    multiple=True,
    help="Lead a local port to this one beside the notebook, as for TensorBoard (6006).",
)
@options.common
def command(  # noqa: PLR0913  one parameter for each option of the contract
    *,
    host: str,
    as_json: bool,
    no_browser: bool,
    new: bool,
    recreate: bool,
    yes: bool,
    detach: bool,
    forwards: tuple[int, ...],
    config_file: str | None,
    verbose: int,
    volumes: tuple[str, ...],
    allow_open: bool,
    install_jupyter: bool,
    **given: str | int | None,
) -> int:
    """Go to a Jupyter on HOST: the one that runs, or a new one in a container.

    HOST is a name of your config, an alias of ssh_config, or [user@]host[:port].
    Ctrl-C closes the tunnel; the notebook goes on, and the same command finds it again.
    """
    start = time.monotonic()
    if new and recreate:
        raise UsageError("--new starts one more, --recreate none", hint="leave one of them out")
    stopping.stop_like_ctrl_c()
    options.set_up_logging(verbose)
    in_background = background.wanted()
    if detach and not in_background:
        return background.start(sys.argv[1:])
    inner = reporter(as_json=as_json)
    report = Hub(inner, state.log_path(host))
    chosen = {
        **given,
        "volumes": options.of_the_server(volumes, report) or None,
        "forwards": forwards or None,
        "allow_open": allow_open or None,
        "install_jupyter": install_jupyter or None,
        "browser": False if no_browser else None,
    }
    settings = options.settings(options.load_config(config_file), host, chosen)
    wished = {"new": new, "recreate": recreate, "agreed": yes}
    connect = _planned(host, settings, report, chosen, as_json=as_json, **wished)
    from remotenb.cli import joining  # noqa: PLC0415  while the connection is being made

    with ExitStack() as turn:
        turn.enter_context(state.opening(connect.host.login))
        if file := joining.find(connect):
            turn.close()
            return joining.join(file, connect, inner, detach=detach, started=start)
        with connect.open() as session, held_open(connect, session, report):
            turn.close()
            return hold(connect, session, inner, started=start, in_background=in_background)


def _planned(
    host: str,
    settings: Settings,
    report: Reporter,
    chosen: Mapping[str, object],
    *,
    as_json: bool,
    **wished: bool,
) -> Connect:
    memory.settle()  # before there are threads
    target = machines.resolved(host, settings)
    dialled = machines.dialled(target)
    from remotenb.session.opening import Connect  # noqa: PLC0415  paramiko and fabric: 200 ms
    from remotenb.spec import Wish  # noqa: PLC0415

    given = {"--gpus": chosen["gpus"], "--volume": chosen["volumes"]}
    for_new = tuple(option for option, value in given.items() if value)
    demanded = chosen["image"] is not None
    wish = Wish(settings, image_demanded=demanded, for_new=for_new, **wished)
    return Connect(target, wish, report, people(as_json=as_json), dialled)


NOTEBOOK_GOES_ON = "Ctrl-C closes the tunnel; the notebook goes on."


@contextmanager
def held_open(connect: Connect, session: Session, hub: Hub) -> Iterator[None]:
    """Meanwhile other processes find this session, and can ask it."""
    from remotenb.background.control import Control  # noqa: PLC0415  not before the connection

    begun = time.monotonic()
    control = Control(
        session, lambda: connect.ready(session, time.monotonic() - begun), hub, state.folder()
    )
    container = session.server.container
    file = state.SessionFile(
        host=connect.host.name,
        login=connect.host.login,
        container=container.name if container else None,
        image=container.image if container else None,
        local_port=session.port,
        pid=os.getpid(),
        address=control.address,
        log=str(state.log_path(connect.host.name)),
    )
    state.write(file)
    try:
        yield
    except RemotenbError as error:
        hub.fail(error)
        raise
    finally:
        state.forget(file)
        control.close()


def hold(  # noqa: PLR0913  whom it tells, and how
    connect: Connect,
    session: Session,
    shown: Reporter,
    *,
    started: float,
    parting: str = NOTEBOOK_GOES_ON,
    in_background: bool = False,
) -> int:
    """Tell that it is ready, open the browser, and hold the tunnel until somebody stops us."""
    try:
        ready = connect.ready(session, time.monotonic() - started)
        connect.report.tell(ready)
        opened = connect.wish.settings.browser and session.open_browser()
        if isinstance(shown, Terminal):
            if in_background:  # before the address: that comes by way of who started us
                shown.say(background.PARTING)
            show_address(shown, ready.url, opened=opened)
            if not in_background:
                shown.say(parting)
        if in_background:
            background.let_go()
        connect.report.tell(Closed(session.wait()))
    except KeyboardInterrupt as interrupt:
        connect.report.tell(Closed(stopping.reason(interrupt)))
    return 0


def show_address(terminal: Terminal, url: str, *, opened: bool) -> None:
    """The address with its token, on stdout: where no browser could be opened."""
    if not opened:
        terminal.say("Open this in your browser:")
        click.echo(url)
