"""What Jupyter's answers mean: how it lets one in, and since when it runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.jupyter import _access, _Answer, _json, _time


@pytest.mark.parametrize(
    ("stranger", "insider", "has_token", "access"),
    [
        (403, 200, True, "token"),
        (401, 200, True, "token"),
        (302, 200, True, "token"),
        (200, 200, True, "open"),
        (200, 200, False, "open"),
        (200, 500, True, "open"),
        (403, 403, True, None),
        (403, 403, False, "password"),
        (401, 401, False, "password"),
        (302, 302, False, None),
        (500, 500, False, None),
        (404, 404, True, None),
    ],
)
def test_access_is_told_by_what_a_stranger_and_the_token_get(
    stranger: int, insider: int, has_token: object, access: str | None
) -> None:
    assert _access(stranger, insider, has_token=bool(has_token)) == access


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00.123456Z", "2026-11-23T10:00:00.1+00:00"],
)
def test_a_time_in_utc_is_kept(text: str) -> None:
    assert _time(text) == text


@pytest.mark.parametrize(
    "text", [None, 3, "", "now", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00:00+02:00"]
)
def test_any_other_time_is_unknown(text: object) -> None:
    assert _time(text) is None


@given(st.binary())
def test_any_body_is_an_json_or_an_empty_one(body: bytes) -> None:
    assert isinstance(_Answer(200, _json(body)).body, dict)


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b"\xff", b"3"])
def test_a_body_that_is_no_json_is_an_empty_one(body: bytes) -> None:
    assert _Answer(200, _json(body)).body == {}
