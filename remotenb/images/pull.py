"""The machine pulls an image by itself: what is said to its engine, and what it tells.

The engine's API is spoken through the client's own door for ssh, because it alone tells bytes,
and because a login in its request is on no disk over there. Where there is no such door, and for
logins that the user has over there, the client pulls and tells lines.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
import shlex
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

from paramiko import SSHException

from remotenb import far
from remotenb.engines.registries import understand_pull
from remotenb.errors import EngineDown, FarSideError, LinkLost, LoginNeeded
from remotenb.execute import Execution
from remotenb.registry.client import Registry
from remotenb.ssh.failures import reported
from remotenb.text import tail

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from remotenb.images.pulling import Pulling
    from remotenb.images.reference import Reference
    from remotenb.images.room import Room
    from remotenb.machine import Machine
    from remotenb.model import RegistryLogin
    from remotenb.registry.manifests import Descriptor

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0
"""For the engine to let go of a pull that is ended by Ctrl-C."""
LINE_LIMIT = 1 << 20


def to_fetch(
    image: Reference, login: RegistryLogin | None, space: Room
) -> tuple[Descriptor, ...] | None:
    """The layers that the machine lacks, as the registry tells this laptop; None if it does not.

    Whatever it complains of, the machine may see it otherwise.
    """
    try:
        with Registry(image.registry, login) as registry:
            manifest = registry.image(image, space.platform)
            return space.missing(manifest, registry.config(image, manifest))
    except FarSideError as error:
        logger.info("%s: %s", image, error.message)
        return None


def pull(
    machine: Machine,
    image: Reference,
    login: RegistryLogin | None,
    state: Pulling,
    told: Callable[[Pulling], None],
) -> Pulling:
    """Let the machine pull ``image``; ``told`` hears of each step. Ctrl-C ends it over there.

    Raises what the engine's words mean, and :class:`LinkLost`, after which it goes on.
    """
    order = _Order(machine, image, login, state, told)
    with reported(machine.host):
        if machine.engine[-1] == "docker":
            with suppress(_NoDoor):
                try:
                    return _by_api(order)
                except LoginNeeded:
                    if login:
                        raise
        return _by_client(order)


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be pulled by whom, and who hears of it."""

    machine: Machine
    image: Reference
    login: RegistryLogin | None
    state: Pulling
    told: Callable[[Pulling], None]

    def complaint(self, said: str) -> FarSideError:
        """The error that the engine's words mean."""
        return understand_pull(
            said,
            self.image,
            self.machine.host.name,
            logged_in=self.login is not None,
            user=self.machine.probe.user,
            engine=self.machine.probe.engine.name or "docker",
        )


class _NoDoor(Exception):
    """The engine's client cannot pass us on to its API."""


def _by_api(order: _Order) -> Pulling:
    machine, login, state = order.machine, order.login, order.state
    run = _begin(machine, "pull.sh", _request(order.image, login))
    try:
        for line in _answer(run, machine):
            state.hear(line)
            order.told(state)
    except KeyboardInterrupt:
        _stop(run)
        raise
    finally:
        run.channel.close()
    if state.error:
        raise order.complaint(state.error)
    if not state.status:  # an answer without its end
        raise EngineDown(
            f"the docker of {machine.host.name} broke off", hint="try again once it is back"
        )
    return state


def _by_client(order: _Order) -> Pulling:
    machine, image, login, state = order.machine, order.image, order.login, order.state
    key = login.password.reveal().encode() + b"\n" if login else b""
    names = {
        "NAME": str(image),
        "REGISTRY": image.registry,
        "WHO": login.user if login else "",
    }
    run = _begin(machine, "pull_by_client.sh", key, **names)
    run.channel.shutdown_write()
    said = ""
    with run.channel:
        for line in io.TextIOWrapper(_reader(run), encoding="utf-8", errors="replace"):
            said = (said + line)[-LINE_LIMIT:]
            id_, _, status = line.strip().rpartition(": ")
            state.hear(json.dumps({"id": id_, "status": status}))
            state.hear(json.dumps({"status": line.strip()}))
            order.told(state)
        code = run.code()
    if code != 0:
        raise order.complaint(tail(said, 5))
    return state


def _begin(machine: Machine, script: str, first: bytes, **names: str) -> Execution:
    marker = f"remotenb-{secrets.token_hex(12)}"
    variables = {"MARKER": marker, "ENGINE": shlex.join(machine.engine), **names}
    channel = machine.link.begin(far.source(script), (), variables, term="", size=(80, 24))
    channel.sendall(first)
    return Execution(channel, machine, marker.encode())


def _request(image: Reference, login: RegistryLogin | None) -> bytes:
    query = urlencode({"fromImage": image.name, "tag": image.wanted})
    lines = [f"POST /images/create?{query} HTTP/1.1", "Host: docker", "Content-Length: 0"]
    if login:
        who = {
            "username": login.user,
            "password": login.password.reveal(),
            "serveraddress": image.registry,
        }
        packed = base64.urlsafe_b64encode(json.dumps(who).encode()).decode()
        lines.append(f"X-Registry-Auth: {packed}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _answer(run: Execution, machine: Machine) -> Iterator[str]:
    """The lines of the engine's answer; raises :class:`_NoDoor` if it is none of HTTP's."""
    response = HTTPResponse(cast("socket.socket", _AsSocket(run)), method="POST")
    try:
        response.begin()
    except (HTTPException, ValueError) as error:
        _raise_if_lost(run, machine)
        raise _NoDoor from error
    try:
        while line := response.readline(LINE_LIMIT):
            yield line.decode("utf-8", "replace")
    except (HTTPException, ValueError) as error:
        _raise_if_lost(run, machine)
        logger.info("%s broke off: %r", machine.host.name, error)
    _raise_if_lost(run, machine)


def _raise_if_lost(run: Execution, machine: Machine) -> None:
    if not run.channel.get_transport().is_active():
        raise LinkLost(
            f"the connection to {machine.host.name} broke; the pull goes on over there",
            hint="the same command shows it again",
        )


def _stop(run: Execution) -> None:
    """Let the engine give up, and wait for it a moment."""
    with suppress(OSError, SSHException):
        run.channel.settimeout(STOP_TIMEOUT_S)
        run.channel.sendall(b"stop\n")
        while run.channel.recv(1 << 16):
            pass


def _reader(run: Execution) -> io.BufferedReader:
    return io.BufferedReader(_Raw(run), 1 << 16)


class _Raw(io.RawIOBase):
    """A channel's bytes, as Python's own files have them."""

    def __init__(self, run: Execution) -> None:
        self._first = run.first
        self._channel = run.channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = self._first[: len(view)] or self._channel.recv(len(view))
        self._first = self._first[len(data) :] if self._first else b""
        view[: len(data)] = data
        return len(data)


class _AsSocket:
    """What ``HTTPResponse`` wants of a socket."""

    def __init__(self, run: Execution) -> None:
        self._run = run

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bytes that come."""
        return _reader(self._run)
