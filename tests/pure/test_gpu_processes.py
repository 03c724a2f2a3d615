"""Who computes on a GPU, from what the machine prints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remotenb.gpus import parse
from remotenb.model import Container

ID = "ab" * 32
TRAINING = Container(ID, "training", "x", "y", "running", owner="alice", ownership="mine")


def test_root_in_a_container_is_the_containers_owner() -> None:
    line = f"GPU-1\t40000\t4242\troot\t{ID}\tfe-01\tpython3\n"
    (one,) = parse(line, (TRAINING,))
    assert (one.user, one.container, one.kernel) == ("alice", "training", "fe-01")
    assert (one.gpu, one.memory, one.pid) == ("GPU-1", 40000, 4242)


def test_what_is_not_told_is_none() -> None:
    (one,) = parse("GPU-1\t[N/A]\t7\t\t\t\t\n", ())
    assert (one.memory, one.user, one.container, one.kernel) == (None, None, None, None)


@given(st.text())
def test_garbage_is_nobody(text: str) -> None:
    for one in parse(text, (TRAINING,)):
        assert one.pid >= 0
