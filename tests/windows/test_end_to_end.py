"""From a Windows laptop to a notebook on the box: real sshd, docker and Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lines import KernelLines
from tests.machines.conftest import LAB4, TINY
from tests.notebook import Notebook, get

if TYPE_CHECKING:
    from tests.rig.box import Box
    from tests.rig.lab import Lab
    from tests.windows.laptop import WindowsLaptop

SMALL = ("--image", LAB4, "--gpus", "none")


def test_a_container_is_started_its_kernel_used_and_a_cut_costs_no_line(
    laptop: WindowsLaptop, lab: Lab
) -> None:
    with laptop.connected("gpu-box", *SMALL) as session:
        assert session.ready["reused"] is False
        assert session.ready["relay"] is True
        notebook = Notebook(session.ready["url"])
        assert notebook.run("print(6 * 7)") == "42\n"
        with KernelLines(notebook, 120) as lines:
            lines.wait_past(20)
            lab.block("drop")
            assert session.wait_for("dropped", 6)["silent_for"] > 0
            lab.unblock()
            assert session.wait_for("restored", 10)["lost"] is False
            lines.assert_each_once_in_order()
            assert lines.closings == 0


def test_a_session_in_the_background_is_seen_opened_joined_and_ended(
    laptop: WindowsLaptop, lab: Lab
) -> None:
    done = laptop.run("connect", "gpu-box", *SMALL, "-d", "--json", "--no-browser")
    assert done.code == 0, done
    ready = done.events[-1]
    assert ready["event"] == "ready"
    assert get(ready["url"])[0] == 200
    (row,) = laptop.run("status", "--json").table
    assert (row["local_port"], row["link"], row["relay"]) == (ready["local_port"], "up", True)
    lab.block("reset")
    lab.unblock()
    opened = laptop.run("open", "gpu-box", "--json")
    assert opened.events[0]["url"] == ready["url"]
    with laptop.connected("gpu-box") as joined:
        assert joined.ready["joined"] is True
        assert laptop.run("disconnect", "gpu-box").code == 0
        assert joined.wait_for("closed", 10)["reason"] == "disconnected"
        assert joined.process.wait(10) == 0
    assert laptop.run("status", "--json").table == []
    assert "disconnected" in laptop.run("logs", "gpu-box").out


def test_pipes_pass_through_exec_and_no_byte_is_touched(laptop: WindowsLaptop, box: Box) -> None:
    label = "--label=remotenb.user=alice"
    box.docker("run", "-d", "--init", "--name", "mine", label, TINY, "sleep", "1000", user="alice")
    raw = bytes(range(256)) * 4096
    copied = laptop.piped(raw, "exec", "gpu-box", "--", "cat")
    assert (copied.returncode, copied.stdout, copied.stderr) == (0, raw, b"")
    words = ["a b", "$(reboot)", "'", "x\ny", "ü!", "-n", "%PATH%", "a^b", "~", "*"]
    said = laptop.piped(b"", "exec", "gpu-box", "--", "printf", "%s|", *words)
    assert said.stdout.decode() == "".join(f"{word}|" for word in words)
    failed = laptop.piped(b"", "exec", "gpu-box", "--", "sh", "-c", "echo no >&2; exit 7")
    assert (failed.returncode, failed.stdout, failed.stderr) == (7, b"", b"no\n")


def test_people_read_utf8_where_output_is_redirected(laptop: WindowsLaptop, box: Box) -> None:
    done = laptop.run("ps", "gpu-box")
    assert done.code == 0, done
    assert "✓ connecting to alice@" in done.err


def test_a_jump_host_of_the_users_ssh_config_is_gone_through(
    laptop: WindowsLaptop, box: Box
) -> None:
    config = laptop.ssh_config.read_text()
    entry = config.partition("\n\n")[0].replace("Host gpu-box", "Host inner")
    laptop.ssh_config.write_text(f"{entry}\n    ProxyJump gpu-box\n\n{config}")
    done = laptop.run("ps", "inner", "--json")
    assert (done.code, done.table) == (0, []), done
