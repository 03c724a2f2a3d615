"""Options that every command has, and what they mean: config, ssh_config, diagnosis."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remotenb.errors import ConfigError
from remotenb.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remotenb.report import Reporter
    from remotenb.settings import Config, Settings

CONFIG_LIMIT = 1 << 20


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--config``, ``-F``, ``-v``."""
    for option in (
        click.option("-v", "--verbose", count=True, help="Say more; -vv for all there is."),
        click.option(
            "-F", "--ssh-config", metavar="FILE", help="Use this ssh_config, as ssh -F does."
        ),
        click.option(
            "--config",
            "config_file",
            metavar="FILE",
            envvar="REMOTENB_CONFIG",
            help="Use this config file.  [env: REMOTENB_CONFIG]",
        ),
    ):
        function = option(function)
    return function


def of_a_new_container(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--gpus``, ``--volume``."""
    for option in (
        click.option(
            "--volume",
            "volumes",
            metavar="SRC:DST[:ro]",
            multiple=True,
            help="Mount a folder of HOST in a new container; ~ is your home there.",
        ),
        click.option(
            "--gpus", metavar="all|auto[:N]|none|0,1", help="For a new container.  [auto]"
        ),
    ):
        function = option(function)
    return function


def of_the_server(volumes: tuple[str, ...], report: Reporter) -> list[str]:
    """A shell turns ``~/work:/workspace`` into this laptop's home: turn it back."""
    home = str(Path.home())
    turned = []
    for volume in volumes:
        if home != "/" and (volume.startswith((home + os.sep, home + "/", home + ":"))):
            rest = volume.removeprefix(home).replace(os.sep, "/")
            report.warning(
                "home_of_laptop",
                f"{home}{rest.split(':')[0]} is in this laptop's home; taken as "
                f"~{rest.split(':')[0]} of the server",
                "to be left alone by your shell, write it in quotes: '~/…'",
            )
            volume = "~" + rest  # noqa: PLW2901  the volume that is meant
        turned.append(volume)
    return turned


def as_json(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--json``, the same for every command."""
    return click.option("--json", "as_json", is_flag=True, help=words)


def default_config_file() -> Path:
    """Where the config is when nobody says."""
    from platformdirs import user_config_path  # noqa: PLC0415  19 ms

    return user_config_path("remotenb", appauthor=False) / "config.toml"


def load_config(named: str | None) -> Config:
    """The config file that was named, or the usual one if there is one.

    Raises :class:`ConfigError`, which names the file.
    """
    from remotenb.settings import Config, parse  # noqa: PLC0415  msgspec

    file = Path(named).expanduser() if named else default_config_file()
    try:
        with file.open("rb") as stream:
            raw = stream.read(CONFIG_LIMIT + 1)
    except FileNotFoundError:
        if named:
            raise ConfigError(f"no config file {file}", hint="check --config") from None
        return Config()
    except OSError as error:
        if file.is_dir():
            raise ConfigError(f"{file} is a directory", hint="name the file in it") from None
        hint = "is it readable, and a file?"
        raise ConfigError(f"cannot read {file}: {error.strerror}", hint=hint) from None
    if len(raw) > CONFIG_LIMIT:
        raise ConfigError(f"{file} is over 1 MiB: not a config file", hint="check --config")
    try:
        return parse(raw.decode("utf-8-sig"), source=str(file))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        hint = "save it as UTF-8"
        raise ConfigError(f"{file}: not UTF-8 (line {line})", hint=hint) from None


def settings(config: Config, host: str, options: Mapping[str, object]) -> Settings:
    """The settings of ``host``, from all four places."""
    from remotenb.settings import settings_for  # noqa: PLC0415  msgspec

    return settings_for(config, host, environment=os.environ, options=options)


_TOKEN = re.compile(r"(token[=: ]+|Authorization: \w+ )[^\s&'\"]+", re.IGNORECASE)


class _Redacted(logging.Formatter):
    """No token and no escape sequence in a log line, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        return _TOKEN.sub(r"\1***", plain(super().format(record)))


def set_up_logging(verbose: int) -> None:
    """``-v``: what remotenb decides; ``-vv``: every detail, paramiko's too. On stderr."""
    root = logging.getLogger()
    if not verbose or root.handlers:  # a command may log in to two machines
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted("%(relativeCreated)6d ms %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    for library in ("invoke", "asyncssh"):
        logging.getLogger(library).setLevel(logging.WARNING)
    if verbose == 1:  # paramiko complains of each refused channel, which is a question of ours
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
