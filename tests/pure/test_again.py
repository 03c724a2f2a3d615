"""What a session does when its server does not answer any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remotenb.decision import Plan, Refuse, Reuse, StartContainer
from remotenb.errors import ContainerNotRunning, EngineDown, JupyterNotReady, ServerGone
from remotenb.model import EngineState
from remotenb.secret import Secret
from remotenb.session.again import PATIENCE_S, decide_again
from tests.pure.samples import container, found, ours, probe, runtime_file, server, wish

if TYPE_CHECKING:
    from remotenb.model import Container, Probe
    from remotenb.server import Found, Server


def decided(
    seen: Probe,
    before: Server,
    *servers: Server,
    outage: float = 5.0,
    files: tuple[Found, ...] = (),
) -> Plan:
    return decide_again(seen, servers, files, before, wish(), outage=outage)


def refused(plan: Plan) -> Exception:
    assert isinstance(plan, Refuse)
    return plan.error


def test_the_server_with_the_same_token_is_the_one() -> None:
    before = server(container(), token=Secret("a"))
    other = server(container(), token=Secret("b"), started="2030-01-01T00:00:00Z")
    assert decided(probe(), before, other, before) == Reuse(before)


def test_in_the_same_container_a_server_with_a_new_token_will_do() -> None:
    before = server(container(), token=Secret("a"))
    after = server(container(), token=Secret("b"))
    assert decided(probe(), before, after) == Reuse(after)


def test_on_the_host_a_server_with_another_token_is_another_notebook() -> None:
    before = server(token=Secret("a"))
    error = refused(decided(probe(), before, server(token=Secret("b"))))
    assert isinstance(error, JupyterNotReady)


def test_a_server_that_lives_and_says_nothing_is_waited_for_without_end() -> None:
    before = server(token=Secret("a"))
    silent = found(obstacle="it did not answer", file=runtime_file(token=Secret("a")))
    week = 7 * 86400.0
    error = refused(decided(probe(), before, outage=week, files=(silent,)))
    assert isinstance(error, JupyterNotReady)
    dead = found(obstacle="x", file=runtime_file(token=Secret("a"), alive=False))
    other = found(obstacle="x", file=runtime_file(token=Secret("b")))
    for files in ((dead,), (other,), (found(file=silent.file),)):
        error = refused(decided(probe(), before, outage=week, files=files))
        assert isinstance(error, ServerGone)


@pytest.mark.parametrize("status", ["running", "exited"])
def test_a_container_of_ours_is_started_again_or_waited_for(status: str) -> None:
    mine = ours("remotenb-alice-1", status=status)
    plan = decided(probe(containers=(mine,)), server(mine))
    assert isinstance(plan, StartContainer)
    assert plan.existing == mine


def test_an_engine_that_is_down_is_not_yet() -> None:
    down = probe(engine=EngineState(None))
    assert isinstance(refused(decided(down, server(container()))), EngineDown)


def test_a_container_that_is_not_there_any_more_is_gone() -> None:
    assert isinstance(refused(decided(probe(), server(container()))), ServerGone)


@pytest.mark.parametrize(
    ("stopped", "kind"),
    [
        (container(status="exited"), ServerGone),
        (container(status="exited", restarts=True), ContainerNotRunning),
    ],
    ids=["nothing starts it", "a restart policy does"],
)
def test_a_container_that_somebody_made_and_that_ended(
    stopped: Container, kind: type[Exception]
) -> None:
    error = refused(decided(probe(containers=(stopped,)), server(stopped)))
    assert isinstance(error, kind)


@pytest.mark.parametrize(("outage", "kind"), [(1.0, JupyterNotReady), (PATIENCE_S + 1, ServerGone)])
def test_a_server_that_ended_in_a_running_container_is_waited_for_a_while(
    outage: float, kind: type[Exception]
) -> None:
    running = container()
    error = refused(decided(probe(containers=(running,)), server(running), outage=outage))
    assert isinstance(error, kind)
