"""The command reference, from the commands' own help; run as a module it renews ``help.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from kanjiprep.cli import CONTEXT, door

FRONT_PAGE = Path(__file__).resolve().parent.parent / "help.txt"
WIDTH = 80


def front_page() -> str:
    """What ``kanjiprep --help`` says."""
    return f"{_context(door, 'kanjiprep').get_help()}\n"


def reference() -> str:
    """The help of every command as Markdown."""
    return "\n".join(f"### {path}\n\n```text\n{text}\n```\n" for path, text in _pages())


def _pages() -> Iterator[tuple[str, str]]:
    for name, command in door.commands.items():
        path = f"kanjiprep {name}"
        yield path, _context(command, path).get_help()


def _context(command: click.Command, path: str) -> click.Context:
    return click.Context(command, info_name=path, terminal_width=WIDTH, **CONTEXT)


if __name__ == "__main__":
    FRONT_PAGE.write_text(front_page(), "utf-8")
