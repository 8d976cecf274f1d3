"""Files and folders as a user names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from kanjiprep.errors import UsageError


class _Place(click.Path):
    """A path, which an empty text is not, though Python takes it for the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and param is not None:
            name = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
            refuse_empty(name, value, is_needed=param.required)
        return super().convert(value, param, ctx)


PLACE: Final = _Place(path_type=Path)
"""The type of an option or an argument that is a path."""


def refuse_empty(name: str, given: str | None, is_needed: bool = False) -> None:
    """Refuse what was given without anything in it, as an unset variable of a shell gives it.

    Args:
        name: Of the option or the argument, as it is typed.
        given: Its value, or None if it was left out.
        is_needed: Whether it cannot be left out.

    Raises:
        UsageError: If it is empty.
    """
    if given is not None and not given.strip():
        raise UsageError("is empty", name, "say which" if is_needed else "leave it out, or say which")
