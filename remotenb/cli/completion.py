"""``remotenb completion SHELL``: what a shell needs to complete commands, options and hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from remotenb.cli import options
from remotenb.errors import RemotenbError

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_REMOTENB_COMPLETE"

POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:%(complete_var)s = "powershell_complete"
    $env:COMP_WORDS = $commandAst.ToString()
    $env:COMP_CWORD = $wordToComplete
    try {
        %(prog_name)s | ForEach-Object {
            $kind, $value, $help = $_ -split "`t", 3
            if ($kind -ne "plain") { return }  # files it completes by itself
            $shown = if ($help) { $help } else { $value }
            [System.Management.Automation.CompletionResult]::new(
                $value, $value, "ParameterValue", $shown)
        }
    } finally {
        Remove-Item Env:%(complete_var)s, Env:COMP_WORDS, Env:COMP_CWORD
    }
}
"""


@add_completion_class
class PowerShell(ShellComplete):
    """Click knows bash, zsh and fish; this is the same for PowerShell 5 and newer."""

    name = "powershell"
    source_template = POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is being typed, and that one."""
        import os  # noqa: PLC0415  a completion's process does nothing else

        words = split_arg_string(os.environ["COMP_WORDS"].replace("\\", "\\\\"))
        incomplete = os.environ["COMP_CWORD"]
        return (words[1:-1] if incomplete else words[1:]), incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Kind, value and help between tabs."""
        return f"{item.type}\t{item.value}\t{item.help or ''}"


class HostName(click.ParamType[str]):
    """HOST: anything, but these are known."""

    name = "host"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names of the config and of ssh_config."""
        names = sorted({name for name in known_hosts() if name.startswith(incomplete)})
        return [CompletionItem(name) for name in names]


def known_hosts() -> Iterator[str]:
    """The hosts that config and ssh_config name; what cannot be read names none."""
    from remotenb.ssh.reader import aliases  # noqa: PLC0415  only when a HOST is completed

    for names in (
        lambda: options.load_config(None).hosts,
        lambda: aliases(Path("~/.ssh/config").expanduser()),
    ):
        try:
            yield from names()
        except (RemotenbError, OSError):
            continue


@click.command("completion", short_help="Completion for your shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(*, shell: str) -> int:
    """Print what SHELL needs to complete remotenb's commands, options and hosts.

    \b
    bash:        mkdir -p ~/.local/share/bash-completion/completions
                 cd ~/.local/share/bash-completion/completions
                 remotenb completion bash > remotenb
    zsh:         mkdir -p ~/.zfunc                (which must be in fpath)
                 remotenb completion zsh > ~/.zfunc/_remotenb
    fish:        mkdir -p ~/.config/fish/completions
                 cd ~/.config/fish/completions
                 remotenb completion fish > remotenb.fish
    PowerShell:  remotenb completion powershell >> $PROFILE
    """  # noqa: D301  \b is click's sign for lines that stay as they are
    from remotenb.cli import cli  # noqa: PLC0415  it imports us

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  one of SHELLS
    click.echo(kind(cli, {}, "remotenb", VARIABLE).source())
    return 0
