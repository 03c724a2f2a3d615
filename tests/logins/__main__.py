"""`python -m tests.logins --out docs/reference/logins.md`: the table, written anew."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.logins.rows import OTP_FILE, PASSWORD, ROWS, Row, make_keys
from tests.logins.terminal import Talk, run
from tests.rig import sshd
from tests.rig.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEAD: Final = """\
# Logins, beside OpenSSH and jupyter-forward

`python -m tests.logins --out docs/reference/logins.md` writes this page anew: the same logins
with `ssh gpu-box true`, with `remotenb gpus gpu-box`, and with
[jupyter-forward](https://pypi.org/project/jupyter-forward/) {version}, each on a terminal of its
own, at a real sshd with a real PAM in the test rig. *asked* counts the prompts that a person
answered; *wrong* what sshd counted as a failure of the account (a wrong password), which is what
locks it. *in* is a login that came through; what each program does afterwards is not looked at.

The second factor is PAM's google-authenticator. `ssh` knows no .ppk file, and asks for a passphrase
that it does not have. jupyter-forward takes no other config file than `~/.ssh/config`, so that it
finds the same one there, without the line `IdentityFile none`, at which it fails. It does not check
host keys, and uses a key that others can read.

| login | ssh | asked | wrong | remotenb | asked | wrong | jupyter-forward | asked | wrong |
|---|---|---|---|---|---|---|---|---|---|
"""

PEER: Final = "jupyter-forward==2025.1.16"
PEER_IN: Final = "authenticated successfully"
"""What it says when it is in; it goes on, and is ended."""


class Stage:
    """The box, and a laptop's user."""

    def __init__(self, lab: Lab, place: Path) -> None:
        """``place`` is the user's home."""
        self._lab = lab
        self._place = place
        make_keys(lab, place)

    def set(self, row: Row) -> None:
        """Set the box up for ``row``."""
        box = self._lab.box
        box.set_passwords({"alice": PASSWORD, "bob": PASSWORD}, expired=row.expired)
        box.write(sshd.OTP_SECRET, OTP_FILE, mode=0o600)
        box.set_pam(*row.pam)
        box.sshd(row.sshd)
        self._clear_log()
        keys = "".join(f"    IdentityFile {self._place / name}\n" for name in row.keys)
        jump = "    ProxyJump gpu-box-bob\n" if row.jump else ""
        self.ssh_config.write_text(
            f"Host *\n    IdentitiesOnly yes\n    UserKnownHostsFile {self._lab.known_hosts}\n"
            f"    GlobalKnownHostsFile /dev/null\n    HostName 10.77.0.2\n"
            f"Host gpu-box\n    User alice\n{jump}{keys}"
            + ("" if keys else "    IdentityFile none\n")
            + "Host gpu-box-bob\n    User bob\n    IdentityFile none\n"
        )

    @property
    def ssh_config(self) -> Path:
        """The user's."""
        return self._place / "ssh_config"

    def ssh(self, row: Row) -> tuple[Talk, int]:
        """By OpenSSH; how it went, and what the account counted."""
        return self._by(row, ["ssh", "-F", str(self.ssh_config), "gpu-box", "true"])

    def remotenb(self, row: Row) -> tuple[Talk, int]:
        """By remotenb."""
        command = ["-m", "remotenb", "gpus", "gpu-box", "-F", str(self.ssh_config)]
        return self._by(row, [sys.executable, *command])

    def jupyter_forward(self, row: Row, program: Path) -> tuple[Talk, int]:
        """By jupyter-forward, until it says that it is in."""
        own = self._place / ".ssh" / "config"
        own.parent.mkdir(mode=0o700, exist_ok=True)
        own.write_text(self.ssh_config.read_text().replace("IdentityFile none", ""))
        ended = {PEER_IN: lambda: b"\x03"}
        talk, wrong = self._by(row, [str(program), "gpu-box"], seen=ended)
        return replace(talk, code=0 if PEER_IN in talk.screen else 1), wrong

    def connect(
        self,
        answers: Mapping[str, Sequence[object]],
        seen: Mapping[str, Callable[[], bytes]],
        *options: str,
    ) -> Talk:
        """A session, until something that is ``seen`` ends it."""
        command = ["connect", "gpu-box", "-F", str(self.ssh_config), "--no-browser", *options]
        argv = [sys.executable, "-m", "remotenb", *command]
        return run(argv, answers, self._environment(), seen=seen)

    def quietly(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of remotenb's where no terminal is."""
        argv = [sys.executable, "-m", "remotenb", *command, "-F", str(self.ssh_config)]
        environment = dict(self._environment())
        return subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    def _by(
        self, row: Row, argv: list[str], seen: Mapping[str, Callable[[], bytes]] | None = None
    ) -> tuple[Talk, int]:
        self._clear_log()
        talk = run(argv, row.answers, self._environment(), seen=seen)
        log = self._lab.box.run(["cat", "/var/log/sshd.log"]).stdout
        return talk, log.count("Failed password") + log.count("PAM: Authentication failure")

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self._place), "TERM": "dumb"}

    def _clear_log(self) -> None:
        self._lab.box.run(["sh", "-c", ": >/var/log/sshd.log"])


def _cells(talk: Talk, wrong: int) -> str:
    return f"{'in' if talk.code == 0 else 'refused'} | {len(talk.prompts)} | {wrong}"


def line(stage: Stage, row: Row, peer: Path) -> str:
    """One line of the table."""
    cells = []
    for way in (stage.ssh, stage.remotenb, lambda one: stage.jupyter_forward(one, peer)):
        stage.set(row)
        cells.append(_cells(*way(row)))
    return f"| {row.name} | {' | '.join(cells)} |\n"


def installed(folder: Path) -> Path:
    """jupyter-forward, in a virtual environment of its own."""
    venv.create(folder, with_pip=True)
    argv = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", PEER]
    subprocess.run(argv, check=True, timeout=500)
    return folder / "bin" / "jupyter-forward"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as place:
        peer = installed(Path(own))  # before the laptop's network, which leads to no registry
        with Lab() as lab:
            lab.reset()
            lab.enter_laptop()
            stage = Stage(lab, Path(place))
            text = HEAD.format(version=PEER.partition("==")[2])
            for row in ROWS:
                text += (shown := line(stage, row, peer))
                print(shown, end="", flush=True)
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
