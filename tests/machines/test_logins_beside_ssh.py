"""The page docs/reference/logins.md is true: the same logins on a terminal, beside OpenSSH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.logins.__main__ import Stage
from tests.logins.rows import PASSWORD, ROWS, Row
from tests.machines.conftest import LAB4
from tests.rig.failures import until

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


def link_of(stage: Stage) -> tuple[str, int]:
    """Of the one session there is: how its link is, and its local port."""
    (row,) = json.loads(stage.quietly("status", "--json").stdout)
    return str(row["link"]), int(row["local_port"])


def test_connect_takes_over_a_session_in_the_background_that_waits_for_its_password(
    lab: Lab, tmp_path: Path
) -> None:
    stage = Stage(lab, tmp_path)
    stage.set(next(row for row in ROWS if row.name == "a password"))
    begun = stage.connect({"password": [PASSWORD]}, {}, "--image", LAB4, "-d")
    assert (begun.code, len(begun.prompts)) == (0, 1), begun
    _, port = link_of(stage)
    try:
        lab.box.signal_sshd("KILL", user="alice")
        until(lambda: link_of(stage)[0] == "waiting", "it waits for somebody")
        assert "log in: remotenb connect gpu-box" in stage.quietly("status").stderr

        # a script cannot, and says so; nothing is lost by it
        refused = stage.quietly("connect", "gpu-box", "--json", "--no-browser")
        assert refused.returncode == 3, refused
        assert json.loads(refused.stdout.splitlines()[-1])["error"] == "LoginNeedsPerson"
        # nor can who does not know the password, who is asked as often as at a first login
        wrong = stage.connect({}, {})
        assert (wrong.code, len(wrong.prompts)) == (3, 3), wrong
        assert "did not take your password (3 times)" in wrong.screen
        until(lambda: link_of(stage)[0] == "waiting", "it waits again")

        joined = stage.connect(
            {"password": [PASSWORD]}, {"Ctrl-C ends the showing": lambda: b"\x03"}
        )
        assert joined.code == 0, joined
        assert joined.prompts == ["alice@10.77.0.2's password:"]
        assert "joined the session" in joined.screen
        assert link_of(stage) == ("up", port)
        log = stage.quietly("logs", "gpu-box").stdout
        assert "restored" in log
        assert PASSWORD not in log
    finally:
        stage.quietly("disconnect", "gpu-box")


@pytest.mark.long
def test_who_joined_a_session_is_asked_when_it_waits(lab: Lab, tmp_path: Path) -> None:
    stage = Stage(lab, tmp_path)
    stage.set(next(row for row in ROWS if row.name == "a password"))
    assert stage.connect({"password": [PASSWORD]}, {}, "--image", LAB4, "-d").code == 0

    def cut() -> bytes:
        lab.box.signal_sshd("KILL", user="alice")
        return b""

    seen = {
        "Ctrl-C ends the showing": cut,
        "Press Enter to log in again.": lambda: b"\n",
        "back after": lambda: b"\x03",
    }
    try:
        talk = stage.connect({"password": [PASSWORD]}, seen)
        assert (talk.code, talk.prompts) == (0, ["alice@10.77.0.2's password:"]), talk
    finally:
        stage.quietly("disconnect", "gpu-box")
