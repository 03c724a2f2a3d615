"""The documentation is true to the code, as far as a machine can tell."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import pytest

import remotenb
from remotenb import errors
from remotenb.cli import COMMANDS, cli
from remotenb.settings import ENVIRONMENT, Config, Settings, parse, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parent.parent.parent
CODE = sorted((TOP / "remotenb").rglob("*.py"))
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")])
FIELDS = [field.name for field in msgspec.structs.fields(Settings)]
EXAMPLE = (TOP / "config.example.toml").read_text(encoding="utf-8")
EVERYTHING = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE, flags=re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(page: str) -> str:
    return (TOP / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands under ``heading``, up to the next one of its rank."""
    _, found, rest = text(page).partition(f"\n{heading}\n")
    assert found, f"{page} has no {heading}"
    return rest.partition("\n" + heading.split(" ", maxsplit=1)[0] + " ")[0]


def rows(page_section: str) -> set[str]:
    """The first cells of the tables, where they are code."""
    return set(re.findall(r"^\| `([^`]+)` \|", page_section, re.MULTILINE))


def calls(name: str) -> Iterator[str]:
    """The first argument of each call of ``name`` in remotenb, where it is a word."""
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=called) | ast.Name(id=called),
                    args=[ast.Constant(value=str(word)), *_],
                ) if called == name and re.fullmatch(r"[a-z_]+", word):
                    yield word


def test_the_example_config_parses_as_it_is() -> None:
    config = parse(EXAMPLE, source="config.example.toml")
    assert set(config.hosts) == {"gpu-box", "hospital"}
    for host in config.hosts:
        settings = settings_for(config, host, environment={}, options={})
        assert settings.image
        assert settings.mounts()


def test_the_example_config_with_every_line_on_parses_and_names_every_setting() -> None:
    config = parse(EVERYTHING, source="config.example.toml")
    assert {*config.defaults, *config.hosts["gpu-box"]} == set(FIELDS)
    settings_for(config, "gpu-box", environment={}, options={})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_config_on_a_page_parses(page: Path) -> None:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        parse(block, source=page.name)


@pytest.mark.parametrize("field", FIELDS)
def test_the_reference_tells_of_every_setting_and_its_variable(field: str) -> None:
    (row,) = re.findall(rf"^\| `{field}` \|.*$", text("docs/reference/config.md"), re.MULTILINE)
    variable = ENVIRONMENT + field.upper()
    try:
        read = settings_for(Config(), "", environment={variable: "no such"}, options={})
        has_variable = read != Settings()
    except errors.ConfigError:
        has_variable = True
    assert (f"`{variable}`" in row) is has_variable


def test_the_reference_has_the_defaults() -> None:
    page = text("docs/reference/config.md")
    for field in msgspec.structs.fields(Settings):
        if field.default not in {None, msgspec.NODEFAULT, ()}:
            value = field.default
            shown = str(value).lower() if isinstance(value, bool | float) else f'"{value}"'
            if isinstance(value, tuple):
                shown = "[" + ", ".join(f'"{one}"' for one in value) + "]"
                assert tomllib.loads(f"x = {shown}")["x"] == list(value)
            assert re.search(rf"^\| `{field.name}` \|.*`{re.escape(shown)}`", page, re.MULTILINE)


def test_the_reference_tells_of_every_warning() -> None:
    told = rows(section("docs/reference/events.md", "## `warning`")) - {"code", "message", "hint"}
    assert {*calls("warning"), *calls("warn")} == told


def test_the_reference_tells_of_every_event() -> None:
    headings = re.findall(r"^## (`.*`)$", text("docs/reference/events.md"), re.MULTILINE)
    told = {name for heading in headings for name in re.findall(r"`(\w+)`", heading)}
    sources = [
        path.read_text(encoding="utf-8") for path in Path(remotenb.__file__).parent.rglob("*.py")
    ]
    emitted = {one for source in sources for one in re.findall(r'"event": "(\w+)"', source)}
    emitted |= {one for source in sources for one in re.findall(r'event="(\w+)"', source)}
    assert emitted == told


def test_the_reference_tells_of_every_error_and_its_code() -> None:
    page = text("docs/reference/exit-codes.md")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.RemotenbError):
            assert re.search(rf"^\| {kind.code} \|.*`{name}`", page, re.MULTILINE), name
            assert f"| `{name}` |" in text("docs/guides/troubleshooting.md") or (
                f"called `{name}`" in text("docs/guides/troubleshooting.md")
            ), name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_tells_of_every_option(name: str) -> None:
    page = text("docs/reference/command-line.md")
    assert f"remotenb {name}" in page
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for parameter in command.params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert re.search(rf"`{option}[ `]", page), option


def commands(page: Path) -> Iterator[str]:
    """Commands of remotenb that a page shows whole: in a block, or in the middle of a line."""
    shown = page.read_text(encoding="utf-8").replace("\\|", "|")
    for block in re.findall(r"^```\w+\n(.*?)^```", shown, re.MULTILINE | re.DOTALL):
        joined = re.sub(r" [\\`]\n +", " ", block)
        yield from re.findall(r"^(?:\$ )?remotenb (\w+ .*)$", joined, re.MULTILINE)
    yield from re.findall(r"(?<!`)`remotenb (\w+ [^`\n]+)`", shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_command_on_a_page_is_one_that_is_understood(page: Path) -> None:
    for shown in commands(page):
        name, *args = shlex.split(re.split(r" [|<>]+ |; | && ", shown)[0], comments=True)
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, shown
        try:
            command.make_context(name, args)
        except click.exceptions.Exit:  # --help
            pass
        except click.UsageError as error:
            pytest.fail(f"{shown}: {error.format_message()}")


def test_the_architecture_page_names_every_module_and_script() -> None:
    page = text("docs/concepts/architecture.md")
    for file in CODE:
        parts = file.relative_to(TOP / "remotenb").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        has_code = file.name != "__main__.py" and "import" in file.read_text(encoding="utf-8")
        assert f"`{name}`" in page or not has_code, name
    for script in (TOP / "remotenb" / "far").glob("*.sh"):
        assert f"| `{script.name}` |" in page


def anchors(page: Path) -> set[str]:
    """The names that headings have on GitHub."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        there = page.parent / target if target else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def test_every_page_is_linked_from_the_readme_or_a_decision() -> None:
    linked = {(TOP / link.partition("#")[0]).resolve() for link in LINK.findall(text("README.md"))}
    for page in (TOP / "docs").rglob("*.md"):
        assert page.resolve() in linked or page.parent.name == "decisions", page


def test_the_readme_names_the_two_commands_and_they_are_targets_of_make() -> None:
    named = re.findall(r"^make ([a-z-]+)", text("README.md"), re.MULTILINE)
    assert named == ["demo", "test"]
    for target in named:
        assert f"\n{target}:" in text("Makefile")
