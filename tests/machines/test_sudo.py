"""Docker by way of sudo with a password: carol, who is not in the group docker; Debian's sudo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remotenb.machine import Machine
from remotenb.probe import probe
from remotenb.report import Quiet
from remotenb.settings import Settings
from remotenb.ssh.config import resolve
from remotenb.ssh.link import open_link
from tests.machines.conftest import TINY
from tests.people import Person, with_person
from tests.rig.failures import until

if TYPE_CHECKING:
    from remotenb.model import Host
    from tests.rig.box import Box
    from tests.rig.lab import Lab

PASSWORD = "it's $HOME `now`"
SUDOERS = "/etc/sudoers.d/carol"
PAM = """auth required pam_unix.so nodelay
account required pam_permit.so
session required pam_permit.so
"""


@pytest.fixture
def carol(lab: Lab) -> Host:
    """She may run docker as root, with her password."""
    lab.box.set_password("carol", PASSWORD)
    lab.box.write("/etc/pam.d/sudo", PAM)
    lab.box.write(SUDOERS, "carol ALL=(root) /usr/bin/docker, /usr/local/bin/docker\n", mode=0o440)
    return resolve("gpu-box-carol", config_file=lab.ssh_config)


def traces(box: Box) -> str:
    """Every argv and environment on the box, and every file that carol's login left."""
    script = """cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; cat /var/log/sshd.log
        find /home/carol /tmp /run -type f -newer /etc/pam.d/sudo -exec cat {} +"""
    return box.run(["sh", "-c", script], check=False).stdout


def test_docker_is_reached_by_sudo_with_a_password_that_is_asked_for_once(
    carol: Host, lab: Lab
) -> None:
    person = Person([PASSWORD])
    with open_link(carol, credentials=with_person(person)) as link:
        seen = probe(link, engine="docker", enter=False)
        assert person.asked == [
            "sudo password of carol@10.77.0.2, for docker (Enter: go on without): "
        ]
        machine = Machine(carol, Settings(), link, seen, Quiet())
        machine.run("run", "-d", "--name", "hers", TINY, "sleep", "60")
        with machine.spawn(*machine.engine, "exec", "hers", "echo", "there") as process:
            assert process.read() == b"there\n"
        channel = link.pipe((*machine.engine, "exec", "-i", "hers", "cat"), b"its own stdin")
        channel.shutdown_write()
        assert channel.recv(100) == b"its own stdin"
        for _ in range(3):
            assert "hers" in machine.run("ps")
        assert PASSWORD not in traces(lab.box)
        assert len(person.asked) == 1
        assert any("remotenb/sudo-" in one for one in machine.engine)
    until(
        lambda: "sudo-" not in lab.box.run(["ls", "/home/carol/.local/state/remotenb"]).stdout,
        "the door is closed",
    )


def test_one_session_at_a_time_is_enough_and_the_door_still_closes_with_the_link(
    carol: Host, lab: Lab
) -> None:
    lab.box.sshd("MaxSessions 1")
    with open_link(carol, credentials=with_person(Person([PASSWORD]))) as link:
        seen = probe(link, engine="docker", enter=False)
        machine = Machine(carol, Settings(), link, seen, Quiet())
        machine.run("run", "-d", "--name", "hers", TINY, "sleep", "60")
        for _ in range(3):
            assert "hers" in machine.run("ps")
        assert PASSWORD not in traces(lab.box)
    until(
        lambda: "sudo-" not in lab.box.run(["ls", "/home/carol/.local/state/remotenb"]).stdout,
        "the door is closed",
    )
    assert not [one for one in lab.box.processes() if "sudo-" in one]


def test_a_wrong_sudo_password_is_counted_once_each_and_enter_goes_on_without(
    carol: Host, lab: Lab
) -> None:
    person = Person(["wrong", "still wrong"])
    with open_link(carol, credentials=with_person(person)) as link:
        seen = probe(link, engine="docker", enter=False)
    assert (len(person.asked), len(person.told), seen.engine.name) == (3, 2, None), person
    assert all("incorrect password" in one for one in person.told)


def test_one_who_may_not_use_sudo_is_told_so_by_sudo(carol: Host, lab: Lab) -> None:
    lab.box.run(["rm", SUDOERS])
    person = Person([PASSWORD, PASSWORD])
    with open_link(carol, credentials=with_person(person)) as link:
        assert probe(link, engine="docker", enter=False).engine.name is None
    assert (len(person.asked), "not in the sudoers" in person.told[0]) == (1, True)


def test_a_retry_and_a_script_ask_for_no_sudo_password(carol: Host) -> None:
    with open_link(carol) as link:
        assert probe(link, engine="docker", enter=False).engine.name is None
