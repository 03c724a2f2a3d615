"""The page docs/reference/logins.md is true: the same logins on a terminal, beside OpenSSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.logins.__main__ import Stage
from tests.logins.rows import PASSWORD, ROWS, Row
from tests.machines.conftest import LAB4

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig.lab import Lab

EACH_TIME = {"a password and a code", "a jump host, each with a password"}


@pytest.mark.parametrize(
    "row",
    [pytest.param(r, marks=() if r.name in EACH_TIME else pytest.mark.long) for r in ROWS],
    ids=lambda row: row.name,
)
def test_remotenb_gets_in_where_ssh_does_and_asks_no_more(
    lab: Lab, tmp_path: Path, row: Row
) -> None:
    stage = Stage(lab, tmp_path)
    stage.set(row)
    ours, wrong = stage.remotenb(row)
    assert (ours.code == 0) is row.gets_in, ours
    assert wrong <= 3
    if row.gets_in:
        stage.set(row)
        theirs, _ = stage.ssh(row)
        assert len(ours.prompts) <= len(theirs.prompts)
        assert "\x1b[" not in "".join(ours.prompts)


def test_who_presses_enter_after_a_drop_is_asked_again_and_the_session_goes_on(
    lab: Lab, tmp_path: Path
) -> None:
    stage = Stage(lab, tmp_path)
    stage.set(next(row for row in ROWS if row.name == "a password"))

    def cut() -> bytes:
        lab.box.signal_sshd("KILL", user="alice")
        return b""

    seen = {
        "Ctrl-C closes": cut,
        "Press Enter to log in again.": lambda: b"\n",
        "back after": lambda: b"\x03",
    }
    talk = stage.connect({"password": [PASSWORD] * 2}, seen, "--image", LAB4)
    assert talk.prompts == ["alice@10.77.0.2's password:"] * 2
    assert "which no retry may use" in talk.screen
    assert talk.code == 0
