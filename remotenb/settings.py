"""What a user may set, where from, and what is said when it is wrong. Pure: text in, data out.

Precedence: command line > environment > ``[hosts.<name>]`` > ``[defaults]``.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from remotenb.errors import ConfigError, UsageError
from remotenb.model import EngineChoice, Mount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]

ENVIRONMENT = "REMOTENB_"
"""``REMOTENB_IMAGE`` sets ``image``; only settings that are one word have such a variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one host; ``docs/reference/config.md`` tells what each means."""

    address: str | None = None
    user: str | None = None
    ssh_port: Port | None = None
    identity_file: str | None = None
    ssh_config: str | None = None

    engine: EngineChoice = "auto"
    environment: str | None = None
    image: str | None = None
    container: str | None = None
    container_name: Name | None = None
    container_user: Literal["me", "image"] = "me"
    gpus: str = "auto"
    runtime: str | None = None
    volumes: tuple[str, ...] = ()
    network: str | None = None
    ports: tuple[str, ...] = ()
    env: dict[str, str] = {}
    ipc: str | None = "host"
    shm_size: str | None = None
    ulimits: tuple[str, ...] = ("memlock=-1", "stack=67108864")
    run_args: tuple[str, ...] = ()
    root_dir: str | None = None

    port: Port | None = None
    browser: bool = True
    allow_open: bool = False
    relay: bool = True
    forwards: tuple[Port, ...] = ()
    install_jupyter: bool = False
    start_timeout: Seconds = 60.0

    def mounts(self) -> tuple[Mount, ...]:
        """``volumes``, taken apart; raises :class:`UsageError`."""
        return tuple(parse_volume(volume) for volume in self.volumes)

    def published(self) -> tuple[str, ...]:
        """``ports``, each with its address; raises :class:`UsageError`."""
        return tuple(parse_port(port) for port in self.ports)


OF_A_CONTAINER = (
    *("image", "container_user", "runtime", "volumes", "network", "ports", "env", "ipc"),
    *("shm_size", "ulimits", "run_args", "root_dir"),
)
"""What a container is made by and keeps; its name and its GPUs are told by its engine."""


def record(settings: Settings) -> str:
    """What a container is made by, for :func:`recorded`."""
    kept = {name: getattr(settings, name) for name in OF_A_CONTAINER}
    return msgspec.json.encode(kept).decode()


def recorded(text: bytes, now: Settings) -> Settings | None:
    """``now``, but what a container is made by as it was; None for what is no such record."""
    try:
        before = msgspec.json.decode(text, type=Settings)
    except (msgspec.DecodeError, RecursionError):
        return None
    kept = {name: getattr(before, name) for name in OF_A_CONTAINER}
    return msgspec.structs.replace(now, **kept)


_FIELDS = {field.name: field.type for field in msgspec.structs.fields(Settings)}
_LISTS = {"volumes", "ports", "env", "ulimits", "run_args", "forwards"}
_ONE_WORD = _FIELDS.keys() - _LISTS

Table = dict[str, object]


class Config(msgspec.Struct, frozen=True):
    """A config file: its defaults, its hosts, and where it came from."""

    source: str = ""
    defaults: Table = {}
    hosts: dict[str, Table] = {}


def parse(text: str, *, source: str) -> Config:
    """A config file's text; every complaint names ``source``, the table and the key."""
    try:
        tables = tomllib.loads(text)
    except (RecursionError, ValueError) as error:  # TOMLDecodeError is a ValueError
        raise ConfigError(f"{source}: not TOML: {error}", hint="mend that line") from None
    _known(tables, ("defaults", "hosts"), source, "the top level")
    defaults = _table(tables.get("defaults", {}), source, "[defaults]")
    hosts = tables.get("hosts", {})
    if not isinstance(hosts, dict):
        raise ConfigError(f"{source}: hosts must be tables", hint="write [hosts.gpu-box]")
    return Config(
        source=source,
        defaults=_checked(defaults, source, "[defaults]"),
        hosts={
            name: _checked(_table(table, source, f"[hosts.{name}]"), source, f"[hosts.{name}]")
            for name, table in hosts.items()
        },
    )


def settings_for(
    config: Config, name: str, *, environment: Mapping[str, str], options: Mapping[str, object]
) -> Settings:
    """The settings of host ``name``; an option that is None was not given.

    Raises :class:`UsageError` for what the command line or the environment says wrong.
    """
    layers = (
        config.defaults,
        config.hosts.get(name, {}),
        _from_environment(environment),
        _checked({k: v for k, v in options.items() if v is not None}, "", "the command line"),
    )
    merged: Table = {}
    for layer in layers:
        merged |= layer
    if "shm_size" in merged and "ipc" not in merged:
        merged["ipc"] = None  # docker refuses both; naming a size says which is meant
    alone = "environment" in merged and merged.keys().isdisjoint({"image", "container"})
    if alone and merged.get("engine", "auto") == "auto":
        merged["engine"] = "host"  # an environment is nowhere else
    return msgspec.convert(merged, Settings)


def _table(value: object, source: str, where: str) -> Table:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: {where} must be a table", hint="see config.example.toml")
    return value


def _known(table: Mapping[str, object], known: Iterable[str], source: str, where: str) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1, 0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"
            raise ConfigError(f"{source}: {where}: unknown key {key!r}", hint=hint)


def _checked(table: Table, source: str, where: str) -> Table:
    """The same table, each key known and each value of the right type."""
    _known(table, _FIELDS, source, where)
    return {key: _convert(key, value, source, where) for key, value in table.items()}


def _convert(key: str, value: object, source: str, where: str, *, strict: bool = True) -> object:
    try:
        return msgspec.convert(value, _FIELDS[key], strict=strict)
    except msgspec.ValidationError as error:
        place = f"{source}: {where}" if source else where
        said = str(error).replace(" - at `$", f" - at `{key}").removesuffix(f" - at `{key}`")
        for kind, words in _IN_WORDS.items():
            said = said.replace(f"`{kind}`", words)
        said = said.replace(f"text matching regex '{NAME}'", NAME_IN_WORDS)
        raise ConfigError(
            f"{place}: {key}: {said[:1].lower()}{said[1:]}",
            hint=f"docs/reference/config.md tells what {key} may be",
        ) from None


NAME_IN_WORDS = "two or more letters, digits, or any of _.-"
_IN_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
"""What msgspec calls Python's and JSON's types."""


def _from_environment(environment: Mapping[str, str]) -> Table:
    names = {ENVIRONMENT + name.upper(): name for name in _ONE_WORD}
    return {
        names[variable]: _convert(
            names[variable], value, "", f"environment variable {variable}", strict=False
        )
        for variable, value in environment.items()
        if variable in names and value
    }


def parse_volume(text: str) -> Mount:
    """``SRC:DST[:ro]`` of the server and the container; ``z`` or ``Z`` is for SELinux, as docker's.

    >>> parse_volume("~/work:/workspace:ro")
    Mount(source='~/work', target='/workspace', read_only=True, relabel='')
    """
    match = _VOLUME.fullmatch(text)
    if match is None:
        raise UsageError(
            f"not a volume: {text!r}",
            hint="say SRC:DST or SRC:DST:ro, for example ~/work:/workspace",
        )
    modes = (match["modes"] or "").split(",")
    label: Literal["", "z", "Z"] = "z" if "z" in modes else "Z" if "Z" in modes else ""
    return Mount(match["source"], match["target"], "ro" in modes, label)


_VOLUME = re.compile(
    r"(?P<source>[^:]+):(?P<target>/[^:]*)(:(?P<modes>r[ow](,[zZ])?|[zZ](,r[ow])?))?", re.DOTALL
)

_PORT = re.compile(
    r"((?P<address>[0-9]+(\.[0-9]+){3}|\[[0-9a-fA-F:.]+\]):)?"
    r"((?P<outside>[0-9]{1,5}):)?(?P<inside>[0-9]{1,5})(?P<kind>/(tcp|udp))?"
)


def parse_port(text: str) -> str:
    """``[ADDRESS:][PORT:]PORT[/udp]`` as docker takes it, on the server's loopback unless said.

    One number alone is the port on both sides.

    >>> parse_port("6006")
    '127.0.0.1:6006:6006'
    """
    match = _PORT.fullmatch(text)
    ports = [match[name] or match["inside"] for name in ("outside", "inside")] if match else []
    if match is None or not all(0 < int(port) < 1 << 16 for port in ports):
        raise UsageError(
            f"not a port: {text!r}",
            hint="say PORT or PORT_OF_THE_SERVER:PORT, for example 6006 or 8080:80; "
            "it is on the server's loopback unless you say 0.0.0.0:8080:80",
        )
    return ":".join([match["address"] or "127.0.0.1", *ports]) + (match["kind"] or "")


class GpuRequest(msgspec.Struct, frozen=True):
    """Which GPUs a new container gets."""

    kind: Literal["all", "none", "auto", "these"]
    count: int | None = None
    """For ``auto``: how many; None is every idle one."""
    names: tuple[str, ...] = ()
    """For ``these``: indices or UUIDs."""


_GPU = re.compile(r"[0-9]{1,3}|(GPU|MIG)-[0-9a-zA-Z/-]+")


def parse_gpus(text: str) -> GpuRequest:
    """``all``, ``none``, ``auto``, ``auto:2``, or indices and UUIDs: ``0,1``.

    >>> parse_gpus("auto:2")
    GpuRequest(kind='auto', count=2, names=())
    """
    if text in {"all", "none", "auto"}:
        return GpuRequest(text)  # type: ignore[arg-type]
    if counted := re.fullmatch(r"auto:([1-9][0-9]{0,2})", text):
        return GpuRequest("auto", count=int(counted[1]))
    names = tuple(part.strip() for part in text.split(","))
    if not all(_GPU.fullmatch(name) for name in names):
        raise UsageError(f"not a choice of GPUs: {text!r}", hint="all, auto, auto:2, none, or 0,1")
    return GpuRequest("these", names=names)
