"""``--container``: that one and no other."""

from __future__ import annotations

import pytest

from remotenb.decision import Refuse, Reuse, StartServer
from remotenb.errors import (
    ContainerMissing,
    ContainerNotRunning,
    EngineMissing,
    JupyterMissing,
    RemotenbError,
    ServerOpen,
    ServerUnreachable,
    UsageError,
)
from remotenb.model import EngineState, Scan
from remotenb.plan import decide
from tests.pure.samples import container, found, probe, server, wish

NB, OTHER = container("nb"), container("other")
BOTH = probe(containers=(OTHER, NB))


def refusal(*args: object, **settings: object) -> RemotenbError:
    there, servers, files = args
    plan = decide(there, servers, files, wish(container="nb", **settings))  # type: ignore[arg-type]
    assert isinstance(plan, Refuse), plan
    assert plan.error.hint
    return plan.error


def test_its_own_server_is_taken_and_no_other_containers() -> None:
    servers = [server(OTHER, started="2027-01-01T00:00:00Z"), server(NB), server(None)]
    assert decide(BOTH, servers, (), wish(container="nb")) == Reuse(servers[1])


def test_of_several_in_it_the_newest_is_taken() -> None:
    old, new = server(NB), server(NB, started="2026-11-24T00:00:00Z")
    assert decide(BOTH, [old, new], (), wish(container="nb")) == Reuse(new, others=1)


def test_it_may_be_named_by_the_start_of_its_id() -> None:
    assert decide(BOTH, [server(NB)], (), wish(container=NB.id[:12])) == Reuse(server(NB))


def test_without_a_server_one_is_started_in_it() -> None:
    assert decide(BOTH, [server(OTHER)], (), wish(container="nb")) == StartServer(NB)


def test_new_starts_a_second_server_in_it() -> None:
    assert decide(BOTH, [server(NB)], (), wish(container="nb", new=True)) == StartServer(NB)


def test_another_users_container_is_taken_when_it_is_named() -> None:
    bobs = container("nb", ownership="other", owner="bob")
    there = probe(containers=(bobs,))
    assert decide(there, [server(bobs)], (), wish(container="nb")) == Reuse(server(bobs))


def test_one_that_is_missing_is_refused_with_those_that_run() -> None:
    error = refusal(probe(containers=(OTHER, container("off", status="exited"))), (), ())
    assert isinstance(error, ContainerMissing)
    assert "other" in error.hint
    assert "off" not in error.hint


def test_one_that_stopped_is_refused_with_how_to_start_it() -> None:
    engine = EngineState("docker", ("sudo", "-n", "docker"))
    there = probe(containers=(container("nb", status="exited", scan=None, engine=engine),))
    error = refusal(there, (), ())
    assert isinstance(error, ContainerNotRunning)
    assert "exited" in error.message
    assert "sudo -n docker start nb" in error.hint


def test_an_open_server_in_it_is_refused_unless_allowed() -> None:
    is_open = server(NB, access="open")
    assert isinstance(refusal(BOTH, [is_open], ()), ServerOpen)
    asked = wish(container="nb", allow_open=True)
    assert decide(BOTH, [is_open], (), asked) == Reuse(is_open)


def test_a_server_in_it_that_cannot_be_reached_is_said() -> None:
    hidden = found(NB, endpoints=(), obstacle="it listens on its own loopback")
    error = refusal(BOTH, (), [hidden])
    assert isinstance(error, ServerUnreachable)
    assert "own loopback" in error.message


@pytest.mark.parametrize("new", [False, True])
def test_one_without_a_network_is_refused(new: object) -> None:
    alone = container("nb", network="none", addresses=())
    there = probe(containers=(alone,))
    plan = decide(there, (), (), wish(container="nb", new=bool(new)))
    assert isinstance(plan, Refuse), plan
    assert isinstance(plan.error, ServerUnreachable)


@pytest.mark.parametrize("new", [False, True])
def test_one_without_jupyter_is_refused(new: object) -> None:
    there = probe(containers=(container("nb", scan=Scan(python="/usr/bin/python3")),))
    plan = decide(there, (), (), wish(container="nb", new=bool(new)))
    assert isinstance(plan, Refuse), plan
    assert isinstance(plan.error, JupyterMissing)


def test_one_that_could_not_be_looked_into_is_tried() -> None:
    unknown = container("nb", scan=None)
    there = probe(containers=(unknown,))
    assert decide(there, (), (), wish(container="nb")) == StartServer(unknown)


def test_without_an_engine_there_is_no_container_to_name() -> None:
    error = refusal(probe(engine=EngineState(None, refusals=(("docker", "not found"),))), (), ())
    assert isinstance(error, EngineMissing)


def test_a_container_together_with_the_engine_host_contradicts_itself() -> None:
    asked_nothing = probe(engine=EngineState(None))
    assert isinstance(refusal(asked_nothing, (), (), engine="host"), UsageError)
