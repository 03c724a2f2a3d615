"""What a container is made by, kept for another such."""

from __future__ import annotations

import msgspec
import pytest

from remotenb.settings import OF_A_CONTAINER, Settings, record, recorded


def test_a_record_gives_back_what_a_container_is_made_by_and_nothing_else() -> None:
    made = Settings(
        image="a:1", volumes=("~/w:/w",), env={"A": "b"}, run_args=("--cpus=2",), port=7
    )
    now = Settings(image="b:2", port=9, start_timeout=5)
    again = recorded(record(made).encode(), now)
    assert again is not None
    assert {name: getattr(again, name) for name in OF_A_CONTAINER} == {
        name: getattr(made, name) for name in OF_A_CONTAINER
    }
    assert (again.port, again.start_timeout) == (9, 5)
    assert "port" not in msgspec.json.decode(record(made))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"image": 1}', b'{"no_such": 1}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_record_is_none(text: bytes) -> None:
    assert recorded(text, Settings()) is None
