"""What connect decides to do, in the order that the docs tell."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from remotenb.decision import Refuse, Reuse, StartContainer, StartServer
from remotenb.errors import (
    EngineDown,
    EngineMissing,
    EngineNotPermitted,
    ImageMissing,
    JupyterMissing,
    NameTaken,
    NoImage,
    ServerOpen,
    ServerUnreachable,
)
from remotenb.model import EngineState, Image, Scan
from remotenb.plan import decide
from remotenb.spec import container_name
from tests.pure.samples import (
    PODMAN,
    PYTORCH,
    PYTORCH_ID,
    TENSORFLOW,
    TENSORFLOW_ID,
    WITH_JUPYTER,
    container,
    found,
    ours,
    probe,
    runtime_file,
    server,
    wish,
)

if TYPE_CHECKING:
    from remotenb.decision import Plan
    from remotenb.errors import RemotenbError

OUR_NAME = container_name(probe(), wish(image=PYTORCH))
SOCKET_DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied"
)
PASSWORD = "sudo: a password is required"
NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
ABSENT = (("docker", "not found"), ("sudo -n docker", "not found"), ("podman", "not found"))


def refused(plan: Plan) -> RemotenbError:
    assert isinstance(plan, Refuse), plan
    assert plan.error.hint
    return plan.error


def reused(plan: Plan) -> Reuse:
    assert isinstance(plan, Reuse), plan
    return plan


def no_engine(*refusals: tuple[str, str], host: Scan | None = None) -> object:
    return probe(engine=EngineState(None, refusals=refusals), images=(), host=host or Scan())


def test_good_servers_are_preferred_in_the_stated_order() -> None:
    in_order = [
        server(ours(OUR_NAME, ownership="mine")),
        server(container("wanted-image", ownership="none")),
        server(container("own", image=TENSORFLOW, image_id=TENSORFLOW_ID)),
        server(container("nobody", image=TENSORFLOW, image_id=TENSORFLOW_ID, ownership="none")),
        server(None),
    ]
    for better, worse in pairwise(in_order):
        for order in ([better, worse], [worse, better]):
            plan = reused(decide(probe(), order, (), wish(image=PYTORCH)))
            assert plan.server == better
            assert plan.others == 1


def test_among_equals_the_newest_is_taken_then_the_one_with_more_kernels() -> None:
    old = server(container("a"), started="2026-11-22T23:59:59.9Z", kernels=9)
    new = server(container("b"), started="2026-11-23T00:00:00Z")
    busy = server(container("c"), started="2026-11-23T00:00:00Z", kernels=2)
    silent = server(container("d"), started=None)
    plan = reused(decide(probe(), [silent, old, new, busy], (), wish()))
    assert (plan.server, plan.others) == (busy, 3)
    assert reused(decide(probe(), [silent, old], (), wish())).server == old


def test_without_new_a_server_that_runs_is_taken_whatever_the_configured_image() -> None:
    running = server(container("a", image=TENSORFLOW, image_id=TENSORFLOW_ID))
    assert reused(decide(probe(), [running], (), wish(image=PYTORCH))).server == running


def test_an_image_on_the_command_line_leaves_other_images_servers_aside() -> None:
    running = server(container("a", image=TENSORFLOW, image_id=TENSORFLOW_ID))
    asked = wish(image=PYTORCH, image_demanded=True)
    assert isinstance(decide(probe(), [running, server()], (), asked), StartContainer)


def test_an_image_is_the_same_by_its_id_whatever_its_name() -> None:
    retagged = server(container("a", image="mine:1", image_id=PYTORCH_ID))
    for image in (PYTORCH, PYTORCH_ID, PYTORCH_ID.removeprefix("sha256:")[:12]):
        asked = wish(image=image, image_demanded=True)
        assert reused(decide(probe(), [retagged], (), asked)).server == retagged


def test_new_starts_one_more_whatever_runs() -> None:
    there = ours(OUR_NAME)
    plan = decide(
        probe(containers=(there,)), [server(there)], [found(there)], wish(image=PYTORCH, new=True)
    )
    assert isinstance(plan, StartContainer)
    assert (plan.spec.name, plan.existing) == (f"{OUR_NAME}-2", None)


def test_engine_docker_leaves_the_hosts_own_server_aside() -> None:
    plan = decide(probe(), [server()], (), wish(image=PYTORCH, engine="docker"))
    assert isinstance(plan, StartContainer)


def test_an_open_server_is_refused_and_another_one_preferred() -> None:
    is_open = server(container("a"), access="open", started="2026-12-01T00:00:00Z")
    error = refused(decide(probe(), [is_open], (), wish(image=PYTORCH)))
    assert isinstance(error, ServerOpen)
    assert "--allow-open" in error.hint
    closed = server(None)
    assert reused(decide(probe(), [is_open, closed], (), wish())).server == closed
    assert reused(decide(probe(), [is_open, closed], (), wish(allow_open=True))).server == is_open


def test_new_is_a_way_around_an_open_server() -> None:
    is_open = server(container("a"), access="open")
    assert isinstance(decide(probe(), [is_open], (), wish(image=PYTORCH, new=True)), StartContainer)


def test_nothing_runs_so_a_container_of_the_image_is_started() -> None:
    plan = decide(probe(), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)
    assert (plan.spec.name, plan.spec.image, plan.existing) == (OUR_NAME, PYTORCH, None)


def test_no_image_is_refused_with_those_that_are_there() -> None:
    error = refused(decide(probe(), (), (), wish()))
    assert isinstance(error, NoImage)
    assert PYTORCH in error.hint
    assert TENSORFLOW in error.hint
    assert "no image at all" in refused(decide(probe(images=()), (), (), wish())).hint


def test_an_image_that_is_missing_is_refused_with_how_to_pull_it() -> None:
    error = refused(decide(probe(), (), (), wish(image="nvcr.io/nvidia/jax:1")))
    assert isinstance(error, ImageMissing)
    assert "remotenb pull HOST nvcr.io/nvidia/jax:1" in error.hint
    assert PYTORCH in error.hint


def test_an_image_may_go_by_its_short_name() -> None:
    short = PYTORCH.removeprefix("nvcr.io/nvidia/").removesuffix("-py3")
    plan = decide(probe(), (), (), wish(image=short))
    assert plan == decide(probe(), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)


def test_a_container_of_ours_that_gets_ready_is_waited_for() -> None:
    there = ours(OUR_NAME)
    plan = decide(probe(containers=(there,)), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)
    assert plan.existing == there


@pytest.mark.parametrize("image", [PYTORCH, None])
def test_a_container_of_ours_that_stopped_is_started_again(image: str | None) -> None:
    there = ours(OUR_NAME, status="exited", scan=None)
    plan = decide(probe(containers=(there,)), (), (), wish(image=image))
    assert isinstance(plan, StartContainer)
    assert plan.existing == there


def test_of_two_of_ours_that_stopped_the_one_without_a_number_is_started_again() -> None:
    first = ours(OUR_NAME, status="exited", scan=None)
    second = ours(f"{OUR_NAME}-2", status="exited", scan=None)
    plan = decide(probe(containers=(second, first)), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer), plan
    assert plan.existing == first


def test_another_users_container_made_by_remotenb_is_not_ours() -> None:
    bobs = ours("remotenb-bob-1", ownership="other", owner="bob", scan=None)
    plan = decide(probe(containers=(bobs,)), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)
    assert (plan.existing, plan.spec.name) == (None, OUR_NAME)


def test_ones_own_container_of_the_image_gets_a_server() -> None:
    own = container("by-hand")
    assert decide(probe(containers=(own,)), (), (), wish(image=PYTORCH)) == StartServer(own)


@pytest.mark.parametrize(
    "change",
    [
        {"ownership": "none"},
        {"ownership": "other"},
        {"status": "exited"},
        {"network": "none"},
        {"scan": Scan(python="/usr/bin/python3")},
        {"scan": None},
        {"image": TENSORFLOW, "image_id": TENSORFLOW_ID},
    ],
    ids=str,
)
def test_a_container_that_will_not_do_is_left_alone(change: dict[str, object]) -> None:
    there = container("by-hand", **change)
    plan = decide(probe(containers=(there,)), (), (), wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)
    assert plan.existing is None


def test_of_two_own_containers_none_is_chosen_for_a_new_server() -> None:
    there = (container("a"), container("b"))
    assert isinstance(decide(probe(containers=there), (), (), wish(image=PYTORCH)), StartContainer)


@pytest.mark.parametrize(("ownership", "whose"), [("other", "of bob"), ("none", "not remotenb's")])
def test_a_name_that_is_taken_is_refused_and_says_whose_it_is(ownership: str, whose: str) -> None:
    there = container(OUR_NAME, ownership=ownership, owner="bob", status="exited", scan=None)
    error = refused(decide(probe(containers=(there,)), (), (), wish(image=PYTORCH)))
    assert isinstance(error, NameTaken)
    assert whose in error.message
    assert "container_name" in error.hint


def test_docker_that_is_not_permitted_is_refused_with_the_group() -> None:
    there = no_engine(("docker", SOCKET_DENIED), ("sudo -n docker", PASSWORD))
    error = refused(decide(there, (), (), wish(image=PYTORCH)))  # type: ignore[arg-type]
    assert isinstance(error, EngineNotPermitted)
    assert "usermod -aG docker alice" in error.hint


def test_a_daemon_that_is_down_is_refused_with_how_to_start_it() -> None:
    there = no_engine(("docker", NO_DAEMON), ("sudo -n docker", PASSWORD))
    error = refused(decide(there, (), (), wish(image=PYTORCH)))  # type: ignore[arg-type]
    assert isinstance(error, EngineDown)
    assert "systemctl start docker" in error.hint


def test_no_engine_at_all_is_refused() -> None:
    error = refused(decide(no_engine(*ABSENT), (), (), wish(image=PYTORCH)))  # type: ignore[arg-type]
    assert isinstance(error, EngineMissing)
    assert "docker or podman" in error.message


def test_the_engine_that_was_asked_for_is_the_one_that_is_missed() -> None:
    asked = wish(image=PYTORCH, engine="podman")
    there = no_engine(("podman", "not found"))
    error = refused(decide(there, (), (), asked))  # type: ignore[arg-type]
    assert isinstance(error, EngineMissing)
    assert "no podman" in error.message


def test_a_podman_that_does_not_work_is_told_in_its_own_words() -> None:
    there = no_engine(*ABSENT[:2], ("podman", "mkdir /x: permission denied"))
    error = refused(decide(there, (), (), wish(image=PYTORCH)))  # type: ignore[arg-type]
    assert isinstance(error, EngineDown)
    assert "mkdir /x" in error.message


BUSYBOX = Image("localhost/busybox:1", "sha256:" + "c" * 64, "2 MB", PODMAN)
ROOTS = EngineState("podman", ("sudo", "-n", "podman"))


@pytest.mark.parametrize(
    "name", ["busybox:1", "localhost/busybox:1", "docker.io/library/busybox:1"]
)
def test_a_short_name_is_podmans_long_one(name: str) -> None:
    there = probe(engine=PODMAN, images=(BUSYBOX,))
    plan = decide(there, (), (), wish(image=name))
    assert isinstance(plan, StartContainer)
    assert plan.spec.engine is PODMAN


def test_of_two_podmans_the_one_that_has_the_image_makes_the_container() -> None:
    there = probe(engine=PODMAN, others=(ROOTS,), images=(replace(BUSYBOX, engine=ROOTS),))
    plan = decide(there, (), (), wish(image="busybox:1"))
    assert isinstance(plan, StartContainer)
    assert plan.spec.engine is ROOTS
    assert plan.spec.identity is not None
    assert not plan.spec.copies_image


def test_docker_is_not_left_for_an_image_but_it_is_said_who_has_it() -> None:
    error = refused(
        decide(probe(others=(PODMAN,), images=(BUSYBOX,)), (), (), wish(image="busybox:1"))
    )
    assert isinstance(error, ImageMissing)
    assert "--engine podman" in error.hint


def test_one_name_in_two_engines_is_no_clash() -> None:
    named = wish(image=PYTORCH, container_name="lab")
    podmans = container("lab", ownership="other", owner="bob", engine=PODMAN)
    assert isinstance(decide(probe(containers=(podmans,)), (), (), named), StartContainer)


def test_what_stopped_is_started_again_by_its_own_engine() -> None:
    stopped = ours("remotenb-alice-1", status="exited", scan=None, engine=PODMAN)
    plan = decide(probe(others=(PODMAN,), containers=(stopped,)), (), (), wish())
    assert isinstance(plan, StartContainer)
    assert (plan.existing, plan.spec.engine) == (stopped, PODMAN)


def test_engine_podman_leaves_the_hosts_own_server_aside() -> None:
    there = probe(engine=PODMAN, images=(BUSYBOX,))
    plan = decide(there, [server()], (), wish(image="busybox:1", engine="podman"))
    assert isinstance(plan, StartContainer)


@pytest.mark.parametrize("sudo", ["not found", PASSWORD, "sudo: docker: command not found"])
def test_a_box_without_docker_starts_the_jupyter_of_the_host(sudo: str) -> None:
    there = no_engine(
        ("docker", "not found"),
        ("sudo -n docker", sudo),
        ("podman", "not found"),
        host=WITH_JUPYTER,
    )
    assert decide(there, (), (), wish()) == StartServer(None)  # type: ignore[arg-type]


def test_a_docker_that_only_fails_does_not_lead_to_the_host() -> None:
    there = no_engine(("docker", NO_DAEMON), ("podman", "not found"), host=WITH_JUPYTER)
    assert isinstance(refused(decide(there, (), (), wish())), EngineDown)  # type: ignore[arg-type]


def test_engine_host_starts_the_hosts_jupyter_or_says_that_there_is_none() -> None:
    assert decide(probe(host=WITH_JUPYTER), (), (), wish(engine="host")) == StartServer(None)
    error = refused(decide(probe(), (), (), wish(engine="host")))
    assert isinstance(error, JupyterMissing)


def test_an_environment_of_the_host_that_is_not_there_or_has_no_jupyter_is_named() -> None:
    asked = wish(engine="host", environment="torch")
    error = refused(decide(probe(host=WITH_JUPYTER), (), (), asked))
    assert "no Python environment torch" in error.message
    entered = Scan(environment="/home/alice/envs/torch")
    error = refused(decide(probe(host=entered), (), (), asked))
    assert "/home/alice/envs/torch/bin/python -m pip install jupyterlab" in error.hint
    entered = replace(entered, jupyter="/home/alice/envs/torch/bin/jupyter")
    assert decide(probe(host=entered), (), (), asked) == StartServer(None)


def test_a_server_that_only_a_relay_reaches_is_said_before_a_second_one_is_started() -> None:
    hidden = found(container("a"), endpoints=(), obstacle="it listens on a unix socket")
    error = refused(decide(probe(), (), [hidden], wish(image=PYTORCH)))
    assert isinstance(error, ServerUnreachable)
    assert "unix socket" in error.message
    assert "--new" in error.hint
    asked = wish(image=PYTORCH, new=True)
    assert isinstance(decide(probe(), (), [hidden], asked), StartContainer)


def test_a_server_that_hangs_is_said_before_a_second_one_of_its_image_is_started() -> None:
    hangs = found(container("a", image=PYTORCH), obstacle="it did not answer within 20 s")
    for asked in (wish(image=PYTORCH), wish(image=PYTORCH, image_demanded=True)):
        error = refused(decide(probe(), (), [hangs], asked))
        assert isinstance(error, ServerUnreachable)
        assert error.message == "a Jupyter runs in container a, but it did not answer within 20 s"
        assert "overloaded" in error.hint
    another = found(container("b", image="busybox:1", image_id="sha256:b"), obstacle="x")
    plan = decide(probe(), (), [another], wish(image=PYTORCH, image_demanded=True))
    assert isinstance(plan, StartContainer)


def test_a_stale_file_or_a_strangers_server_that_cannot_be_reached_stops_nothing() -> None:
    stale = found(endpoints=(), obstacle="x", file=runtime_file(alive=False))
    bobs = found(container("b", ownership="other"), endpoints=(), obstacle="x")
    plan = decide(probe(), (), [stale, bobs], wish(image=PYTORCH))
    assert isinstance(plan, StartContainer)
