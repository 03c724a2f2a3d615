"""The command line that makes a container with podman: where it is not docker's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remotenb.engines import container_engine, engine_of
from remotenb.errors import GpuUnavailable
from remotenb.model import EngineState
from remotenb.spec import container_spec
from tests.pure.samples import PODMAN, PYTORCH, container, gpu, probe, wish

ROOTS = EngineState("podman", ("sudo", "-n", "podman"))
GPUS = (gpu(0), gpu(1), gpu(2, used=70000, processes=1))


def create(
    engine: EngineState = PODMAN, *, gpus: str = "none", cdi: bool = True, groups: bool = True
) -> list[str]:
    further = ((4711, "brats"),) if groups else ()
    there = probe(engine=engine, gpus=GPUS, cdi=cdi, groups=further)
    spec = container_spec(there, wish(image=PYTORCH, gpus=gpus))
    return list(container_engine(spec.engine).create(spec, ("serve",), launch="l4unch"))


def test_the_user_is_the_same_inside_and_outside() -> None:
    argv = create()
    assert argv[:2] == ["podman", "create"]
    assert "--userns=keep-id" in argv
    assert "--user=1000:0" in argv


def test_further_groups_are_kept_where_the_runtime_can_and_never_by_number() -> None:
    assert "--group-add=keep-groups" in create(replace(PODMAN, keeps_groups=True))
    assert not [word for word in create() if "group-add" in word]
    assert "--group-add=4711" in create(ROOTS)


def test_without_subordinate_ids_root_inside_is_the_user() -> None:
    argv = create(replace(PODMAN, keeps_ids=False))
    assert not [word for word in argv if word.startswith(("--user", "--userns"))]


def test_roots_podman_needs_no_other_user_namespace() -> None:
    argv = create(ROOTS)
    assert argv[:4] == ["sudo", "-n", "podman", "create"]
    assert "--user=1000:0" in argv
    assert not [word for word in argv if word.startswith("--userns")]


def test_only_rootless_with_another_identity_copies_the_image() -> None:
    def copies(engine: EngineState) -> bool:
        return container_spec(probe(engine=engine), wish(image=PYTORCH)).copies_image

    assert copies(PODMAN)
    assert not copies(ROOTS)
    assert not copies(replace(PODMAN, keeps_ids=False))


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        ("auto", ["0", "1"]),
        ("auto:1", ["0"]),
        ("all", ["all"]),
        ("0,2", ["0", "2"]),
        ("GPU-1", ["1"]),
        ("none", []),
    ],
)
def test_gpus_are_given_by_cdi_and_never_by_dockers_option(gpus: str, devices: list[str]) -> None:
    argv = create(gpus=gpus)
    assert [word for word in argv if "gpu" in word and "label" not in word] == [
        f"--device=nvidia.com/gpu={one}" for one in devices
    ]


@pytest.mark.parametrize("gpus", ["auto", "all", "0"])
def test_without_cdi_gpus_are_refused_with_how_to_get_it(gpus: str) -> None:
    with pytest.raises(GpuUnavailable) as caught:
        create(gpus=gpus, cdi=False)
    assert "nvidia-ctk cdi generate" in caught.value.hint
    assert create(gpus="none", cdi=False)


def test_podmans_word_for_a_gpu_is_proved() -> None:
    assert container_engine(PODMAN).proof_of_gpus("nb")[-2:] == ("nvidia-smi", "-L")


def test_its_policy_is_the_one_that_its_service_starts_after_a_reboot() -> None:
    assert "--restart=always" in create()
    assert container_engine(PODMAN).keep("nb") == ()


def test_what_is_no_notebook_is_not_started_again() -> None:
    spec = replace(container_spec(probe(engine=PODMAN), wish(image=PYTORCH)), state_dir="")
    assert "--restart=no" in container_engine(PODMAN).create(spec, ("make",), launch="l4unch")


def test_a_first_process_is_named_where_there_is_one() -> None:
    assert "--init-path=/usr/bin/catatonit" in create(replace(PODMAN, init="/usr/bin/catatonit"))
    assert "--init" not in create()


def test_each_container_is_entered_by_its_own_engine() -> None:
    assert engine_of(container("nb", engine=ROOTS)).inside("x")[:4] == (*ROOTS.argv, "exec")
    assert engine_of(None).inside("") == ()
