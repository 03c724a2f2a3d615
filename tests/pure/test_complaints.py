"""Docker's real texts, and what went wrong by them."""

from __future__ import annotations

import pytest

from remotenb.engines.complaints import understand
from remotenb.errors import (
    ContainerMissing,
    ContainerNotRunning,
    DiskFull,
    EngineDown,
    EngineNotPermitted,
    EngineRefused,
    FarSideError,
    GpuUnavailable,
    ImageMissing,
    JupyterFailed,
    JupyterMissing,
    JupyterNotReady,
    LimitRefused,
    MountMissing,
    NameTaken,
    ScriptFailed,
)
from remotenb.setback import why_no_server, why_not_started

DAEMON = "docker: Error response from daemon: "
RUNC = "OCI runtime create failed: runc create failed: unable to start container process: "
HOOK = f"{DAEMON}{RUNC}error during container init: error running hook #0: exit status 1, stderr: "
NVIDIA = f"{HOOK}nvidia-container-cli: initialization error: nvml error: "
SOCKET = "Docker daemon socket at unix:///var/run/docker.sock"
REAL: list[tuple[str, type[FarSideError]]] = [
    (f'{DAEMON}could not select device driver "" with capabilities: [[gpu]].', GpuUnavailable),
    (f"{DAEMON}Unknown runtime specified nvidia.\nSee 'docker run --help'.", GpuUnavailable),
    (f"{DAEMON}unknown or invalid runtime name: nvidia", GpuUnavailable),
    (f"{NVIDIA}driver not loaded: unknown.", GpuUnavailable),
    (f"{NVIDIA}driver/library version mismatch: unknown", GpuUnavailable),
    ("Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=7", GpuUnavailable),
    (
        f'{DAEMON}Conflict. The container name "/nb" is already in use by container "4f2a".',
        NameTaken,
    ),
    (
        f'{DAEMON}invalid mount config for type "bind": stat /home/alice/work: permission denied',
        MountMissing,
    ),
    (
        f'{DAEMON}invalid mount config for type "bind": bind source path does not exist: /nope',
        MountMissing,
    ),
    (
        f"{DAEMON}Error processing tar file(exit status 1): write /b: no space left on device",
        DiskFull,
    ),
    (f"{DAEMON}symlink ../4f/diff /var/lib/docker/l/X/link: no space left on device.", DiskFull),
    (f"{DAEMON}No such image: nvcr.io/nvidia/jax:1", ImageMissing),
    ("Unable to find image 'nvcr.io/nvidia/jax:1' locally", ImageMissing),
    (
        (
            f"permission denied while trying to connect to the {SOCKET}: dial unix "
            "/var/run/docker.sock: connect: permission denied"
        ),
        EngineNotPermitted,
    ),
    (f"Got permission denied while trying to connect to the {SOCKET}", EngineNotPermitted),
    ("sudo: a password is required", EngineNotPermitted),
    (
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
            "Is the docker daemon running?"
        ),
        EngineDown,
    ),
    (
        f"{DAEMON}{RUNC}error setting rlimit type 8: operation not permitted: unknown",
        LimitRefused,
    ),
    (f"{DAEMON}No such container: remotenb-alice-1", ContainerMissing),
    (
        (
            f"{DAEMON}driver failed programming external connectivity on endpoint x: "
            "Bind for 127.0.0.1:18888 failed: port is already allocated"
        ),
        EngineRefused,
    ),
]


IN_USE = "image is in use by a container: consider listing external containers"
PODMANS: list[tuple[str, type[FarSideError]]] = [
    (
        (
            "Error: unable to start container 57: crun: setrlimit `RLIMIT_MEMLOCK`: "
            "Operation not permitted: OCI permission denied"
        ),
        LimitRefused,
    ),
    ("Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=7", GpuUnavailable),
    ("Error: nope:1: image not known", ImageMissing),
    ("Error: statfs /home/alice/nope: no such file or directory", MountMissing),
    (
        (
            'Error: creating container storage: the container name "t1" is already in use by 33d0. '
            "You have to remove that container to be able to reuse that name: "
            "that name is already in use"
        ),
        NameTaken,
    ),
    ('Error: no container with name or ID "t1" found: no such container', ContainerMissing),
    (
        "Error: can only create exec sessions on running containers: container state improper",
        ContainerNotRunning,
    ),
    (
        (
            "Error: can only kill running containers. dffc is in state created: "
            "container state improper"
        ),
        ContainerNotRunning,
    ),
    (f"Error: image used by 7846: {IN_USE}", EngineRefused),
]


@pytest.mark.parametrize(("said", "error"), PODMANS, ids=[said[-40:] for said, _ in PODMANS])
def test_a_real_text_of_podman_becomes_the_error_it_means(
    said: str, error: type[FarSideError]
) -> None:
    meant = understand(said, engine="podman")
    assert type(meant) is error
    assert meant.message.startswith("podman: ")
    assert not meant.message.startswith("podman: Error")
    assert "docker" not in meant.hint
    assert "-v shows" not in meant.hint


@pytest.mark.parametrize(("said", "error"), REAL, ids=[said[-40:] for said, _ in REAL])
def test_a_real_text_of_docker_becomes_the_error_it_means(
    said: str, error: type[FarSideError]
) -> None:
    for text in (said, said.upper(), f"4f2a\n{said}\n"):
        meant = understand(text)
        assert type(meant) is error
        assert meant.message.startswith("docker: ")
        assert meant.hint
        assert "\n" not in meant.message


def test_who_is_not_permitted_is_named_in_the_hint() -> None:
    assert (
        "usermod -aG docker alice" in understand("sudo: a password is required", user="alice").hint
    )


def test_a_text_that_nobody_knows_is_shown_as_it_is_on_one_line() -> None:
    error = understand("Error response from daemon: \x1b[31msomething\nodd")
    assert type(error) is EngineRefused
    assert error.message == "docker: something odd"
    assert understand("").message == "docker: it failed without a word"


def test_without_a_driver_the_hint_is_not_to_install_the_toolkit() -> None:
    assert "Toolkit" in understand("could not select device driver").hint
    assert "driver" in understand("nvml error: driver not loaded").hint
    assert "--gpus none" in understand("nvml error: driver not loaded").hint


def test_a_folder_that_cannot_be_made_is_named() -> None:
    said = b"mkdir: '/data/x': Permission denied\nremotenb: cannot make /data/x\n"
    error = why_not_started(said, user="alice")
    assert type(error) is MountMissing
    assert "/data/x" in error.message


@pytest.mark.parametrize(
    "said", [b"cat: write error: No space left on device", b"Disk quota exceeded"]
)
def test_a_full_home_is_said(said: bytes) -> None:
    assert type(why_not_started(said, user="alice")) is DiskFull


def test_what_docker_said_at_the_start_is_understood() -> None:
    assert type(why_not_started(b"No such image: x", user="alice")) is ImageMissing
    assert type(why_not_started(b"\xff", user="alice")) is EngineRefused


@pytest.mark.parametrize(
    ("record", "content", "error"),
    [
        ("@ended 127", "@missing jupyter", JupyterMissing),
        ("@ended 127", "@missing python", JupyterMissing),
        ("@ended 1", "Traceback\nOSError: [Errno 98]", JupyterFailed),
        ("@silent", "still loading", JupyterNotReady),
    ],
)
def test_the_end_of_a_server_that_did_not_start_is_explained_with_its_log(
    record: str, content: str, error: type[FarSideError]
) -> None:
    why = why_no_server([("@state /x", ""), (record, content)], b"", "container nb", 60.0)
    assert type(why) is error
    assert "container nb" in why.message
    assert error is JupyterMissing or content.splitlines()[-1] in why.detail


def test_a_start_that_left_no_record_is_explained_by_stderr() -> None:
    assert type(why_no_server([], b"sh: No space left on device", "nb", 60.0)) is DiskFull
    failed = why_no_server([], b"sh: cd: /nope: No such file or directory", "nb", 60.0)
    assert type(failed) is ScriptFailed
    assert "/nope" in failed.message
