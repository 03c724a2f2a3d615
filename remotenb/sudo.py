"""Docker by way of sudo with a password, where neither docker nor ``sudo -n docker`` is allowed.

One script holds the password over there for as long as the connection lasts, and hands it to sudo
by an askpass program. So whatever runs docker is the same command as ever, with a stdin of its own.
A retry never does this, and nothing is kept unless it was asked for by name (``secrets keep``).
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.laptop.credentials import Entry
from remotenb.ssh.failures import reported
from remotenb.text import one_line

if TYPE_CHECKING:
    from paramiko import Channel

    from remotenb.model import EngineState
    from remotenb.secret import Secret
    from remotenb.ssh.link import Link

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 30.0
TRIES = 3
ANSWER_LIMIT = 1 << 16
_WRONG = re.compile(r"incorrect password|try again|no password was provided")
_ASK = re.compile(r"/[A-Za-z0-9_./-]+")


def may_help(engine: EngineState) -> bool:
    """Whether no engine answers, docker may not be asked, and sudo wants a password."""
    said = dict(engine.refusals)
    docker, sudo = said.get("docker", ""), said.get("sudo -n docker", "")
    return (
        engine.name is None and "permission denied" in docker.lower() and "password" in sudo.lower()
    )


def open_door(link: Link) -> bool:
    """Ask for the password, and let sudo have it until ``link`` ends; False where it is not had."""
    entry = Entry("sudo", link.host.login)
    if kept := link.credentials.find(entry):
        if _opened(link, kept):
            return True
        link.credentials.wrong(entry)
    person = link.credentials.person
    for _ in range(TRIES if person else 0):
        prompt = f"sudo password of {link.host.login}, for docker (Enter: go on without): "
        password = link.credentials.ask(prompt)
        if password is None:
            return False
        if (said := _try(link, password)) is None:
            return True
        if person:
            person.tell(f"sudo: {said}")
        if not _WRONG.search(said):
            return False
    return False


def _opened(link: Link, password: Secret) -> bool:
    return _try(link, password) is None


def _try(link: Link, password: Secret) -> str | None:
    """Open the door with this password; what sudo said if it did not take it."""
    marker = f"remotenb-{secrets.token_hex(12)}"
    channel = link.begin(far.source("sudo_door.sh"), (marker,), {}, term="", size=(0, 0))
    word = password.reveal().partition("\n")[0]
    with reported(link.host):
        channel.sendall(f"{word}\n".encode())
    verdict, _, rest = _answer(channel, marker).partition(" ")
    if verdict == "ok" and _ASK.fullmatch(rest):
        link.sudo = ("env", f"SUDO_ASKPASS={rest}", "sudo", "-A")
        link.hold(channel)
        link.sessions.make_room.append(lambda: _go_on_without(channel))
        return None
    channel.close()
    logger.info("sudo: %s", one_line(rest))
    return one_line(rest.partition(" ")[2]) or "it does not answer"


def _go_on_without(channel: Channel) -> None:
    """Where sshd has one session at a time: the door stays, without it, as long as the link."""
    with suppress(OSError):  # it has let go already
        channel.sendall(b"\n")


def _answer(channel: Channel, marker: str) -> str:
    """What stands behind the marker, among whatever a login shell prints; empty for nothing."""
    out = b""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    try:
        while len(out) < ANSWER_LIMIT:
            channel.settimeout(max(deadline - time.monotonic(), 0.1))
            data = channel.recv(1 << 12)
            out += data
            _, found, rest = out.partition(f"\n{marker} ".encode())
            line, ended, _ = rest.partition(b"\n")
            if found and ended:
                return line.decode("utf-8", "replace")
            if not data:
                break
    except TimeoutError:
        pass
    return ""
