"""No text of the far side takes hold of a terminal."""

from __future__ import annotations

import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.cli.options import _Redacted
from remotenb.text import one_line, plain, tail

PIECES = st.sampled_from(
    [
        "\x1b",
        "\x1b[",
        "\x9b",
        "]0;",
        "\x07",
        "\x1b\\",
        "31m",
        "a",
        "\r",
        "\n",
        "\x00",
        "\u202e",
        "P",
    ]
)
HOSTILE = st.lists(PIECES | st.text(max_size=3)).map("".join)


def harmless(text: str) -> bool:
    return all(unicodedata.category(c) != "Cc" or c in "\n\t" for c in text)


@given(HOSTILE | st.text())
def test_no_control_character_survives(text: str) -> None:
    assert harmless(plain(text))
    assert harmless(plain(text.encode("utf-8", "replace")))
    assert not set(plain(text)) & set(
        "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
    )


@given(HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(HOSTILE | st.text(), st.integers(1, 50))
def test_one_line_is_one_line_and_no_longer_than_asked(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


@given(HOSTILE | st.text())
def test_a_tail_has_as_many_lines_as_asked(text: str) -> None:
    assert len(tail(text, 3).splitlines()) <= 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07x", "x"),
        ("\x1bP1$r\x1b\\x", "x"),
        ("\x1bcx", "x"),
        ("a\x9b31mb", "a31mb"),
        ("a\rb\r\nc", "ab\nc"),
        ("a\tb", "a\tb"),
        ("grün ✓", "grün ✓"),
        ("user\u202egnp.exe", "usergnp.exe"),
    ],
)
def test_sequences_are_taken_out_and_words_stay(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_line_is_cut_with_a_sign() -> None:
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


def test_a_tail_is_the_last_lines_that_say_something() -> None:
    assert tail("a\n\nb \n  \nc\n", 2) == "b\nc"
    assert tail(b"\xff\n", 2) == "\ufffd"


def log_line(message: str, *args: object) -> str:
    record = logging.LogRecord("remotenb", logging.INFO, "", 0, message, args, None)
    return _Redacted("%(message)s").format(record)


@pytest.mark.parametrize(
    "said",
    ["/lab?token=s3cret&x=1", "Authorization: token s3cret", "token: s3cret", "Token=s3cret"],
)
def test_no_token_is_in_a_log_line(said: str) -> None:
    assert "s3cret" not in log_line("asked %s", said)


def test_a_file_name_of_the_far_side_in_a_log_line_is_harmless_too() -> None:
    assert harmless(log_line("left aside: %s", "/rt/jpserver-1\x1b]0;evil\x07.json"))
