"""``remotenb push``, ``save``, ``load``: images for machines without internet."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import emit
from remotenb.cli.people import people
from remotenb.cli.progress import Bytes
from remotenb.errors import ArchiveUnusable, FileTaken, ImageMissing, TagTaken, UsageError
from remotenb.images.reference import wanted
from remotenb.text import plain
from remotenb.transfer.archive import PODMANS, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.images.reference import Reference
    from remotenb.lasting import Lasting
    from remotenb.transfer.source import Source

    Where = dict[str, str | int | None]


@click.command("push", short_help="Bring an image to HOST, over SSH alone.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="IMAGE")
@click.option("--from", "origin", metavar="OTHER", help="From this machine, through the laptop.")
@click.option("--file", metavar="FILE", help="Out of this archive, docker's or OCI's.")
@click.option("--local", is_flag=True, help="From this laptop's docker or podman.")
@click.option("--registry", is_flag=True, help="From its registry, fetched by this laptop.")
@click.option("--tag", metavar="NAME", help="Name it so there.  [default: IMAGE]")
@click.option("-y", "--yes", is_flag=True, help="Even if another image has that name there.")
@options.as_json("Print events, one JSON object a line; nothing is asked.")
@options.common
def push(  # noqa: PLR0913  one for each option
    *,
    host: str,
    image: str,
    origin: str | None,
    file: str | None,
    local: bool,
    registry: bool,
    tag: str | None,
    yes: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Bring IMAGE to HOST, which needs no internet and nothing but its SSH.

    Without an option it comes from this laptop's docker or podman if that has it, else from its
    registry. Only the layers that HOST lacks are sent. When the link breaks it is opened again
    and the push goes on; so does the same command later, at the byte where it was cut.
    """
    ref = named(tag or image)
    if sum(map(bool, (origin, file, local, registry))) > 1:
        raise UsageError(
            "--from, --file, --local and --registry exclude each other", hint="choose one"
        )
    with _lasting(host, as_json=as_json, where=where) as target, ExitStack() as stack:
        if origin:
            source = _of_machine(origin, image, stack, as_json=as_json, where=where)
        elif file:
            source = _of_file(file, image, stack)
        else:
            source = _of_laptop(target, image, stack, local=local, registry=registry)
        _bring(target, source, ref, yes=yes, as_json=as_json)
    return 0


@click.command("load", short_help="Load an image archive of this laptop on HOST.")
@click.argument("host", metavar="HOST")
@click.argument("file", metavar="FILE")
@click.option("--tag", metavar="NAME", help="Name it so there.  [default: its name in FILE]")
@click.option("-y", "--yes", is_flag=True, help="Even if another image has that name there.")
@options.as_json("Print events, one JSON object a line; nothing is asked.")
@options.common
def load(
    *, host: str, file: str, tag: str | None, yes: bool, as_json: bool, **where: str | int | None
) -> int:
    """Load FILE, an archive of `remotenb save`, `docker save` or `podman save`, on HOST.

    If FILE.sha256 lies beside it, FILE is held against it first. As with push, only the layers
    that HOST lacks are sent, and what was cut is gone on with.
    """
    from remotenb.transfer import file as archives  # noqa: PLC0415  gzip, tarfile, tempfile

    _hold_against_digest(Path(file), as_json=as_json)
    with archives.opened(Path(file)) as (stream, index):
        refs = [next(iter(entry.refs), "") for entry in index.images]
        if tag and len(refs) > 1:
            raise UsageError(
                f"there are {len(refs)} images in {file}, and one --tag",
                hint=f"remotenb push {host} IMAGE --file {file} --tag {tag}",
            )
        if not all(refs) and not tag:
            raise ArchiveUnusable(f"an image in {file} has no name", hint="give it one: --tag")
        names = [named(tag or ref.removeprefix(PODMANS)) for ref in refs]
        with _lasting(host, as_json=as_json, where=where) as target:
            for ref, name in zip(refs, names, strict=True):
                source = archives.FileSource(stream, index, ref, file)
                _bring(target, source, name, yes=yes, as_json=as_json)
    return 0


@click.command("save", short_help="Save an image of HOST to a file of this laptop.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="IMAGE")
@click.option("-o", "--output", "file", metavar="FILE", required=True, help="The file to write.")
@click.option("-y", "--yes", is_flag=True, help="Replace FILE if it is there.")
@options.as_json("Print events, one JSON object a line; nothing is asked.")
@options.common
def save(
    *, host: str, image: str, file: str, yes: bool, as_json: bool, **where: str | int | None
) -> int:
    """Save IMAGE of HOST to FILE, and its digest to FILE.sha256.

    FILE is there when it is whole; until then it is FILE.part, with which the same command goes
    on. `docker load` and `remotenb load` read it.
    """
    from remotenb.transfer.save import save as save_file  # noqa: PLC0415  see load
    from remotenb.transfer.spool import Spooled  # noqa: PLC0415  paramiko

    target = Path(file)
    if target.is_dir():
        raise UsageError(f"{file} is a directory", hint="name the file in it")
    if target.exists() and not (yes or _agreed(f"{file} is there. Replace it", as_json=as_json)):
        raise FileTaken(f"{file} is there already", hint="--yes replaces it")
    ref, start = named(image), time.monotonic()
    with _lasting(host, as_json=as_json, where=where) as origin, Spooled(origin, ref) as source:
        digest = save_file(source, target, ref, _Shown(ref, as_json=as_json))
    size = target.stat().st_size
    if as_json:
        emit(event="saved", host=host, image=ref, file=file, bytes=size, sha256=digest)
    else:
        speed = _speed(size, time.monotonic() - start)
        click.echo(f"saved: {plain(ref)}, {speed}, to {plain(file)}", err=True)
        click.echo(f"  sha256 {digest}", err=True)
    return 0


def _bring(target: Lasting, source: Source, ref: str, *, yes: bool, as_json: bool) -> None:
    from remotenb.transfer.push import Push  # noqa: PLC0415  paramiko
    from remotenb.transfer.store import Store  # noqa: PLC0415

    host, image = target.machine.host.name, source.contents
    store = Store(target.machine)
    there = store.find(ref)
    if there is not None and not store.holds(there, image):
        question = f"{host} has another image named {ref}. Take the name from it"
        if not (yes or _agreed(question, as_json=as_json)):
            raise TagTaken(
                f"{host} has another image named {ref}",
                hint="--yes takes the name from it; --tag gives this one another",
            )
    start = time.monotonic()
    try:
        sent = Push(target, source, ref, _Shown(ref, as_json=as_json)).run()
    except KeyboardInterrupt:
        if not as_json:
            click.echo(f"stopped; what {host} has of it stays for the same command", err=True)
        raise
    seconds = time.monotonic() - start
    if as_json:
        facts = {"size": image.size, "layers": sent.layers, "sent": sent.bytes}
        emit(
            event="pushed",
            host=host,
            image=ref,
            id=image.id,
            source=source.said,
            **facts,
            elapsed=round(seconds, 3),
        )
    elif sent.layers:
        what = f"{sent.layers} of {len(image.layers)} layers"
        click.echo(f"pushed: {plain(ref)}, {what}, {_speed(sent.bytes, seconds)}", err=True)
    else:
        click.echo(f"pushed: {plain(ref)}; all of it was there", err=True)


@contextmanager
def _lasting(host: str, *, as_json: bool, where: Where) -> Iterator[Lasting]:
    """Log in to ``host``, in a way that can be done again without a person."""
    with on_machine(host, where, as_json=as_json) as machine:
        from remotenb.lasting import Lasting  # noqa: PLC0415  see on_machine

        with Lasting(machine) as lasting:
            yield lasting


def _of_machine(
    origin: str, image: str, stack: ExitStack, *, as_json: bool, where: Where
) -> Source:
    from remotenb.transfer.spool import Spooled  # noqa: PLC0415  paramiko

    lasting = stack.enter_context(_lasting(origin, as_json=as_json, where=where))
    return stack.enter_context(Spooled(lasting, named(image)))


def _of_file(file: str, image: str, stack: ExitStack, said: str = "") -> Source:
    from remotenb.transfer import file as archives  # noqa: PLC0415  gzip, tarfile, tempfile

    stream, index = stack.enter_context(archives.opened(Path(file)))
    return archives.FileSource(stream, index, named(image), said or file)


def _of_laptop(
    target: Lasting, image: str, stack: ExitStack, *, local: bool, registry: bool
) -> Source:
    """From this laptop's engine if it has the image, else from the registry; it is said which."""
    from remotenb.transfer import file as archives  # noqa: PLC0415  see _of_file

    report, name = target.machine.report, wanted(image)
    engine = None if registry or name.digest else archives.engine_with(name.familiar)
    if engine is not None:
        said = f"this laptop's {Path(engine[0]).stem}"
        with report.step(f"{said} has {name.familiar}, and saves it"):
            saved = stack.enter_context(archives.saved(engine, name.familiar))
        return _of_file(str(saved), image, stack, said)
    if local:
        raise ImageMissing(
            f"no docker or podman of this laptop has {name.familiar}",
            hint="without --local it is fetched from its registry",
        )
    why = "" if registry else ", as no engine of this laptop has it"
    with report.step(f"asking {name.registry} for {name.familiar}{why}"):
        return _of_registry(target, name, stack)


def _of_registry(target: Lasting, image: Reference, stack: ExitStack) -> Source:
    from remotenb.images.room import room  # noqa: PLC0415
    from remotenb.laptop.credentials import Credentials  # noqa: PLC0415  platformdirs
    from remotenb.registry import logins  # noqa: PLC0415
    from remotenb.registry.client import Registry  # noqa: PLC0415  httpx
    from remotenb.transfer.fetched import Fetched  # noqa: PLC0415

    machine = target.machine
    login = logins.find(Credentials(None, machine.report.warning), image.registry)
    client = stack.enter_context(Registry(image.registry, login))
    return Fetched(client, image, room(machine).platform)


def _hold_against_digest(file: Path, *, as_json: bool) -> None:
    from remotenb.transfer.file import digest_of  # noqa: PLC0415  see load

    beside = file.with_name(file.name + ".sha256")
    if not (file.is_file() and beside.is_file()):
        return
    if not as_json:
        click.echo(f"holding {file.name} against {beside.name}", err=True)
    wanted = beside.read_text(encoding="utf-8", errors="replace").split(maxsplit=1)
    if wanted[:1] != [digest_of(file)]:
        raise ArchiveUnusable(
            f"{file.name} is not what {beside.name} says: it is damaged, or another file",
            hint="save it again, or remove the .sha256 if you know better",
        )


def _agreed(question: str, *, as_json: bool) -> bool:
    person = people(as_json=as_json)
    return person is not None and person.agree(f"{question} (yes/no)? ")


def _speed(count: int, seconds: float) -> str:
    return f"{count / 1e6:.1f} MB in {seconds:.1f} s ({count / 1e6 / max(seconds, 0.001):.0f} MB/s)"


class _Shown:
    """How far it is, as a bar, lines or events."""

    def __init__(self, what: str, *, as_json: bool) -> None:
        self._what = what
        self._as_json = as_json
        self._bytes: Bytes | None = None

    def begin(self, done: int, total: int) -> None:
        self.end()
        self._bytes = Bytes(self._what, total, as_json=self._as_json)
        self._bytes.__enter__()
        self._bytes.moved(done)

    def moved(self, count: int) -> None:
        if self._bytes is not None:
            self._bytes.moved(count)

    def end(self) -> None:
        if self._bytes is not None:
            self._bytes.__exit__(None, None, None)
        self._bytes = None
