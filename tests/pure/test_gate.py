"""Before a server that lets anybody in: only its own page may talk to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.tunnel.gate import admitted

PORT = 20500
OWN = "Host: 127.0.0.1:20500"


def head(*lines: str, first: str = "GET /lab HTTP/1.1") -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode()


def passes(*lines: str) -> bool:
    return admitted(head(*lines), PORT) is not None


@pytest.mark.parametrize("name", ["127.0.0.1:20500", "localhost:20500", "LOCALHOST:20500"])
def test_a_request_to_this_port_by_its_own_names_passes(name: str) -> None:
    assert passes(f"Host: {name}")
    assert passes(f"hOST:{name}  ")


@pytest.mark.parametrize(
    "name",
    [
        "evil.example:20500",
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:8888",
        "127.0.0.1:20500.evil.example",
        "0.0.0.0:20500",
        "",
    ],
)
def test_a_request_by_another_name_does_not(name: str) -> None:
    assert not passes(f"Host: {name}")


def test_a_request_without_a_host_or_with_two_does_not() -> None:
    assert not passes()
    assert not passes(OWN, "Host: evil.example")
    assert not passes(OWN, OWN)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:20500", "http://localhost:20500"])
def test_its_own_page_may_send_requests(origin: str) -> None:
    assert passes(OWN, f"Origin: {origin}")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "https://127.0.0.1:20500",
        "http://127.0.0.1:8888",
        "http://127.0.0.1",
        "",
    ],
)
def test_another_page_may_not(origin: str) -> None:
    assert not passes(OWN, f"Origin: {origin}")
    assert not passes(OWN, "Origin: http://127.0.0.1:20500", f"Origin: {origin}")
    assert not passes(OWN, "Upgrade: websocket", f"Origin: {origin}")


@pytest.mark.parametrize(
    ("site", "mode", "right"),
    [
        ("none", "navigate", True),
        ("same-origin", "cors", True),
        ("cross-site", "navigate", True),
        ("cross-site", "no-cors", False),
        ("same-site", "cors", False),
        ("cross-site", "websocket", False),
    ],
)
def test_another_page_may_lead_there_but_not_load_from_there(
    site: str, mode: str, right: object
) -> None:
    assert passes(OWN, f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}") is right


@pytest.mark.parametrize("fold", [" Host: evil.example", "\tx", " "])
def test_a_folded_header_is_refused(fold: str) -> None:
    assert not passes(OWN, "X: a", fold)
    assert not passes(fold, OWN)


def test_the_connection_is_held_to_one_request() -> None:
    kept = admitted(head(OWN, "Connection: keep-alive", "Accept: */*", "connection: x"), PORT)
    assert kept == head(OWN, "Accept: */*", "Connection: close")


def test_an_upgrade_is_kept_as_it_is() -> None:
    asked = head(OWN, "Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + OWN[6:])
    assert admitted(asked, PORT) == asked


@given(st.binary(max_size=200) | st.text().map(lambda text: head(OWN, text)))
def test_any_head_is_refused_or_names_this_port_once(raw: bytes) -> None:
    kept = admitted(raw, PORT)
    if kept is not None:
        names = [line for line in kept.split(b"\r\n") if line.lower().startswith(b"host")]
        assert len(names) >= 1
        assert kept.endswith(b"\r\n\r\n")
