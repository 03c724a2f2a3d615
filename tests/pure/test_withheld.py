"""What an engine's client says in a command's place is told from what the command says."""

import pytest

from remotenb.cli.terminal import Withheld

REASON = b"Error response from daemon: failed to create shim task\nError: failed to start\n"
RESIZE = b"failed to resize tty, using default size\r\n"
COLOURED = b"\x1b[31mERRO\x1b[0m[0000] error waiting for container: context canceled \r\n"
RACE = b'time="2026-11-26T01:20:04Z" level=error msg="error waiting for container: canceled"\n'


PODMANS = (
    b'time="2026-11-26T02:38:57Z" level=error msg="Removing container 4177: no such container"\n'
    b"Error: unable to start container 4177: crun: setrlimit `RLIMIT_NOFILE`: not permitted\n"
)


def sifted(*pieces: bytes) -> tuple[bytes, bytes]:
    """What was shown, and what was kept."""
    withheld = Withheld(wanted=True)
    shown = b"".join(withheld.sift(piece) for piece in pieces)
    return shown, withheld.said


@pytest.mark.parametrize(
    "said", [REASON, RACE + REASON, RESIZE + RACE + REASON, COLOURED + REASON, PODMANS]
)
def test_the_reason_is_kept_in_whatever_pieces_it_comes(said: bytes) -> None:
    for cut in range(len(said)):
        assert sifted(said[:cut], said[cut:]) == (b"", said)
    assert sifted(*(said[at : at + 1] for at in range(len(said)))) == (b"", said)


@pytest.mark.parametrize(
    "said",
    [
        b"E\n",
        b"Error: no such file\n",
        b'time="2026-11-26T01:20:04Z" level=info msg="listening"\n',
        RACE + b"step 1\n",
        RESIZE + b"step 1\n",
        b"\x1b[31mred\x1b[0m\n",
        REASON + b"x" * Withheld.LIMIT,
    ],
)
def test_a_commands_own_words_are_shown_as_they_come(said: bytes) -> None:
    for cut in range(len(said)):
        assert sifted(said[:cut], said[cut:]) == (said, b"")


def test_where_nothing_is_wanted_nothing_is_kept() -> None:
    assert Withheld().sift(REASON) == REASON
