"""The command line: parse, call, print, exit code. Commands are imported when they are run."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from remotenb import __version__
from remotenb.cli import stopping
from remotenb.errors import RemotenbError, UsageError
from remotenb.text import plain

if TYPE_CHECKING:
    from typing import NoReturn

SECTIONS = {
    "Session": {
        "connect": "Go to a Jupyter on HOST: the one that runs, or a new one.",
        "status": "The live sessions of this laptop.",
        "open": "Open the notebook of a live session again.",
        "disconnect": "End a session; the notebook goes on.",
        "logs": "What the sessions of HOST told, or a container.",
        "demo": "See what connect does, without any server.",
    },
    "Container": {
        "run": "Run a command in a new container.",
        "shell": "A terminal in a container.",
        "exec": "Run a command in a container.",
        "ps": "Your containers on HOST.",
        "stop": "Stop a container; its files stay.",
        "kill": "End a container at once.",
        "start": "Start a stopped container again.",
        "rm": "Remove a container and what was written in it.",
        "prune": "Remove your stopped containers.",
    },
    "Files": {
        "cp": "Copy files to and from a container.",
        "install": "Install packages in a container.",
        "chown": "Take over what containers left as root's in your folders.",
    },
    "Image": {
        "images": "The images on HOST.",
        "pull": "Let HOST fetch an image from a registry.",
        "commit": "Make an image of a container.",
        "rmi": "Remove an image from HOST.",
        "push": "Bring an image to HOST, over SSH alone.",
        "save": "Save an image of HOST to a file of this laptop.",
        "load": "Load an image archive of this laptop on HOST.",
    },
    "Login": {
        "login": "Keep a key for a registry of images.",
        "logout": "Forget the key for a registry of images.",
        "secrets": "What is kept in this system's keyring.",
        "import": "Take over hosts from PuTTY and MobaXterm.",
    },
    "Machine": {
        "setup": "Make a machine ready, step by step.",
        "completion": "Completion for bash, zsh, fish or PowerShell.",
        "doctor": "What is wrong between laptop and notebook, and the cure.",
        "gpus": "The GPUs of HOST, and who computes on them.",
    },
}
COMMANDS = {name: words for section in SECTIONS.values() for name, words in section.items()}
TOGETHER = {
    "execute": ("exec", "shell"),
    "containers": ("ps", "stop", "kill", "start", "rm", "prune"),
    "images": ("images", "rmi"),
    "importing": ("import",),
    "login": ("login", "logout"),
    "transfer": ("push", "save", "load"),
}
"""Modules that have several commands, each by its own name."""

EXIT_INTERRUPTED = 130
EXIT_BUG = 1
EXIT_NOT_THE_COMMANDS = 125
"""Of ``exec``, ``shell`` and ``run``, whose other exit codes are what ran over there."""


COMPLETING = "_REMOTENB_COMPLETE"
"""Set by a shell that asks how a line could go on; click's own name for it."""


HOSTS = {"HOST", "[HOST]", "OTHER"}
FILES = {"FILE", "[FILE]", "SRC", "DST"}


def _complete_alike(command: click.Command) -> None:
    """Every HOST, and every file, which is left to the shell."""
    from remotenb.cli.completion import HostName  # noqa: PLC0415  only for a shell that asks

    for parameter in command.params:
        if parameter.metavar in HOSTS:
            parameter.type = HostName()
        elif parameter.metavar in FILES:
            parameter.type = click.Path()


class LazyGroup(click.Group):
    """Imports a command's module only to run it, so that --help does not wait for paramiko."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the order in which they are told."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        together = (module for module, names in TOGETHER.items() if cmd_name in names)
        module = importlib.import_module(f"remotenb.cli.{next(together, cmd_name)}")
        command = getattr(module, cmd_name, None) or module.command
        assert isinstance(command, click.Command)  # noqa: S101  our own modules
        if COMPLETING in os.environ:
            _complete_alike(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but that what was meant is guessed."""
        name = args[0]
        close = difflib.get_close_matches(name, COMMANDS, 1, 0.6) if name not in COMMANDS else []
        if close and not ctx.resilient_parsing:
            raise UsageError(f"there is no command {plain(name)}", hint=f"did you mean {close[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands and their one line, without importing them."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Documentation and example config: docs/ and config.example.toml of the project.",
)
@click.version_option(__version__, "--version", message="remotenb %(version)s")
def cli() -> None:
    """From your laptop to a running Jupyter in the NGC container of a GPU server."""


def main() -> NoReturn:
    """Run the command line; the exit code is of the contract (docs/reference/exit-codes.md)."""
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else it writes to stderr
    as_json = _asks_for_json(sys.argv[1:])
    stopping.utf8_streams()
    stopping.hear_ctrl_c()
    if COMPLETING in os.environ:
        importlib.import_module("remotenb.cli.completion")  # which knows PowerShell
    try:
        # what click would expand (~, %PATH%, *.py) is meant for the server
        result = cli.main(prog_name="remotenb", standalone_mode=False, windows_expand_args=False)
        code = result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        code = EXIT_INTERRUPTED
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        code = _refuse(error, as_json=as_json)
    except RemotenbError as error:
        code = _fail(error, as_json=as_json)
    except Exception as error:
        if os.environ.get("REMOTENB_DEBUG"):
            raise
        bug = RemotenbError(
            f"a bug in remotenb: {type(error).__name__}: {error}",
            hint="REMOTENB_DEBUG=1 shows where; please report it",
        )
        code = _fail(bug, as_json=as_json)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Exit at once: threads that wait for the network must not hold the terminal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue  # the reader of a pipe has left
    os._exit(code)


def _asks_for_json(argv: list[str]) -> bool:
    own = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in own


def _refuse(error: click.ClickException, *, as_json: bool) -> int:
    """Say what click says; to who gave no command, the commands alone."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return UsageError.code
    return _fail(UsageError(error.format_message(), hint=_hint(error)), as_json=as_json)


def _hint(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    path = error.ctx.command_path
    if isinstance(error, click.NoSuchOption) and path.endswith((" exec", " run")):
        return f"options of what shall run come behind --; see {path} --help"
    return f"see {path} --help"


def _fail(error: RemotenbError, *, as_json: bool) -> int:
    from remotenb.cli.output import print_error  # noqa: PLC0415  only when something failed

    print_error(error, as_json=as_json)
    joined = sys.argv[1:2] in (["exec"], ["shell"], ["run"]) and not as_json
    return EXIT_NOT_THE_COMMANDS if joined else error.code
