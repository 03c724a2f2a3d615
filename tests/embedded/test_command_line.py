"""What the command line says before it reaches any machine: help, wrong words, tables."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from remotenb.cli import COMMANDS, cli, login, tables
from tests.people import Person

SECRETS = ("secrets list", "secrets keep", "secrets forget")


def said(*argv: str) -> subprocess.CompletedProcess[str]:
    """What remotenb says at 80 columns."""
    return subprocess.run(
        [sys.executable, "-m", "remotenb", *argv],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={"COLUMNS": "80", "HOME": "/nonexistent"},
    )


def test_every_help_is_whole_and_fits_the_screen() -> None:
    for command in (*COMMANDS, *SECRETS):
        argv = [*command.split(), "--help"]
        shown = CliRunner().invoke(cli, argv, terminal_width=80, prog_name="remotenb").output
        first, *lines = shown.splitlines()
        assert first.startswith("Usage: remotenb")
        assert not [one for one in lines if one.endswith("...") or "\\b" in one], command
        assert max(map(len, lines)) <= 80, command


@pytest.mark.parametrize("argv", [(), ("secrets",)])
def test_a_command_that_lacks_its_verb_shows_the_verbs_and_no_error(argv: tuple[str, ...]) -> None:
    shown = said(*argv)

    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == said(*argv, "--help").stdout


def test_the_question_for_a_registrys_key_ends_where_the_answer_begins() -> None:
    person = Person(["key"])

    login.ask("nvcr.io", None, person)  # type: ignore[arg-type]

    assert person.asked == ["Key or password of $oauthtoken at nvcr.io: "]


@pytest.mark.parametrize("verb", ["exec", "run"])
def test_an_option_of_the_command_itself_is_told_its_place(verb: str) -> None:
    shown = said(verb, "gpu-box", "ls", "-la")

    assert shown.returncode == 125
    assert "come behind --" in shown.stderr


def test_a_table_in_a_pipe_has_each_row_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "remotenb-alice-b49119cf", "image": "nvcr.io/nvidia/" + 20 * "pytorch-"}

    tables.show([row], tuple(row), as_json=False, none="")

    assert capsys.readouterr().out.splitlines()[1].split() == list(row.values())
