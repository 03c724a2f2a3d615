"""What a check-up makes of what it saw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb import checkup, errors
from remotenb.checkup import Finding, box, parse, untested, way
from remotenb.model import EngineState, Gpu, Host, Image, Probe

HOST = Host(name="gpu-box", hostname="10.0.0.5", user="alice")
GPUS = (Gpu(0, "GPU-0", "A100", 81920, 4, 0),)
DOCKER = EngineState("docker", ("docker",), "28.0")


def probe(**members: object) -> Probe:
    facts: dict[str, object] = {"user": "alice", "uid": 1000, "home": "/home/alice"}
    return Probe(**{**facts, "engine": DOCKER, **members})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "link"),
    [
        (errors.HostUnknown("no such name"), "name"),
        (errors.HostUnreachable("timed out"), "TCP"),
        (errors.ProtocolFailed("no banner"), "SSH"),
        (errors.HostKeyChanged("another key"), "host key"),
        (errors.AuthenticationFailed("no key"), "login"),
        (errors.KeyUnusable("no key file"), "login"),
    ],
)
def test_an_error_breaks_its_link_and_leaves_those_before_it_whole(
    error: errors.LinkError, link: str
) -> None:
    findings = list(way.way_in(HOST, error, 0.0))
    assert findings[-1] == Finding(link, "broken", error.message, error.hint)
    assert {one.state for one in findings[:-1]} <= {"ok"}
    assert checkup.code(findings) == 3
    rest = [one.link for one in untested(findings, "not reached")]
    assert [*(one.link for one in findings), *rest] == list(checkup.CHAIN)


def test_every_error_of_the_link_breaks_some_link() -> None:
    for kind in errors.LinkError.__subclasses__():
        assert list(way.way_in(HOST, kind("x"), 0.0))[-1].state == "broken"


@pytest.mark.parametrize(
    ("links", "code"),
    [((), 0), (("disk",), 4), (("tunnel", "browser"), 5), (("login", "tunnel"), 3)],
)
def test_the_exit_code_is_the_first_broken_links(links: tuple[str, ...], code: int) -> None:
    findings = [Finding("name", "warning", ""), *(Finding(one, "broken", "") for one in links)]
    assert checkup.code(findings) == code


@given(st.text())
def test_whatever_the_box_answers_is_parsed(text: str) -> None:
    facts = parse(text)
    seen = probe(gpus=GPUS)
    findings = [way.clock(facts, 0.0), way.home(facts), box.disk(facts)]
    findings += box.inside({"inside_code": "0", **facts}, seen, "x")
    assert not any("\x1b" in one.said for one in findings)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("1000", "agrees with the laptop's"),
        ("1500", "the box is 500 s ahead of the laptop"),
        ("400", "the box is 600 s behind the laptop"),
        ("now", "the box did not tell its time"),
    ],
)
def test_the_clocks_are_compared(time: str, said: str) -> None:
    assert way.clock({"time": time}, 1000.0).said == said


def test_little_room_for_images_is_a_warning() -> None:
    facts = {"engine_root": "/var/lib/docker", "engine_space": f"{5 << 20} {100 << 20}"}
    found = box.disk(facts)
    assert found.state == "warning"
    assert found.said == "5.0 GiB of 100.0 GiB free in /var/lib/docker"


def test_gpus_that_a_container_lost_are_told_from_a_driver_that_is_gone() -> None:
    facts = {"inside_code": "0", "inside_shm": str(16 << 20), "inside_gpu_code": "255"}
    lost = {**facts, "inside_gpu_said": "Failed to initialize NVML: Unknown Error"}
    gone = {**facts, "inside_gpu_said": "couldn't communicate with the NVIDIA driver"}
    cures = [next(box.inside(one, probe(gpus=GPUS), "nb")).cure for one in (lost, gone)]
    assert cures == ["remotenb stop, then connect, gives them back", "see GPUs and toolkit"]


def test_docker_s_own_shared_memory_is_too_little() -> None:
    facts = {"inside_code": "0", "inside_shm": "65536", "inside_jupyter": "/usr/bin/jupyter"}
    found = {one.link: one for one in box.inside(facts, probe(), "nb")}
    assert found["shared memory"].state == "warning"
    assert found["Jupyter"].state == "ok"


def test_a_container_that_could_not_be_started_tells_why() -> None:
    said = 'docker: Error response from daemon: could not select device driver "" with capabilities'
    facts = {"inside_code": "125", "inside_said": said}
    (found,) = box.inside(facts, probe(gpus=GPUS), "image")
    assert (found.link, found.state) == ("GPUs inside", "broken")
    assert "NVIDIA Container Toolkit" in found.cure


def test_an_image_without_a_config_is_asked_for() -> None:
    there = (Image("busybox:1", "sha256:0", "4MB"),)
    assert box.image(None, there, "gpu-box").state == "warning"
    assert box.image("busybox:1", there, "gpu-box").state == "ok"


def test_a_report_names_no_person_no_address_and_no_secret() -> None:
    text = "alice@10.0.0.5: SHA256:abcdef, token=xyz; fe80::1:2:3:4 alice2 at gpu-box-2"
    names = {"alice": "USER", "gpu-box": "HOST"}
    assert checkup.redacted(text, names) == (
        "USER@ADDRESS: SHA256:*** token=*** ADDRESS alice2 at gpu-box-2"
    )
