"""``remotenb push``, ``save``, ``load``: images for machines without internet."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options
from remotenb.cli.machines import on_machine
from remotenb.cli.output import emit
from remotenb.cli.people import people
from remotenb.cli.progress import Bytes
from remotenb.errors import ArchiveUnusable, FileTaken, ImageMissing, TagTaken, UsageError
from remotenb.text import plain
from remotenb.transfer.archive import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotenb.lasting import Lasting
    from remotenb.transfer.source import Source

    Where = dict[str, str | int | None]


@click.command("push", short_help="Bring an image to HOST, over SSH alone.")
@click.argument("host", metavar="HOST")
@click.argument("image", metavar="IMAGE")
@click.option("--from", "origin", metavar="OTHER", help="From this machine, through the laptop.")
@click.option("--file", metavar="FILE", help="Out of this archive of docker save.")
@click.option("--local", is_flag=True, help="From this laptop's docker or podman.")
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
    tag: str | None,
    yes: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Bring IMAGE to HOST, which needs no internet and nothing but its SSH.

    Only the layers that HOST lacks are sent. When the link breaks it is opened again and the
    push goes on; so does the same command later, at the byte where it was cut.
    """
    named(image)
    if sum(map(bool, (origin, file, local))) > 1:
        raise UsageError("--from, --file and --local exclude each other", hint="choose one")
    with _source(image, origin, file, as_json=as_json, where=where) as source:
        _bring(host, source, named(tag or image), yes=yes, as_json=as_json, where=where)
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
    """Load FILE, an archive of `remotenb save` or `docker save`, on HOST.

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
        for ref in refs:
            source = archives.FileSource(stream, index, ref, file)
            _bring(host, source, named(tag or ref), yes=yes, as_json=as_json, where=where)
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
    start = time.monotonic()
    with _lasting(host, as_json=as_json, where=where) as origin, Spooled(origin, image) as source:
        digest = save_file(source, target, named(image), _Shown(image, as_json=as_json))
    size = target.stat().st_size
    if as_json:
        emit(event="saved", host=host, image=image, file=file, bytes=size, sha256=digest)
    else:
        speed = _speed(size, time.monotonic() - start)
        click.echo(f"saved: {plain(image)}, {speed}, to {plain(file)}", err=True)
        click.echo(f"  sha256 {digest}", err=True)
    return 0


def _bring(  # noqa: PLR0913  all but three by name
    host: str, source: Source, ref: str, *, yes: bool, as_json: bool, where: Where
) -> None:
    from remotenb.transfer.push import Push  # noqa: PLC0415  paramiko
    from remotenb.transfer.store import Store  # noqa: PLC0415

    with _lasting(host, as_json=as_json, where=where) as target:
        there = Store(target.machine).find(ref)
        image = source.contents.id
        if there is not None and there.id != image:
            question = f"{host} has another image named {ref}. Take the name from it"
            if not (yes or _agreed(question, as_json=as_json)):
                raise TagTaken(
                    f"{host} has another image named {ref}",
                    hint="--yes takes the name from it; --tag gives this one another",
                )
        start = time.monotonic()
        sent = Push(target, source, ref, _Shown(ref, as_json=as_json)).run()
        seconds = time.monotonic() - start
    if as_json:
        size = source.contents.size
        facts = {"size": size, "sent": sent.bytes, "layers": sent.layers, "elapsed": seconds}
        emit(event="pushed", host=host, image=ref, id=image, **facts)
    elif sent.layers:
        what = f"{sent.layers} of {len(source.contents.layers)} layers"
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


@contextmanager
def _source(
    image: str, origin: str | None, file: str | None, *, as_json: bool, where: Where
) -> Iterator[Source]:
    """Where IMAGE comes from: as told, else this laptop's engine."""
    from remotenb.transfer import file as archives  # noqa: PLC0415  gzip, tarfile, tempfile

    if origin:
        from remotenb.transfer.spool import Spooled  # noqa: PLC0415  paramiko

        with (
            _lasting(origin, as_json=as_json, where=where) as lasting,
            Spooled(lasting, image) as source,
        ):
            yield source
        return
    if file:
        with archives.opened(Path(file)) as (stream, index):
            yield archives.FileSource(stream, index, image, file)
        return
    engine = archives.engine_with(image)
    if engine is None:
        raise ImageMissing(
            f"no docker or podman of this laptop has {image}",
            hint="take it --from another machine, or out of a --file",
        )
    if not as_json:
        click.echo(
            f"{image} comes from this laptop's {Path(engine[0]).stem}, which has it", err=True
        )
    with archives.saved(engine, image) as saved, archives.opened(saved) as (stream, index):
        yield archives.FileSource(stream, index, image, f"this laptop's {Path(engine[0]).stem}")


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
