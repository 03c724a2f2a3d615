"""Files between the laptop and the machine, or a container on it: one copy over one channel.

``far.copying`` runs on both ends. Here is what starts the other one, and what its troubles mean.
"""

from __future__ import annotations

import errno
import json
import os
import posixpath
import secrets
import shlex
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from paramiko import SSHException

from remotenb import errors, far
from remotenb.execute import Execution
from remotenb.far.copying import DONE, GO, PLAN, Receiver, Sender, Trouble, Wire, trouble
from remotenb.far.tree import Untrusted, to_wire
from remotenb.ssh.process import keep_err
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paramiko import Channel

    from remotenb.errors import RemotenbError
    from remotenb.machine import Machine
    from remotenb.model import Container

NO_SUCH_COMMAND = frozenset({2, 126, 127})
"""What sh, the engine and an old Python say where there is no Python 3."""

END_TIMEOUT_S = 2.0
"""For the exit code behind the end of the output."""

_MOUNTS = (
    '{"Workdir":{{json .Config.WorkingDir}},"Mounts":[{{range $i, $m := .Mounts}}{{if $i}},{{end}}'
    '{"Type":{{json $m.Type}},"Source":{{json $m.Source}},"Target":{{json $m.Destination}},'
    '"Write":{{json $m.RW}}}{{end}}]}'
)


class Plan(msgspec.Struct, frozen=True):
    """How much of a tree is lacking where it goes, and what would be lost there."""

    files: int
    bytes: int
    lacking_files: int
    lacking_bytes: int
    kept_bytes: int
    """What an earlier run left of these."""
    clashes: int
    """How many of them are there already, and different."""
    examples: tuple[str, ...]
    place: str
    free: int


class Failure(msgspec.Struct, frozen=True):
    """What was not copied, and why."""

    path: str
    why: str


class Outcome(msgspec.Struct, frozen=True):
    """What came of a copy."""

    copied: int
    bytes: int
    failures: int
    failed: tuple[Failure, ...]
    """The first of them."""


class Told(Protocol):
    """Who is asked and told."""

    def agree(self, plan: Plan) -> bool:
        """Whether what is there may be replaced; raises an error to do nothing at all."""

    def moved(self, count: int) -> None:
        """So many bytes more are where they should be."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path over there: of a container, or of the machine itself."""

    machine: Machine
    container: Container | None
    path: str

    @property
    def where(self) -> str:
        """For people."""
        host = self.machine.host.name
        return f"container {self.container.name}" if self.container else host

    @property
    def name(self) -> str:
        """What a copy of it is called; empty for the contents of a folder."""
        return own_name(posixpath.basename(self.path))


def own_name(name: str) -> str:
    """The name of a thing, or nothing where only its contents are meant."""
    return "" if name in {".", "..", "~"} else name


def download(source: Place, target: str, told: Told) -> Outcome:
    """Copy ``source`` to the laptop; raises a :class:`RemotenbError`."""
    with _far_end(source, {"send": True}) as end:
        receiver = Receiver(end.wire, target)
        plan = msgspec.convert(receiver.plan(source.name, _is_folder(target)), Plan)
        with _here(target):
            _enough_room(plan, errors.LaptopRefused)
            outcome = receiver.fetch(told.agree(plan), told.moved)
    return msgspec.convert(outcome, Outcome)


def upload(source: str, target: Place, told: Told) -> Outcome:
    """Copy ``source`` of the laptop over there; raises a :class:`RemotenbError`."""
    name = "" if _is_folder(source) else own_name(PurePath(source).name)
    slash = not posixpath.basename(target.path)
    wish = {"send": False, "name": to_wire(name), "slash": slash}
    with _far_end(target, wish) as end, _here(source):
        sender = Sender(end.wire, source)
        sender.tell()
        plan = _believed(end.wire.expect(PLAN, dict), Plan)
        _enough_room(plan, errors.DiskFull)
        end.wire.say(GO, told.agree(plan))
        sender.send(told.moved, end.check)
        return _believed(end.wire.expect(DONE, dict), Outcome)


def _is_folder(path: str) -> bool:
    return path.endswith(tuple({"/", os.sep}))


class _End:
    """The channel to the other end."""

    def __init__(self, channel: Channel, first: bytes) -> None:
        self._channel = channel
        self._first = first
        self.err = bytearray()
        self.drain = threading.Thread(target=keep_err, args=(channel, self.err), daemon=True)
        self.drain.start()
        self.wire = Wire(self._read, self._write)

    def check(self) -> None:
        """Raise if the other end has something to say: while we send, that is trouble."""
        if self._channel.recv_ready():
            self.wire.take()
            raise Untrusted("a word out of turn")

    def _read(self, size: int) -> bytes:
        if first := self._first:
            self._first = b""
            return first
        try:
            return self._channel.recv(size)
        except (OSError, SSHException) as error:
            raise EOFError from error

    def _write(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, SSHException) as error:
            if self._channel.recv_ready():  # it told why it ended
                self.wire.take()
            raise EOFError from error


@contextmanager
def _far_end(place: Place, wish: dict[str, object]) -> Iterator[_End]:
    machine = place.machine
    marker = f"remotenb-{secrets.token_hex(12)}"
    wish = {"path": to_wire(place.path), **wish}
    variables = {"MARKER": marker, "CODE": far.boot("")[-1], "WISH": json.dumps(wish)}
    variables |= {"ENGINE": "", "ID": "", "PLACE": "", "UNDER": "", "HERE": ""}
    if place.container:
        variables |= {"ENGINE": shlex.join(machine.engine), "ID": place.container.id}
        variables |= _on_the_machine(place, wish)
    channel = machine.link.begin(far.source("files.sh"), (), variables, term="", size=(80, 24))
    try:
        channel.sendall(far.shipment(far.COPYING))
        end = _End(channel, Execution(channel, machine, marker.encode()).first)
        try:
            yield end
        except EOFError:
            raise _ended(channel, end, place) from None
    except Trouble as said:
        raise _over_there(said.facts, place) from None
    except Untrusted as error:
        raise errors.Untrustworthy(
            f"{place.where} sent {one_line(str(error))}, which no folder has",
            hint="nothing was written outside the folder; do not trust that machine",
        ) from None
    finally:
        channel.close()


def _on_the_machine(place: Place, wish: dict[str, object]) -> dict[str, str]:
    """The same path as the machine sees it, if it is in a folder that the container mounts."""
    assert place.container  # noqa: S101  the caller has looked
    about = json.loads(place.machine.run("inspect", "-f", _MOUNTS, place.container.id))
    path = posixpath.normpath(posixpath.join(about["Workdir"] or "/", place.path))
    mounts = {mount["Target"]: mount for mount in about["Mounts"]}
    target = max((one for one in mounts if _under(path, one)), key=len, default="")
    beneath = any(one != target and _under(one, path) for one in mounts)
    unclear = place.path.startswith("~") or ".." in place.path.split("/")
    if not target or beneath or unclear:
        return {}
    mount = mounts[target]
    if mount["Type"] != "bind" or not mount["Write"]:
        return {}
    folder = mount["Source"]
    here = posixpath.join(folder, path[len(target) :].lstrip("/")).rstrip("/") or "/"
    ended = here + "/" * place.path.endswith("/")
    return {"UNDER": folder, "PLACE": here, "HERE": json.dumps({**wish, "path": to_wire(ended)})}


def _under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _enough_room(plan: Plan, kind: Callable[..., RemotenbError]) -> None:
    wanted = plan.lacking_bytes - plan.kept_bytes
    if wanted > plan.free:
        raise kind(
            f"{wanted:,} bytes do not fit in the {plan.free:,} free at {one_line(plan.place)}",
            hint="make room there, or choose another folder; nothing was copied",
        )


Shape = TypeVar("Shape")


def _believed(facts: object, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(facts, shape)
    except msgspec.ValidationError:
        raise Untrusted("JSON of another shape") from None


@contextmanager
def _here(path: str) -> Iterator[None]:
    """What the laptop's own files do not let us do."""
    try:
        yield
    except OSError as error:
        facts = trouble(error)
        number, place = facts["number"], one_line(facts["place"] or path)
        hint = _ADVICE.get(number, "check the path")
        if number in _FULL:
            hint = "make room there; what was copied whole stays, the rest goes on from there"
        raise errors.LaptopRefused(
            f"{place} on this laptop: {one_line(facts['words']).lower()}", hint=hint
        ) from None


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.ENOENT: "check the path",
    errno.EROFS: "it is read-only there: choose another folder",
    errno.EACCES: "may this account read and write there?",
    errno.EPERM: "may this account read and write there?",
}


def _over_there(facts: dict[str, Any], place: Place) -> RemotenbError:
    """The other end's trouble; its text is not believed to be fit for a terminal."""
    number, words = facts.get("number"), one_line(str(facts.get("words"))).lower()
    path = one_line(str(facts.get("place"))) or place.path
    host = place.machine.host.name
    if number in _FULL:
        return errors.DiskFull(
            f"no space left for {path} in {place.where}",
            hint="make room there, then the same command again: what is whole stays",
        )
    if number == errno.ENOENT:
        other = "paths of the machine itself: --on-host" if place.container else "check the path"
        return errors.FileMissing(f"there is no {path} in {place.where}", hint=other)
    hint = _ADVICE.get(number if isinstance(number, int) else 0, "check the path")
    if number in {errno.EACCES, errno.EPERM}:
        hint = f"if it is root's in a folder of yours: remotenb chown {host}"
    return errors.FileRefused(f"{path} in {place.where}: {words}", hint=hint)


def _ended(channel: Channel, end: _End, place: Place) -> RemotenbError:
    """Why the other end said no more."""
    if not channel.get_transport().is_active():
        return errors.LinkLost(
            f"the connection to {place.machine.host.name} broke",
            hint="the same command again goes on where it stopped",
        )
    end.drain.join(END_TIMEOUT_S)
    channel.status_event.wait(END_TIMEOUT_S)
    code = channel.exit_status
    if code in NO_SUCH_COMMAND:
        return errors.PythonMissing(
            f"there is no Python 3 in {place.where}, which copies over there",
            hint=_WITHOUT_PYTHON if place.container else "install python3 there",
        )
    said = end.err.decode("utf-8", "replace")
    if place.container and "Error response from daemon" in said:
        return place.machine.complaint(said)
    return errors.ScriptFailed(
        f"the copy ended over there: {one_line(said) or f'exit code {code}'}", hint="-v tells more"
    )


_WITHOUT_PYTHON = (
    "by pipe: remotenb exec HOST -- cat FILE > FILE; or a path of the machine itself: --on-host"
)
