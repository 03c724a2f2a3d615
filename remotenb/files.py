"""Files between the laptop and the machine, or a container on it: one copy over one channel.

``far.copying`` runs on both ends. Here is what starts the other one, and what its troubles mean.
"""

from __future__ import annotations

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
from remotenb.engines import engine_of
from remotenb.engines.docker import STATE_TARGET
from remotenb.execute import Execution
from remotenb.far.copy_frames import DONE, GO, PLAN, Trouble, Wire
from remotenb.far.receiving import Receiver
from remotenb.far.sending import Sender
from remotenb.far.tree import Untrusted, to_wire
from remotenb.file_failures import ended, here, over_there
from remotenb.ssh.buffers import send_all
from remotenb.ssh.process import keep_err
from remotenb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from paramiko import Channel

    from remotenb.errors import RemotenbError
    from remotenb.far.copy_frames import Bytes
    from remotenb.machine import Machine
    from remotenb.model import Container

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
    with _copying(source, send=True) as end:
        receiver = Receiver(end.wire, target)
        plan = msgspec.convert(receiver.plan(source.name, _is_folder(target)), Plan)
        with here(target):
            enough_room(plan, errors.LaptopRefused)
            outcome = receiver.fetch(told.agree(plan), told.moved)
    return msgspec.convert(outcome, Outcome)


def upload(source: str, target: Place, told: Told) -> Outcome:
    """Copy ``source`` of the laptop over there; raises a :class:`RemotenbError`."""
    name = "" if _is_folder(source) else own_name(PurePath(source).name)
    slash = not posixpath.basename(target.path)
    copying = _copying(target, send=False, name=to_wire(name), slash=slash)
    with copying as end, here(source):
        sender = Sender(end.wire, source)
        sender.tell()
        plan = believed(end.wire.expect(PLAN, dict), Plan)
        enough_room(plan, errors.DiskFull)
        end.wire.say(GO, told.agree(plan))
        sender.send(told.moved, end.check)
        return believed(end.wire.expect(DONE, dict), Outcome)


def _is_folder(path: str) -> bool:
    return path.endswith(tuple({"/", os.sep}))


class End:
    """The channel to the other end."""

    def __init__(self, channel: Channel, first: bytes) -> None:
        self._channel = channel
        self._first = first
        self._err = bytearray()
        self._drain = threading.Thread(target=keep_err, args=(channel, self._err), daemon=True)
        self._drain.start()
        self.wire = Wire(self._read, self._write)

    def check(self) -> None:
        """Raise if the other end has something to say: while we send, that is trouble."""
        if self._channel.recv_ready():
            self.wire.take()
            raise Untrusted("a word out of turn")

    def why(self, place: Place) -> RemotenbError:
        """Why it said no more."""
        self._drain.join(END_TIMEOUT_S)
        self._channel.status_event.wait(END_TIMEOUT_S)
        # sshd may send the exit code before the last of the output, and then end
        if self._channel.exit_status < 0 or not self._channel.eof_received:
            return errors.LinkLost(
                f"the connection to {place.machine.host.name} broke",
                hint="the same command again goes on where it stopped",
            )
        return ended(place, self._channel.exit_status, self._err.decode("utf-8", "replace"))

    def _read(self, size: int) -> bytes:
        if first := self._first:
            self._first = b""
            return first
        try:
            return self._channel.recv(size)
        except (OSError, SSHException) as error:
            raise EOFError from error

    def _write(self, data: Bytes) -> None:
        try:
            send_all(self._channel, data)
        except (OSError, SSHException) as error:
            if self._channel.recv_ready():  # it told why it ended
                self.wire.take()
            raise EOFError from error


@contextmanager
def far_end(
    place: Place, modules: tuple[str, ...], wish: str, here: dict[str, str] | None = None
) -> Iterator[End]:
    """``main`` of the last of the modules, run there; ``here``: another way, see files.sh.

    What it has to say of troubles becomes a :class:`RemotenbError`.
    """
    machine, container = place.machine, place.container
    inside = engine_of(container).inside(container.id if container else "")
    marker = f"remotenb-{secrets.token_hex(12)}"
    told = {"MARKER": marker, "CODE": far.boot("")[-1], "WISH": wish, "INSIDE": shlex.join(inside)}
    told |= {"PLACE": "", "UNDER": "", "HERE": "", "SHARED": "", **(here or {})}
    channel = machine.link.begin(far.source("files.sh"), (), told, term="", size=(80, 24))
    try:
        channel.sendall(far.shipment(modules))
        end = End(channel, Execution(channel, machine, marker.encode()).first)
        try:
            yield end
        except EOFError:
            raise end.why(place) from None
    except Trouble as said:
        raise over_there(said.facts, place) from None
    except Untrusted as error:
        raise errors.Untrustworthy(
            f"{place.where} sent {one_line(str(error))}, which no folder has",
            hint="nothing was written outside the folder; do not trust that machine",
        ) from None
    finally:
        channel.close()


def _copying(place: Place, **wish: object) -> AbstractContextManager[End]:
    wish = {"path": to_wire(place.path), **wish}
    shorter = _past_the_engine(place, place.container, wish) if place.container else None
    return far_end(place, far.COPYING, json.dumps(wish), shorter)


def _past_the_engine(place: Place, container: Container, wish: dict[str, object]) -> dict[str, str]:
    """Ways that need not the engine's copying, through folders that the container mounts."""
    about = json.loads(place.machine.run("inspect", "-f", _MOUNTS, container.id, of=container))
    mounts = [one for one in about["Mounts"] if one["Type"] == "bind" and one["Write"]]
    mounts.sort(key=lambda one: one["Target"] != STATE_TARGET)  # nobody looks into that one
    shared = json.dumps([(one["Source"], one["Target"]) for one in mounts])
    handing = {"HANDING": far.source("handing.py"), "SHARED": shared}
    return handing | (_on_the_machine(place, about, wish) or {})


def _on_the_machine(
    place: Place, about: dict[str, Any], wish: dict[str, object]
) -> dict[str, str] | None:
    """The same path as the machine sees it, if it is in a folder that the container mounts."""
    path = posixpath.normpath(posixpath.join(about["Workdir"] or "/", place.path))
    mounts = {mount["Target"]: mount for mount in about["Mounts"]}
    target = max((one for one in mounts if _under(path, one)), key=len, default="")
    beneath = any(one != target and _under(one, path) for one in mounts)
    unclear = place.path.startswith("~") or ".." in place.path.split("/")
    if not target or beneath or unclear:
        return None
    mount = mounts[target]
    if mount["Type"] != "bind" or not mount["Write"]:
        return None
    folder = mount["Source"]
    here = posixpath.join(folder, path[len(target) :].lstrip("/")).rstrip("/") or "/"
    ended = here + "/" * place.path.endswith("/")
    return {"UNDER": folder, "PLACE": here, "HERE": json.dumps({**wish, "path": to_wire(ended)})}


def _under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def enough_room(plan: Plan, kind: Callable[..., RemotenbError]) -> None:
    """Raise if it does not fit."""
    wanted = plan.lacking_bytes - plan.kept_bytes
    if wanted > plan.free:
        raise kind(
            f"{wanted:,} bytes do not fit in the {plan.free:,} free at {one_line(plan.place)}",
            hint="make room there, or choose another folder; nothing was copied",
        )


Shape = TypeVar("Shape")


def believed(facts: object, shape: type[Shape]) -> Shape:
    """What the other end said, in this shape; raises :class:`Untrusted`."""
    try:
        return msgspec.convert(facts, shape)
    except msgspec.ValidationError:
        raise Untrusted("JSON of another shape") from None
