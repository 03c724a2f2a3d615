"""The browser's first address: it works once, for a short time, and holds no token."""

from __future__ import annotations

import http.client
import urllib.parse
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from remotenb.secret import Secret
from remotenb.tunnel.onetime import OneTimeLink
from tests.embedded.peers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "http://127.0.0.1:20500/lab?token=s3cret"


@pytest.fixture
def link() -> Iterator[OneTimeLink]:
    """A link that lives long enough for a test."""
    with closing(OneTimeLink(Secret(TARGET))) as made:
        yield made


def get(url: str, path: str | None = None, method: str = "GET") -> tuple[int, str | None, str]:
    """Status, Location and all other headers; redirects are not followed."""
    parts = urllib.parse.urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, path or parts.path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Location"], str(answer.headers)


def test_it_leads_to_the_target_once(link: OneTimeLink) -> None:
    status, location, _ = get(link.url)
    assert (status, location) == (302, TARGET)
    status, location, _ = get(link.url)
    assert (status, location) == (404, None)


def test_no_token_is_in_the_link_and_it_is_on_the_loopback(link: OneTimeLink) -> None:
    assert "s3cret" not in link.url
    assert urllib.parse.urlsplit(link.url).hostname == "127.0.0.1"
    assert len(urllib.parse.urlsplit(link.url).path) > 40


def test_two_links_are_never_the_same(link: OneTimeLink) -> None:
    with closing(OneTimeLink(Secret(TARGET))) as other:
        paths = {urllib.parse.urlsplit(one.url).path for one in (link, other)}
    assert len(paths) == 2


@pytest.mark.parametrize("path", ["/", "/x", "/%C3%A9", "/favicon.ico"])
def test_a_wrong_path_is_not_found_and_uses_nothing_up(link: OneTimeLink, path: str) -> None:
    status, location, headers = get(link.url, path)
    assert (status, location) == (404, None)
    assert "s3cret" not in headers
    assert get(link.url)[0] == 302


def test_another_method_gives_nothing_away(link: OneTimeLink) -> None:
    assert get(link.url, method="POST")[:2] == (501, None)
    assert get(link.url)[0] == 302


def test_the_answer_is_kept_by_nobody(link: OneTimeLink) -> None:
    headers = get(link.url)[2]
    assert "no-store" in headers
    assert "no-referrer" in headers


def is_dead(link: OneTimeLink) -> bool:
    try:
        return get(link.url)[0] != 302
    except ConnectionError:
        return True


def test_it_dies_after_its_lifetime() -> None:
    link = OneTimeLink(Secret(TARGET), lifetime=0.2)
    with closing(link):
        until(lambda: not link._timer.is_alive(), "the lifetime's end", 5)
        assert is_dead(link)


def test_it_is_dead_after_close_which_may_come_twice() -> None:
    link = OneTimeLink(Secret(TARGET))
    link.close()
    link.close()
    assert is_dead(link)
