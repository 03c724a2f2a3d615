"""The two little languages of the command line: volumes and GPUs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import GpuTaken, GpuUnavailable, UsageError
from remotenb.model import Mount
from remotenb.setback import who_was_faster
from remotenb.settings import GpuRequest, Settings, parse_gpus, parse_port, parse_volume
from remotenb.spec import choose_gpus, container_spec
from tests.pure.samples import PYTORCH, container, gpu, probe, wish


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("~/work:/workspace", Mount("~/work", "/workspace")),
        ("/data:/data:ro", Mount("/data", "/data", read_only=True)),
        ("/data:/data:rw", Mount("/data", "/data")),
        ("data:/data", Mount("data", "/data")),
        ("/a, b:/c d", Mount("/a, b", "/c d")),
        ("/a:/b:z", Mount("/a", "/b", relabel="z")),
        ("/a:/b:ro,Z", Mount("/a", "/b", read_only=True, relabel="Z")),
    ],
)
def test_a_volume_is_source_target_and_perhaps_ro(text: str, mount: Mount) -> None:
    assert parse_volume(text) == mount


@pytest.mark.parametrize(
    "text", ["", ":", "ro", ":ro", "/a", "/a:b", ":/b", "/a:/b:y", "/a:/b:/c", "/a:", "/a:ro"]
)
def test_what_is_no_volume_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="not a volume") as raised:
        parse_volume(text)
    assert "~/work:/workspace" in raised.value.hint


def test_the_volumes_of_the_settings_are_taken_apart_in_order() -> None:
    settings = Settings(volumes=("/a:/b", "/c:/d:ro"))
    assert settings.mounts() == (Mount("/a", "/b"), Mount("/c", "/d", read_only=True))


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("all", GpuRequest("all")),
        ("none", GpuRequest("none")),
        ("auto", GpuRequest("auto")),
        ("auto:2", GpuRequest("auto", count=2)),
        ("0", GpuRequest("these", names=("0",))),
        ("0, 1", GpuRequest("these", names=("0", "1"))),
        ("GPU-1a2b-3c", GpuRequest("these", names=("GPU-1a2b-3c",))),
        ("MIG-GPU-1/2/0", GpuRequest("these", names=("MIG-GPU-1/2/0",))),
    ],
)
def test_gpus_are_all_none_auto_or_named(text: str, request_: GpuRequest) -> None:
    assert parse_gpus(text) == request_


@pytest.mark.parametrize("text", ["", "auto:", "auto:0", "auto:-1", "none:1", "all:2", "0,", "x"])
def test_what_is_no_choice_of_gpus_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="not a choice of GPUs") as raised:
        parse_gpus(text)
    assert "auto:2" in raised.value.hint


@pytest.mark.parametrize("number", ["²", "9" * 5000], ids=["superscript", "long"])
def test_a_number_of_gpus_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match="not a choice of GPUs"):
        parse_gpus(f"auto:{number}")


@given(st.text() | st.integers(-9, 9).map("auto:{}".format))
def test_any_text_is_a_choice_of_gpus_or_a_usage_error(text: str) -> None:
    try:
        parse_gpus(text)
    except UsageError as error:
        assert error.hint  # noqa: PT017  either outcome is right


@given(st.text())
def test_any_text_is_a_volume_or_a_usage_error(text: str) -> None:
    try:
        assert parse_volume(text).target.startswith("/")
    except UsageError as error:
        assert error.hint  # noqa: PT017  either outcome is right


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("6006", "127.0.0.1:6006:6006"),
        ("8080:80", "127.0.0.1:8080:80"),
        ("0.0.0.0:8080:80", "0.0.0.0:8080:80"),
        ("[::1]:8080:80", "[::1]:8080:80"),
        ("53/udp", "127.0.0.1:53:53/udp"),
        ("10.0.0.5:53", "10.0.0.5:53:53"),
    ],
)
def test_a_port_is_on_the_loopback_unless_an_address_is_said(text: str, published: str) -> None:
    assert parse_port(text) == published


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "a", "80:", ":80", "1:2:3:4", "80/x", "::1:8:8", "٣", "8\n"]
)
def test_what_is_no_port_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="not a port") as raised:
        parse_port(text)
    assert "8080:80" in raised.value.hint


@given(st.text(st.sampled_from("0123456789:.[]/udpt-")))
def test_no_port_that_is_taken_is_open_to_others_unasked(text: str) -> None:
    try:
        published = parse_port(text)
    except UsageError:
        return
    address = published.rpartition("]")[0] or published.split(":")[0]
    assert address == "127.0.0.1" or text.startswith(address)


TWO = probe(gpus=(gpu(0), gpu(1)))


def test_idle_gpus_that_no_container_has_are_taken_first() -> None:
    held = probe(gpus=TWO.gpus, containers=(container("bobs", gpus="0"),))
    assert choose_gpus(parse_gpus("auto:1"), held) == "device=1"
    assert choose_gpus(parse_gpus("auto"), held) == "device=1"
    assert choose_gpus(parse_gpus("auto:2"), held) == '"device=1,0"'
    stopped = probe(gpus=TWO.gpus, containers=(container("bobs", gpus="0", status="exited"),))
    assert choose_gpus(parse_gpus("auto:1"), stopped) == "device=0"
    by_hand = probe(gpus=TWO.gpus, containers=(container("bobs", gpus="all"),))
    assert choose_gpus(parse_gpus("auto"), by_hand) == '"device=0,1"'


def test_a_gpu_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(GpuUnavailable, match="no GPU 7") as raised:
        choose_gpus(parse_gpus("7"), TWO)
    assert raised.value.hint == "there are: 0 (NVIDIA A100), 1 (NVIDIA A100)"
    with pytest.raises(GpuUnavailable, match="no GPU GPU-7") as raised:
        choose_gpus(parse_gpus("GPU-7"), TWO)
    assert "GPU-0 (NVIDIA A100)" in raised.value.hint
    with pytest.raises(GpuUnavailable) as raised:
        choose_gpus(parse_gpus("0"), probe())
    assert "no nvidia-smi" in raised.value.hint


SPEC = container_spec(TWO, wish(image=PYTORCH, gpus="auto:1"))
OWN, EARLY, LATE = "2026-11-25T10:00:01.5Z", "2026-11-25T10:00:01.45Z", "2026-11-25T10:00:02Z"


def faster(*holders: tuple[str, str, str], known: tuple[str, ...] = ()) -> GpuTaken | None:
    """What is made of these records, with our own among them."""
    records = [f"@holder {' '.join(one)}" for one in ((OWN, "me", "0"), *holders)]
    return who_was_faster([(one, "") for one in ("@id me", *records)], SPEC, known)


def test_of_two_that_chose_the_same_gpu_the_later_gives_way() -> None:
    assert isinstance(faster((EARLY, "it", "0")), GpuTaken)
    assert isinstance(faster((EARLY, "it", "1,0")), GpuTaken)
    assert isinstance(faster((OWN, "it", "0")), GpuTaken)  # at the very same time, by the id
    assert faster((OWN, "you", "0")) is None
    assert faster((LATE, "it", "0")) is None
    assert faster((EARLY, "it", "1")) is None
    assert faster((EARLY, "it", "0"), known=("it",)) is None
    assert faster(("nonsense", "x")) is None  # type: ignore[arg-type]
