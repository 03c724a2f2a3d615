"""What a program that was cut off has switched on in a terminal is switched off again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.modes import USUAL, Modes

VIM = b"\x1b[?1049h\x1b[22;0;0t\x1b[1;24r\x1b[?12h\x1b[?2004h\x1b[?1h\x1b=\x1b[H\x1b[2J\x1b[?25l~"
SWITCHES = [b"\x1b[?%d%s" % (mode, way) for mode in USUAL for way in (b"h", b"l")]
PIECES = [*SWITCHES, b"\x1b=", b"\x1b>", b"\x1bc", b"text", b"\x1b[?1000;1006h", b"\x1b[", b"?25"]


def seen(*pieces: bytes) -> bytes:
    """What undoes it all."""
    modes = Modes()
    for piece in pieces:
        modes.see(piece)
    return modes.undo()


def test_a_vim_that_was_cut_off_leaves_nothing() -> None:
    undone = seen(VIM)
    assert undone.startswith(b"\x1b[?1049l")  # before the rest: it moves the cursor
    for one in (b"\x1b[?1l", b"\x1b[?2004l", b"\x1b[?25h", b"\x1b>", b"\x1b[0m"):
        assert undone.count(one) == 1
    assert b"?12" not in undone  # a blinking cursor is a matter of taste


@pytest.mark.parametrize("said", [b"", b"plain \xff\n", b"\x1b[31mred\x1b[0m", VIM + b"\x1bc"])
def test_where_nothing_is_left_nothing_is_written(said: bytes) -> None:
    assert seen(said) == b""


def test_a_program_that_ends_by_itself_is_not_undone_again() -> None:
    assert seen(VIM, b"\x1b[?1049l\x1b[?1l\x1b>\x1b[?2004l\x1b[?25h") == b""


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.data())
def test_pieces_make_no_difference_and_what_is_undone_is_as_before(
    said: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert seen(*parts) == seen(whole)
    if not whole.endswith((b"\x1b[", b"?25")):
        assert seen(whole, seen(whole)) == b""
