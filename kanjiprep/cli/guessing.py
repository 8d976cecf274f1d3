"""What a word that is no command or no choice was probably meant to be."""

from __future__ import annotations

import re
from typing import Final

import click

from kanjiprep.spec import did_you_mean

_REFUSED: Final = re.compile(r"(['\"])(.*)\1 is not one of ", re.DOTALL)
"""How click begins when a choice is refused; the quotation marks are those of ``repr``."""


class Guessing(click.Group):
    """A group that guesses what a mistyped command was meant to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a guess."""
        is_typed_whole = not ctx.resilient_parsing  # or a shell asks what it may become
        if is_typed_whole and args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            guess = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"no such command {args[0]!r}{guess}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of the way, not of the alphabet."""
        return list(self.commands)


def choice(error: click.ClickException) -> str:
    """``", did you mean X?"`` if ``error`` refuses a choice that is nearly one, or an empty string."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
    refused = _REFUSED.match(error.message)
    return did_you_mean(refused[2], map(str, kind.choices)) if isinstance(kind, click.Choice) and refused else ""
