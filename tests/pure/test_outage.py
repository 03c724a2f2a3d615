"""What the browser sees while the link is down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.tunnel.outage import (
    again,
    is_navigation,
    is_of_a_page,
    is_request,
    is_upgrade,
    page,
)

NAVIGATION = b"GET /lab HTTP/1.1\r\nHost: 127.0.0.1:1\r\nSec-Fetch-Mode: navigate\r\n\r\n"
POLL = b"GET /api/kernels HTTP/1.1\r\nHost: 127.0.0.1:1\r\nSec-Fetch-Mode: cors\r\n\r\n"
SOCKET = b"GET /channels HTTP/1.1\r\nUpgrade: WebSocket\r\nSec-Fetch-Mode: websocket\r\n\r\n"


def test_only_a_person_who_waits_gets_a_page() -> None:
    assert is_navigation(NAVIGATION)
    assert not is_navigation(POLL)
    assert not is_navigation(SOCKET)
    assert not is_navigation(NAVIGATION.replace(b"GET", b"POST"))


def test_what_an_open_page_asks_is_told_from_a_person_and_from_a_program() -> None:
    assert is_of_a_page(POLL)
    assert is_of_a_page(SOCKET)
    assert not is_of_a_page(NAVIGATION)
    assert not is_of_a_page(b"GET /api HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")


def test_a_websockets_handshake_is_told_from_a_plain_request() -> None:
    assert is_upgrade(SOCKET)
    assert not is_upgrade(POLL)


def test_a_page_is_led_to_the_very_address_that_it_asked() -> None:
    answer = again(POLL)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert b"\r\nLocation: /api/kernels\r\n" in answer
    assert answer.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        NAVIGATION,
        POLL.replace(b"GET", b"PUT"),
        POLL.replace(b"Sec-Fetch-Mode", b"X-Other"),
        POLL.replace(b"/api", b"//evil.example"),
        POLL.replace(b"/api", b"/\\evil.example"),
        POLL.replace(b"/api", b"http://evil.example/api"),
        POLL[:-2],
    ],
)
def test_what_changes_something_is_not_whole_or_leads_away_is_asked_but_once(data: bytes) -> None:
    assert again(data) is None


@pytest.mark.parametrize("data", [NAVIGATION, POLL, SOCKET, b"PUT /x HTTP/1.1\r\n\r\nGET"])
def test_a_request_is_known_by_its_first_line(data: bytes) -> None:
    assert is_request(data)


@pytest.mark.parametrize("data", [b"", b"\x81\x85abcd", b"GET", b"hello GET / HTTP/1.1\r\n"])
def test_what_is_no_request_is_not_taken_for_one(data: bytes) -> None:
    assert not is_request(data)


def test_the_page_says_the_state_reloads_and_is_never_kept() -> None:
    head, _, body = page("gpu-box", "Trying again.").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Cache-Control: no-store" in head
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    assert b'http-equiv="refresh"' in body
    assert b"gpu-box" in body
    assert b"Trying again." in body


@given(st.text(), st.text())
def test_whatever_the_far_side_said_is_text_on_the_page(host: str, state: str) -> None:
    body = page(host + "<script>", state + '"><img>').partition(b"\r\n\r\n")[2]
    assert b"<script" not in body
    assert b"<img" not in body
