"""``remotenb import``: hosts that PuTTY and MobaXterm have saved, into the config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotenb.cli import options, tables
from remotenb.cli.output import done
from remotenb.cli.people import people
from remotenb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remotenb.laptop.bookmarks import Bookmark

COLUMNS = ("name", "address", "identity_file", "forwards", "note")


@click.command("import", short_help="Take over hosts from PuTTY and MobaXterm.")
@click.argument("file", metavar="[FILE]", required=False)
@click.option("-n", "--dry-run", is_flag=True, help="Show them, and write nothing.")
@click.option("--replace", is_flag=True, help="Also hosts that the config has already.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@options.as_json("Print one JSON document, a list; with --yes an event for each instead.")
@options.common
def command(
    *,
    file: str | None,
    dry_run: bool,
    replace: bool,
    yes: bool,
    as_json: bool,
    **where: str | int | None,
) -> int:
    """Write hosts that PuTTY and MobaXterm have saved into the config, after showing and asking.

    FILE is MobaXterm.ini, an .mxtsessions file, or a .reg file of PuTTY's sessions; without it,
    what is saved on this laptop. Keys (.ppk) are used where they are.
    """
    options.set_up_logging(int(where["verbose"] or 0))
    from remotenb.laptop import saved  # noqa: PLC0415  what only this command needs

    found = saved.in_file(Path(file).expanduser()) if file else saved.on_this_laptop()
    named = where["config_file"]
    target = Path(str(named)).expanduser() if named else options.default_config_file()
    there = options.load_config(str(target)).hosts if target.exists() else {}
    bookmarks = _each_named_once(found)
    new = [one for one in bookmarks if replace or one.name not in there]
    if not (as_json and yes):
        rows = [_row(one, there) for one in bookmarks]
        tables.show(rows, COLUMNS, as_json=as_json, none="no SSH host is saved there")
    if dry_run or not new or (as_json and not yes):
        return 0
    person = people(as_json=as_json)
    question = f"Write {len(new)} of them into {target} (yes/no)? "
    if not yes and not (person and person.agree(question)):
        raise UsageError("nothing was written", hint="--yes writes them without a question")
    _write(target, new, as_json=as_json)
    return 0


def _write(target: Path, new: Iterable[Bookmark], *, as_json: bool) -> None:
    from remotenb.laptop.config_file import with_host, write  # noqa: PLC0415  tomlkit

    text = target.read_text(encoding="utf-8-sig") if target.exists() else ""
    for one in new:
        text = with_host(text, one.name, one.settings, source=str(target))
    write(target, text)
    for one in new:
        done("imported", one.name, as_json=as_json, host=one.hostname)


def _each_named_once(found: Iterable[Bookmark]) -> list[Bookmark]:
    """Folders of MobaXterm may have the same name in each: the first one has it."""
    by_name: dict[str, Bookmark] = {}
    for one in found:
        by_name.setdefault(one.name, one)
    return list(by_name.values())


def _row(one: Bookmark, there: Mapping[str, object]) -> dict[str, object]:
    notes = ["is in the config already"] if one.name in there else []
    if one.gateway:
        notes.append(f"behind {one.gateway}: say ProxyJump in ssh_config")
    notes += [f"not taken over: {tunnel}" for tunnel in one.left_out]
    login = f"{one.user}@{one.hostname}" if one.user else one.hostname
    return {
        "name": one.name,
        "address": login if one.port == 22 else f"{login}:{one.port}",  # noqa: PLR2004  SSH's own
        "identity_file": one.identity_file,
        "forwards": list(one.forwards),
        "note": "; ".join(notes) or None,
    }
