"""How far a pull is, from lines of dockerd as they were met, and from lines of anybody."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remotenb.images.pulling import Pulling
from remotenb.registry.manifests import Descriptor

A, B = "36147cfea345", "8e0e1398fabf"
DIGEST = "sha256:" + "4316358d" * 8


def line(status: str, id_: str = "", *, current: int = 0, total: int = 0, **more: Any) -> str:
    detail = {"current": current, "total": total} if total else {}
    return json.dumps({"status": status, "progressDetail": detail, "id": id_, **more})


def heard(state: Pulling, *lines: str) -> Pulling:
    for one in lines:
        state.hear(one)
    return state


def test_a_pull_is_followed_from_its_first_byte_to_its_digest() -> None:
    state = heard(
        Pulling(),
        line("Pulling from nvidia/clara", "1"),
        line("Pulling fs layer", A),
        line("Pulling fs layer", B),
        line("Downloading", A, current=10, total=100),
    )
    assert (state.done, state.total, state.stage) == (10, 100, "")
    heard(state, line("Downloading", B, current=50, total=60), line("Download complete", A))
    assert (state.done, state.total) == (150, 160)
    heard(state, line("Verifying Checksum", B), line("Extracting", A, current=80, total=100))
    assert (state.done, state.stage) == (160, ", unpacking 50 %")
    heard(state, line("Pull complete", A))
    assert state.stage == ", unpacking 62 %"
    heard(
        state,
        line("Pull complete", B),
        line(f"Digest: {DIGEST}"),
        line("Status: Downloaded newer image for nvcr.io/nvidia/clara:1"),
    )
    assert (state.stage, state.digest, state.up_to_date) == ("", DIGEST, False)


def test_what_a_registry_told_before_is_the_whole_from_the_start() -> None:
    layers = [Descriptor(f"sha256:{id_}{'0' * 52}", size) for id_, size in ((A, 100), (B, 60))]
    state = Pulling.of(layers)
    assert (state.done, state.total) == (0, 160)
    heard(state, line("Already exists", A), line("Downloading", B, current=6, total=60))
    assert (state.done, state.total) == (6, 60)


def test_a_fetch_that_begins_anew_goes_back() -> None:
    state = heard(Pulling(), line("Downloading", A, current=90, total=100))
    heard(state, line("Retrying in 5 seconds", A), line("Downloading", A, current=1, total=100))
    assert (state.done, state.total) == (1, 100)


def test_seconds_of_unpacking_are_no_bytes() -> None:
    state = heard(Pulling(), line("Downloading", A, current=100, total=100))
    told = {"status": "Extracting", "id": A, "progressDetail": {"current": 7, "units": "s"}}
    assert heard(state, json.dumps(told)).stage == ", unpacking 0 %"


def test_a_failure_is_kept_in_the_engines_words() -> None:
    told = {"errorDetail": {"message": "no space left"}, "error": "no space left"}
    assert heard(Pulling(), json.dumps(told)).error == "no space left"
    assert heard(Pulling(), '{"message": "denied"}').error == "denied"
    assert heard(Pulling(), line("Status: Image is up to date for a:1")).up_to_date


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=14)
LINES = st.text(max_size=20) | st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["Downloading", "Extracting", "Already exists", "Pull complete"]),
        "id": st.sampled_from([A, B, "\x1b[2J", 7]),
        "progressDetail": st.dictionaries(st.sampled_from(["current", "total"]), VALUES) | VALUES,
        "error": VALUES,
    },
).map(json.dumps)


@given(st.lists(LINES, max_size=12))
def test_no_line_is_too_odd_and_no_number_too_large(lines: list[str]) -> None:
    state = heard(Pulling(), *lines)
    assert 0 <= state.done <= max(state.total, state.done)
    assert len(state.layers) <= 2
    assert "\x1b" not in state.stage
