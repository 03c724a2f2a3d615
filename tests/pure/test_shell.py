"""Text for a shell of the far side, proved by running a real ``sh``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotenb.errors import UsageError
from remotenb.ssh.shell import Script, quote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX sh")

ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def run(script: Script) -> tuple[int, bytes]:
    done = subprocess.run(
        ["sh", "-s"], check=True, input=script.text, capture_output=True, timeout=9
    )
    output = script.output(done.stdout)
    assert output is not None, done
    return output


@settings(max_examples=60)
@given(ANY, st.lists(ANY, max_size=4))
def test_any_text_arrives_as_it_was_in_variables_and_parameters(
    value: str, argv: list[str]
) -> None:
    source = 'printf "%s\\0" "$VALUE" "$#" "$@"'
    code, out = run(Script.build(source, variables={"VALUE": value}, argv=argv))
    assert code == 0
    assert out.decode().split("\0")[:-1] == [value, str(len(argv)), *argv]


@pytest.mark.parametrize(
    "word", ["a'b", "$(id)", "`id`", "\\", "\n", "!!", "", "-n", "~", "*", "é"]
)
def test_words_that_a_shell_would_change_are_not_changed(word: str) -> None:
    assert run(Script.build('printf %s "$1"', variables={}, argv=[word])) == (0, word.encode())


def test_a_nul_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="NUL"):
        quote("a\0b")


def test_bytes_of_an_argument_that_are_not_utf8_arrive_as_they_were() -> None:
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")  # as Python reads its own argv
    assert run(Script.build('printf %s "$1"', variables={}, argv=[argument])) == (0, b"caf\xe9")


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_scripts_exit_code_comes_back(code: int) -> None:
    assert run(Script.build(f"echo x; exit {code}", variables={})) == (code, b"x\n")


def test_a_command_of_the_script_cannot_eat_the_rest_of_it() -> None:
    assert run(Script.build("cat; echo after", variables={})) == (0, b"after\n")


def test_output_without_a_last_newline_and_with_empty_lines_is_kept_exactly() -> None:
    assert run(Script.build("printf '\\n\\na\\n\\nb'", variables={})) == (0, b"\n\na\n\nb")
    assert run(Script.build(":", variables={})) == (0, b"")


def test_a_comment_at_the_scripts_end_hides_nothing() -> None:
    assert run(Script.build("echo x # the end", variables={})) == (0, b"x\n")


SCRIPT = Script(text=b"", marker=b"remotenb-0123456789abcdef01234567")
MARK = SCRIPT.marker


@given(st.binary(), st.binary(), st.integers(0, 255))
def test_the_output_is_found_in_any_noise(noise: bytes, body: bytes, code: int) -> None:
    raw = noise + b"\n" + MARK + b"\n" + body + b"\n" + MARK + b" %d\n" % code + noise
    assert SCRIPT.output(raw) == (code, body)


@pytest.mark.parametrize("noise", [MARK[:-1], MARK[:9] + b"\n", b"\n" + MARK[:-1], MARK + b"x\n"])
def test_noise_that_looks_like_half_a_marker_does_not_confuse(noise: bytes) -> None:
    raw = noise + b"\n" + MARK + b"\nbody\n" + MARK + b" 3\n"
    assert SCRIPT.output(raw) == (3, b"body")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Last login: today",
        b"\n" + MARK + b"\n",
        b"\n" + MARK + b"\nbody\n" + MARK,
        b"\n" + MARK + b"\nbody\n" + MARK + b" ",
        b"\n" + MARK + b"\nbody\n" + MARK + b" x\n",
        b"\n" + MARK + b" 0\n",
    ],
)
def test_a_script_that_did_not_run_through_has_no_output(raw: bytes) -> None:
    assert SCRIPT.output(raw) is None


def test_each_script_has_a_marker_of_its_own() -> None:
    assert len({Script.build("", variables={}).marker for _ in range(50)}) == 50
