"""``setup`` on a bare machine, to an open notebook, in a real tmux, for docs/guides/setup.md.

``make recording`` writes it anew. Machines as in tests/machines/test_setup_bare.py, with what is a
stand-in there.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.machines import test_setup, test_setup_bare
from tests.machines.conftest import LAB4
from tests.tmux import Tmux

if TYPE_CHECKING:
    from tests.rig.lab import Lab

assert sys.platform != "win32"  # a terminal of its own

GUIDE = Path(__file__).parent.parent / "docs/guides/setup.md"
BEGIN, END = "<!-- make recording -->\n", "<!-- end of recording -->\n"
ADDRESS = "10.0.0.5"
"""What a reader sees of the machine's."""
PATIENCE_S = 300.0


def record(lab: Lab, home: Path) -> str:
    """All that was to be seen, from the first command to Ctrl-C in the last."""
    config = home / ".ssh" / "config"
    config.parent.mkdir()
    config.write_text("Host *\n    UserKnownHostsFile ~/.ssh/known_hosts\n")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "NO_COLOR": "1"}
    with Tmux(home, environment, columns=110, lines=50) as tmux:
        tmux.enters(f"remotenb() {{ python -m remotenb \"$@\" -F {config}; }}; PS1='$ '; clear")
        tmux.until(lambda: tmux.screen[0] == "$")
        tmux.forget()
        tmux.enters(f"remotenb setup alice@{lab.box.ip} --name gpu-box --image {LAB4}")
        answers(
            tmux,
            ("remembered? (yes/no)", "yes"),
            ("make the key", "yes"),
            ("Passphrase for", ""),
            ("'s password:", test_setup.PASSWORD),
            ("keyring", "no"),
            ("Run this on", "yes"),
            ("sudo password", test_setup.PASSWORD),
            ("Run this on", "yes"),
        )
        tmux.until_prompt("$", seconds=PATIENCE_S)
        tmux.enters("remotenb connect gpu-box --no-browser")
        tmux.until_seen("token=")
        tmux.types("", "C-c")
        tmux.until_prompt("$")
        return readable(tmux.history, lab, home)


def answers(tmux: Tmux, *dialogue: tuple[str, str]) -> None:
    """Answer each question when it stands in the last line; some may not be asked."""
    left = list(dialogue)
    while left:
        words = [question for question, _ in left]
        tmux.until(lambda: any(one in tmux.last for one in words), seconds=PATIENCE_S)  # noqa: B023  at once
        at = next(number for number, one in enumerate(words) if one in tmux.last)
        asked = tmux.last
        tmux.enters(left[at][1])
        del left[: at + 1]
        tmux.until(lambda: tmux.last != asked)  # noqa: B023  at once


def readable(shown: str, lab: Lab, home: Path) -> str:
    """Without what is of this machine alone, and the token."""
    text = shown.replace(str(home), "~").replace(lab.box.ip, ADDRESS).replace("\r", "")
    text = re.sub(r"token=[0-9A-Za-z_-]+", "token=…", text)
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line not in {"", "$"}) + "\n"


def main() -> None:
    """Record it, and put it into the guide."""
    with tempfile.TemporaryDirectory() as folder, test_setup_bare.bare_machine() as lab:
        recording = record(lab, Path(folder))
    before, _, rest = GUIDE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    GUIDE.write_text(f"{before}{BEGIN}```console\n{recording}```\n{END}{after}")
    print(recording)


if __name__ == "__main__":
    main()
