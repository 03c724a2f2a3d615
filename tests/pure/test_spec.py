"""The container to start: a stable name, paths of the box, GPUs that are free."""

from __future__ import annotations

import pytest

from remotenb.errors import GpuUnavailable
from remotenb.model import Mount
from remotenb.settings import GpuRequest, parse_gpus
from remotenb.spec import absolute, choose_gpus, container_name, container_spec
from tests.pure.samples import PYTORCH, TENSORFLOW, container, gpu, ours, probe, wish

IDLE, BUSY = gpu(0), gpu(1, used=70_000, processes=1)


def test_the_name_is_the_same_for_the_same_user_and_image() -> None:
    name = container_name(probe(), wish(image=PYTORCH))
    assert name == container_name(probe(containers=(container("x"),)), wish(image=PYTORCH))
    assert name.startswith("remotenb-alice-")


def test_the_name_differs_by_user_and_by_image() -> None:
    names = {
        container_name(probe(), wish(image=PYTORCH)),
        container_name(probe(), wish(image=TENSORFLOW)),
        container_name(probe(user="bob"), wish(image=PYTORCH)),
    }
    assert len(names) == 3


def test_a_name_that_was_set_is_taken() -> None:
    assert container_name(probe(), wish(image=PYTORCH, container_name="train")) == "train"


def test_a_users_odd_letters_make_a_name_that_docker_takes() -> None:
    name = container_name(probe(user="CORP\\jörg smith"), wish(image=PYTORCH))
    assert name.startswith("remotenb-CORP-j-rg-smith-")


def test_one_more_gets_the_first_number_that_is_free() -> None:
    base = container_name(probe(), wish(image=PYTORCH))
    there = (container(base), container(f"{base}-2"))
    new = wish(image=PYTORCH, new=True)
    assert container_name(probe(containers=there), new) == f"{base}-3"
    assert container_name(probe(), new) == f"{base}-2"


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/data", "/data"),
        ("~", "/home/alice"),
        ("~/", "/home/alice"),
        ("~/work", "/home/alice/work"),
        ("work", "/home/alice/work"),
        ("", "/home/alice"),
        ("~//work", "/home/alice/work"),
    ],
)
def test_paths_start_at_the_home_of_the_box(path: str, there: str) -> None:
    assert absolute(path, "/home/alice") == there


def test_a_home_that_is_the_root_is_still_a_path() -> None:
    assert absolute("~", "/") == "/"
    assert absolute("~/work", "/") == "/work"


def test_the_specs_folders_are_absolute_and_its_state_is_in_the_users_home() -> None:
    spec = container_spec(probe(), wish(image=PYTORCH, volumes=("~/work:/workspace:ro",)))
    assert spec.mounts == (Mount("/home/alice/work", "/workspace", read_only=True),)
    assert spec.state_dir == f"/home/alice/.local/state/remotenb/{spec.name}"
    assert (spec.image, spec.owner) == (PYTORCH, "alice")


def test_a_container_that_was_there_keeps_its_image_name_and_gpus() -> None:
    was = ours("remotenb-alice-1", image=TENSORFLOW, gpus="0,1", status="exited")
    spec = container_spec(probe(), wish(image=PYTORCH, gpus="auto:8"), was)
    assert (spec.name, spec.image, spec.gpus) == (was.name, TENSORFLOW, "0,1")


def test_auto_takes_every_idle_gpu() -> None:
    there = probe(gpus=(IDLE, BUSY, gpu(2), gpu(3)))
    assert choose_gpus(GpuRequest("auto"), there) == '"device=0,2,3"'
    assert choose_gpus(GpuRequest("auto", count=2), there) == '"device=0,2"'
    assert choose_gpus(GpuRequest("auto", count=1), there) == "device=0"


def test_auto_means_none_where_the_box_has_none() -> None:
    assert choose_gpus(GpuRequest("auto"), probe()) is None


def test_auto_with_a_number_is_refused_where_the_box_has_none() -> None:
    with pytest.raises(GpuUnavailable):
        choose_gpus(GpuRequest("auto", count=1), probe())


def test_busy_gpus_are_never_taken_unasked() -> None:
    with pytest.raises(GpuUnavailable, match="0 of 1 GPUs are idle: GPU 1 has 70000 MiB") as raised:
        choose_gpus(GpuRequest("auto"), probe(gpus=(BUSY,)))
    assert "--gpus none" in raised.value.hint


def test_fewer_idle_ones_than_asked_for_is_refused() -> None:
    with pytest.raises(GpuUnavailable, match="1 of 2"):
        choose_gpus(GpuRequest("auto", count=2), probe(gpus=(IDLE, BUSY)))


def test_more_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(GpuUnavailable, match="1 of 1 GPUs are idle, and 9 are wanted"):
        choose_gpus(GpuRequest("auto", count=9), probe(gpus=(IDLE,)))


@pytest.mark.parametrize(
    "busy", [gpu(0, used=513), gpu(0, load=11), gpu(0, processes=1)], ids=["memory", "load", "job"]
)
def test_a_gpu_is_busy_by_its_memory_its_load_or_a_process(busy: object) -> None:
    with pytest.raises(GpuUnavailable):
        choose_gpus(GpuRequest("auto"), probe(gpus=(busy,)))


def test_a_driver_that_does_not_answer_is_said_in_its_own_words() -> None:
    there = probe(gpu_refusal="NVIDIA-SMI has failed")
    for text in ("auto", "auto:1"):
        with pytest.raises(GpuUnavailable, match="NVIDIA-SMI has failed"):
            choose_gpus(parse_gpus(text), there)
    with pytest.raises(GpuUnavailable) as raised:
        choose_gpus(parse_gpus("0"), there)
    assert "NVIDIA-SMI has failed" in raised.value.hint


def test_a_named_gpu_is_taken_even_if_it_is_busy() -> None:
    there = probe(gpus=(IDLE, BUSY))
    assert choose_gpus(parse_gpus("1"), there) == "device=1"
    assert choose_gpus(parse_gpus("GPU-1,0"), there) == '"device=GPU-1,0"'
    assert choose_gpus(parse_gpus("MIG-1/2/0"), there) == "device=MIG-1/2/0"


def test_a_gpu_that_is_not_there_is_named_and_those_that_are_listed() -> None:
    with pytest.raises(GpuUnavailable, match="no GPU 7") as raised:
        choose_gpus(parse_gpus("7"), probe(gpus=(IDLE,)))
    assert "0 (NVIDIA A100)" in raised.value.hint


def test_all_and_none_are_passed_on() -> None:
    assert choose_gpus(parse_gpus("all"), probe(gpus=(BUSY,))) == "all"
    assert choose_gpus(parse_gpus("none"), probe(gpus=(IDLE,))) is None
