"""``completion``: the script by which a shell completes."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from kanjiprep.cli import talk

VARIABLE: Final = "_KANJIPREP_COMPLETE"
"""By which a shell asks; click's own, made of the program's name."""
_PROGRAM: Final = "kanjiprep"
_INSTALL: Final = MappingProxyType(
    {
        "bash": """echo 'eval "$(kanjiprep completion bash)"' >> ~/.bashrc""",
        "zsh": """echo 'eval "$(kanjiprep completion zsh)"' >> ~/.zshrc""",
        "fish": "mkdir -p ~/.config/fish/completions && "
        "kanjiprep completion fish > ~/.config/fish/completions/kanjiprep.fish",
    }
)


@click.command(
    short_help="Print what lets a shell complete commands and names.",
    epilog="""\b
Examples:
  kanjiprep completion bash                  print the script, and how to install it
  eval "$(kanjiprep completion bash)"        complete in this shell
  kanjiprep completion fish > ~/.config/fish/completions/kanjiprep.fish""",
)
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and their values with the Tab key.

    Presets, runs, checkpoints, styles, caption templates and GPUs are completed by name. bash must be 4.4 or newer.
    The line that installs it for every new shell stands at the end of the script.
    """
    from kanjiprep.cli import door

    talk.out(f"{script(door, shell)}\n# To install it: {_INSTALL[shell]}")
    if sys.stdout.isatty():
        talk.say(f"Next: {_INSTALL[shell]}, then open a new shell")


def script(command: click.Command, shell: str) -> str:
    """The script with which ``shell`` asks ``command`` for completions.

    Raises:
        ValueError: If click knows no such shell.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    # BashComplete.source would start a bash to learn its version; whoever asks for the script need not have it here
    return ShellComplete.source(kind(command, {}, _PROGRAM, VARIABLE)).rstrip()
