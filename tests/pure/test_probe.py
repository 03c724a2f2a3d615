"""What the probe's answer means; a hostile one is an error of ours and nothing worse."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import ScriptFailed
from remotenb.model import Gpu, Listening, Published
from remotenb.probe import parse
from tests.pure.samples import PYTORCH, PYTORCH_ID

ID, BOBS = "4f2a" * 16, "b0b0" * 16
NETWORK = {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}


def member(out: str | bytes, code: int = 0, err: str = "") -> dict[str, object]:
    raw = out.encode() if isinstance(out, str) else out
    return {
        "out": base64.b64encode(raw).decode(),
        "rc": code,
        "err": base64.b64encode(err.encode()).decode(),
    }


def rows(*objects: object) -> dict[str, object]:
    return member("".join(json.dumps(one) + "\n" for one in objects))


CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Name": "/nb",
    "Status": "running",
    "Image": PYTORCH_ID,
    "Ref": PYTORCH,
    "Labels": {"remotenb.user": "alice"},
    "NetworkMode": "bridge",
    "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}],
    "Runtime": "runc",
    "Networks": NETWORK,
    "Ports": {
        "6006/tcp": None,
        "8888/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18888"}, {"HostIp": "::", "HostPort": "1"}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
    },
}
BOX: dict[str, Any] = {
    "about": member("alice\n1000\n/home/alice\n1000\n1000 alice\n990 docker\n"),
    "gpus": member(
        "0, GPU-a, NVIDIA A100, 81920, 0, 0\n1, GPU-b, NVIDIA A100, 81920, 70000, [N/A]\n"
    ),
    "gpu_processes": member("GPU-b, 4711\nGPU-b, 4712\n"),
    "toolkit": member("/usr/bin/nvidia-ctk\n"),
    "host_scan": member("@listen 0100007F:22B8\n@python /usr/bin/python3\n"),
    "docker": member("", 1, "permission denied"),
    "sudo_docker": rows({"Server": {"Version": "20.10.24"}}),
    "version": 1,
}
DOCKER: dict[str, Any] = {
    "info": rows({"Runtimes": {"nvidia": {}, "runc": {}}}),
    "images": rows(
        {
            "Repository": "nvcr.io/nvidia/pytorch",
            "Tag": "25.10-py3",
            "ID": PYTORCH_ID,
            "Size": "2G",
        },
        {"Repository": "<none>", "Tag": "<none>", "ID": "x", "Size": "1"},
        {"Repository": "mine", "Tag": "<none>", "ID": "y", "Size": "1"},
    ),
    "containers": rows(CONTAINER, {**CONTAINER, "Id": BOBS, "Name": "/bobs"}),
    "owners": member(
        f"{ID}\tmine\talice\tits label says so\n{BOBS}\tother\tbob\tit mounts /home/bob/x\n"
    ),
    "scans": {ID: member("@jupyter /usr/bin/jupyter\n"), "": None},
    "": None,
}
PODMAN = {
    "Version": "4.3.1",
    "Rootless": True,
    "SELinux": False,
    "Runtime": "crun",
    "Ids": {"uidmap": [{"container_id": 0}, {"container_id": 1}]},
}
IN_PODMAN: dict[str, Any] = {
    "surroundings": member("systemd\nlinger\nrestart\ninit /usr/bin/catatonit\n"),
    "images": rows({"Repository": "localhost/mine", "Tag": "1", "ID": PYTORCH_ID, "Size": "2 GB"}),
    "containers": rows(
        {
            **CONTAINER,
            "Name": "theirs",
            "Image": PYTORCH_ID.removeprefix("sha256:"),
            "DeviceRequests": None,
            "Networks": None,
            "Restart": "always",
        }
    ),
    "devices": member(f"{ID} 0\n{ID} 1\n"),
    "": None,
}


def answer(**changes: object) -> bytes:
    """The whole of it; what is known of docker's own goes into what is in docker."""
    inside = {key: changes.pop(key) for key in list(changes) if key in DOCKER}
    return json.dumps({**BOX, "in_sudo_docker": {**DOCKER, **inside}, **changes}).encode()


def test_the_user_and_the_home_are_read() -> None:
    seen = parse(answer())
    assert (seen.user, seen.uid, seen.home) == ("alice", 1000, "/home/alice")


def test_the_engine_that_answered_is_told_with_what_the_others_said() -> None:
    engine = parse(answer()).engine
    assert (engine.name, engine.argv) == ("docker", ("sudo", "-n", "docker"))
    assert engine.version == "20.10.24"
    assert engine.refusals == (("docker", "permission denied"),)


def test_without_an_engine_each_refusal_is_told() -> None:
    changes = {"sudo_docker": member("", 1), "podman": member("", 127, "sh: podman: not found")}
    engine = parse(answer(**changes)).engine
    assert (engine.name, engine.argv) == (None, ())
    assert engine.refusals == (
        ("docker", "permission denied"),
        ("sudo -n docker", "exit code 1"),
        ("podman", "not found"),
    )


def with_podman(**changes: object) -> bytes:
    around = {**IN_PODMAN, **{k: v for k, v in changes.items() if k in IN_PODMAN}}
    about = {k: v for k, v in changes.items() if k not in IN_PODMAN}
    return answer(podman=rows({**PODMAN, **about}), in_podman=around)


def test_each_engine_that_answered_is_there_with_what_is_in_it() -> None:
    seen = parse(with_podman())
    assert [" ".join(one.argv) for one in seen.engines] == ["sudo -n docker", "podman"]
    assert [(one.name, one.engine.name) for one in seen.containers] == [
        ("nb", "docker"),
        ("bobs", "docker"),
        ("theirs", "podman"),
    ]
    assert (seen.images[-1].ref, seen.images[-1].engine.argv) == ("localhost/mine:1", ("podman",))


@pytest.mark.parametrize(("own", "first"), [("", "sudo -n podman"), ("images", "podman")])
def test_a_podman_of_ones_own_that_has_nothing_stands_behind_roots_that_is_used(
    own: str, first: str
) -> None:
    members = {
        "sudo_docker": member("", 127, "sh: docker: not found"),
        "podman": rows(PODMAN),
        "in_podman": {own: IN_PODMAN[own], "": None} if own else {"": None},
        "sudo_podman": rows({**PODMAN, "Rootless": False}),
        "in_sudo_podman": IN_PODMAN,
    }
    assert " ".join(parse(answer(**members)).engine.argv) == first


@pytest.mark.parametrize(
    ("status", "manifest_ids"),
    [([["driver-type", "io.containerd.snapshotter.v1"]], True), ([["Backing", "ext"]], False)],
)
def test_a_store_whose_ids_are_manifests_is_known(
    status: list[list[str]], *, manifest_ids: bool
) -> None:
    engine = parse(answer(info=rows({"DriverStatus": status}))).engine
    assert engine.manifest_ids is manifest_ids


def test_podmans_containers_say_what_dockers_do() -> None:
    podmans = parse(with_podman()).containers[-1]
    assert (podmans.image_id, podmans.gpus, podmans.restarts) == (PYTORCH_ID, "0,1", True)


@pytest.mark.parametrize(
    ("around", "after_logout", "after_reboot"),
    [
        ("systemd\nlinger\nrestart\n", True, True),
        ("systemd\nlinger\n", True, False),
        ("systemd\nrestart\n", False, False),
        ("restart\n", True, True),
        ("", True, False),
    ],
)
def test_what_ends_a_container_of_the_users_podman_is_known(
    around: str, *, after_logout: bool, after_reboot: bool
) -> None:
    seen = parse(with_podman(surroundings=member(around)))
    engine = seen.others[0]
    assert (engine.after_logout, engine.after_reboot) == (after_logout, after_reboot)
    assert seen.containers[-1].restarts is after_reboot


def test_roots_podman_needs_nobody_to_be_logged_in() -> None:
    engine = parse(with_podman(Rootless=False, surroundings=member("systemd\n"))).others[0]
    assert (engine.after_logout, engine.rootless, engine.keeps_ids) == (True, False, False)


@pytest.mark.parametrize(
    ("version", "rootless", "freezes"),
    [("v1", True, False), ("v2", True, True), ("v1", False, True)],
)
def test_without_root_podman_freezes_containers_on_newer_control_groups_alone(
    version: str, *, rootless: bool, freezes: bool
) -> None:
    seen = parse(with_podman(Cgroups=version, Rootless=rootless))
    assert seen.engines[1].freezes is freezes


def test_what_podman_can_do_for_a_user_is_read() -> None:
    engine = parse(with_podman()).others[0]
    assert (engine.rootless, engine.keeps_ids, engine.keeps_groups) == (True, True, True)
    assert engine.init == "/usr/bin/catatonit"
    poor = parse(with_podman(Ids={"uidmap": [{}]}, Runtime="runc")).others[0]
    assert (poor.keeps_ids, poor.keeps_groups) == (False, False)


@pytest.mark.parametrize(
    "odd", [{"Ids": 7}, {"Version": None}, {"surroundings": 3}, {"devices": member("\n \n")}]
)
def test_an_odd_podman_is_an_engine_all_the_same(odd: dict[str, object]) -> None:
    assert parse(with_podman(**odd)).others[0].name == "podman"


def test_gpus_are_read_with_what_uses_them() -> None:
    assert parse(answer()).gpus == (
        Gpu(0, "GPU-a", "NVIDIA A100", 81920, 0, 0, 0),
        Gpu(1, "GPU-b", "NVIDIA A100", 81920, 70000, 0, 2),
    )
    assert parse(answer()).gpu_toolkit


def test_a_driver_that_fails_is_told_in_its_own_words() -> None:
    seen = parse(answer(gpus=member("NVIDIA-SMI has failed\n", 9)))
    assert (seen.gpus, seen.gpu_refusal) == ((), "NVIDIA-SMI has failed")


def test_containers_are_read_with_ports_networks_gpus_and_owner() -> None:
    mine, bobs = parse(answer()).containers
    assert (mine.name, mine.image, mine.image_id, mine.gpus) == ("nb", PYTORCH, PYTORCH_ID, "all")
    assert mine.addresses == ("172.17.0.2",)
    assert mine.published == (Published(8888, "0.0.0.0", 18888), Published(8888, "::", 1))
    assert (mine.ownership, mine.owner, mine.evidence) == ("mine", "alice", "its label says so")
    assert mine.scan is not None
    assert mine.scan.jupyter == "/usr/bin/jupyter"
    assert (bobs.name, bobs.ownership, bobs.owner, bobs.scan) == ("bobs", "other", "bob", None)


@pytest.mark.parametrize(
    ("changes", "gpus"),
    [
        ({"DeviceRequests": [{"Count": 0, "DeviceIDs": ["0", "1"]}]}, "0,1"),
        ({"DeviceRequests": [{"Count": 2, "DeviceIDs": None}]}, "2"),
        ({"DeviceRequests": None}, None),
        ({"DeviceRequests": None, "Runtime": "nvidia"}, "all"),
    ],
)
def test_a_containers_gpus_are_all_some_a_number_or_none(
    changes: dict[str, object], gpus: str | None
) -> None:
    (seen,) = parse(answer(containers=rows({**CONTAINER, **changes}))).containers
    assert seen.gpus == gpus


def test_images_without_a_name_are_left_out() -> None:
    assert [image.ref for image in parse(answer()).images] == [PYTORCH, "mine"]


def test_the_host_itself_is_looked_at() -> None:
    host = parse(answer()).host
    assert (host.listening, host.python) == ((Listening("127.0.0.1", 8888),), "/usr/bin/python3")


def test_a_scan_that_failed_leaves_its_container_unentered() -> None:
    seen = parse(answer(scans={ID: member("@jupyter /x\n", 126)}))
    assert seen.containers[0].scan is None


def test_escape_sequences_in_names_do_not_survive() -> None:
    named = {**CONTAINER, "Name": "/a\x1b[31mb", "Ref": "i\x1b]0;x\x07mg"}
    (seen,) = parse(answer(containers=rows(named))).containers
    assert (seen.name, seen.image) == ("ab", "img")


@pytest.mark.parametrize(
    "changes",
    [{"Ports": {"8888/tcp": [{"HostPort": "x"}]}}, {"Networks": [1]}, {"Name": None}, {"Ref": 3}],
    ids=str,
)
def test_a_container_described_in_an_unknown_way_is_left_out(changes: dict[str, object]) -> None:
    strange = {**CONTAINER, **changes}
    seen = parse(answer(containers=rows(strange, {**CONTAINER, "Id": BOBS})))
    assert [container.id for container in seen.containers] == [BOBS]


@pytest.mark.parametrize(
    "changes",
    [
        {"containers": rows({**CONTAINER, "Id": []})},
        {"containers": rows({**CONTAINER, "Ports": {"1/tcp": [{"HostPort": 1e999}]}})},
        {"gpus": member("², GPU-a, A100, 1, 1, 1\n")},
        {"gpus": member("0, GPU-a, A100, ², 1, 1\n")},
        {"gpu_processes": None},
        {"gpu_processes": "x", "gpus": "x"},
    ],
    ids=["list as id", "infinite port", "index", "memory", "processes", "words"],
)
def test_a_hostile_member_is_left_out_or_an_error_of_ours(changes: dict[str, object]) -> None:
    try:
        assert parse(answer(**changes)).user == "alice"
    except ScriptFailed as error:
        assert error.hint  # noqa: PT017  either outcome is right


def test_a_table_of_gpus_without_their_processes_is_not_a_crash() -> None:
    without = {name: value for name, value in BOX.items() if name != "gpu_processes"}
    assert len(parse(json.dumps(without).encode()).gpus) == 2


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"{}", b"{", b"\xff", b'{"about": 1}', b"[" * 100_000, answer()[:-9]],
)
def test_an_answer_that_makes_no_sense_is_a_failed_script(raw: bytes) -> None:
    with pytest.raises(ScriptFailed, match="makes no sense") as raised:
        parse(raw)
    assert raised.value.code == 4
    assert "\n" not in raised.value.message


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_probe_or_a_failed_script(raw: bytes) -> None:
    try:
        parse(raw)
    except ScriptFailed as error:
        assert error.code == 4  # noqa: PT017  either outcome is right


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(set(BOX) - {"about"})), JSON))
def test_any_members_are_a_probe(changes: dict[str, object]) -> None:
    assert parse(answer(**changes)).user == "alice"


@given(st.dictionaries(st.sampled_from(sorted(set(CONTAINER) - {"Id"})), JSON))
def test_any_description_of_a_container_is_a_probe(changes: dict[str, object]) -> None:
    assert parse(answer(containers=rows({**CONTAINER, **changes}))).user == "alice"
