"""The command line that makes a container."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.engines.docker import Docker
from remotenb.model import EngineState, Mount
from remotenb.spec import container_spec
from tests.pure.samples import PYTORCH, probe, wish

if TYPE_CHECKING:
    from remotenb.decision import ContainerSpec

SPEC = container_spec(
    probe(),
    wish(
        image=PYTORCH,
        volumes=("~/work:/workspace", "/data:/data:ro"),
        env={"A": "1", "B": "x y"},
        run_args=("--cpus=4",),
        root_dir="/workspace",
    ),
)


def create(spec: ContainerSpec = SPEC, *, engine: tuple[str, ...] = ("docker",)) -> list[str]:
    return list(
        Docker(EngineState("docker", engine)).create(
            spec, ("sh", "/run/remotenb/serve.sh"), launch="l4unch"
        )
    )


def options(argv: list[str], name: str) -> list[str]:
    before = argv[: argv.index(SPEC.image)]
    return [word.removeprefix(f"--{name}=") for word in before if word.startswith(f"--{name}=")]


def test_no_port_is_published() -> None:
    assert options(create(), "publish") == []
    assert not [word for word in create() if word in {"-p", "-P", "--publish-all"}]


def test_no_token_is_in_it() -> None:
    tokens = [word for word in create() if "token" in word.lower()]
    assert tokens == ["--env=JUPYTER_TOKEN_FILE=/run/remotenb/token"]


def test_nothing_is_pulled_and_nothing_restarts_before_it_is_known_to_work() -> None:
    assert options(create(), "pull") == ["never"]
    assert options(create(), "restart") == ["no"]


def test_labels_say_whose_it_is_and_which_launch_made_it() -> None:
    assert options(create(), "label") == [
        f"remotenb.name={SPEC.name}",
        "remotenb.user=alice",
        "remotenb.launch=l4unch",
    ]


def test_the_image_comes_after_all_options_and_before_the_command() -> None:
    argv = create()
    assert argv[-3:] == [PYTORCH, "sh", "/run/remotenb/serve.sh"]
    assert argv[-4] == "--cpus=4"
    assert all(word.startswith("--") for word in argv[2:-3])


def test_the_engines_own_command_comes_first() -> None:
    assert create(engine=("sudo", "-n", "docker"))[:4] == ["sudo", "-n", "docker", "create"]


def test_settings_become_options() -> None:
    argv = create(replace(SPEC, gpus='"device=0,1"', shm_size="8g", ipc=None))
    assert options(argv, "gpus") == ['"device=0,1"']
    assert options(argv, "shm-size") == ["8g"]
    assert options(argv, "ipc") == []
    assert options(argv, "ulimit") == ["memlock=-1", "stack=67108864"]
    assert options(argv, "env")[-2:] == ["A=1", "B=x y"]
    assert options(argv, "workdir") == ["/workspace"]


def test_nvidias_own_runtime_takes_the_gpus_by_the_environment() -> None:
    argv = create(replace(SPEC, gpus='"device=0,1"', runtime="nvidia"))
    assert (options(argv, "runtime"), options(argv, "gpus")) == (["nvidia"], [])
    assert "NVIDIA_VISIBLE_DEVICES=0,1" in options(argv, "env")
    none = create(replace(SPEC, gpus=None, runtime="nvidia"))
    assert "NVIDIA_VISIBLE_DEVICES=void" in options(none, "env")
    other = create(replace(SPEC, gpus="all", runtime="sysbox-runc"))
    assert (options(other, "runtime"), options(other, "gpus")) == (["sysbox-runc"], ["all"])


def test_network_and_ports_are_handed_on() -> None:
    argv = create(replace(SPEC, network="lab", ports=("127.0.0.1:80:80",)))
    assert options(argv, "network") == ["lab"]
    assert options(argv, "publish") == ["127.0.0.1:80:80"]


def test_without_a_notebook_there_is_no_token_and_no_state_folder() -> None:
    argv = create(replace(SPEC, state_dir=""))
    assert not [word for word in argv[:-2] if "/run/remotenb" in word]


def test_selinux_is_told_or_left_out_and_no_folder_is_labelled_unasked() -> None:
    beside = replace(probe(), engine=replace(probe().engine, selinux=True))
    plain = create(container_spec(beside, wish(image=PYTORCH, volumes=("/d:/d",))))
    assert options(plain, "security-opt") == ["label=disable"]
    asked = create(container_spec(beside, wish(image=PYTORCH, volumes=("/d:/d:ro,z", "/e:/e"))))
    assert options(asked, "security-opt") == []
    state, data = options(asked, "volume")
    assert state.endswith(":/run/remotenb:rw,Z")
    assert data == "/d:/d:ro,z"
    assert len(options(asked, "mount")) == 1


def test_without_gpus_none_are_asked_for() -> None:
    assert options(create(replace(SPEC, gpus=None)), "gpus") == []


def mounted(*mounts: Mount, state_dir: str = "/home/alice/s") -> list[dict[str, str]]:
    """The mounts as docker reads them: each option is one record of CSV."""
    argv = create(replace(SPEC, mounts=mounts, state_dir=state_dir))
    read = [next(csv.reader([word], strict=True)) for word in options(argv, "mount")]
    return [dict(field.partition("=")[::2] for field in fields) for fields in read]


def test_the_state_folder_is_mounted_where_jupyter_looks_for_its_token() -> None:
    assert mounted(state_dir="/home/a,b/s") == [
        {"type": "bind", "src": "/home/a,b/s", "dst": "/run/remotenb"}
    ]


def test_folders_are_bound_and_read_only_ones_say_so() -> None:
    _, work, data = mounted(Mount("/w", "/workspace"), Mount("/d", "/data", read_only=True))
    assert work == {"type": "bind", "src": "/w", "dst": "/workspace"}
    assert data == {"type": "bind", "src": "/d", "dst": "/data", "readonly": ""}


@pytest.mark.parametrize("path", ["/a,b", '/a"b', "/a b", "/a=b", "/'a'", '/",ro="', "/é", "/a,"])
def test_a_folders_name_survives_the_commas_and_quotes_in_it(path: str) -> None:
    (_, seen) = mounted(Mount(path, path))
    assert seen == {"type": "bind", "src": path, "dst": path}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_any_folders_name_survives(name: str) -> None:
    (_, seen) = mounted(Mount(f"/{name}", f"/{name}"))
    assert (seen["src"], seen["dst"]) == (f"/{name}", f"/{name}")
    assert len(seen) == 3
