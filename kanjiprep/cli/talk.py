"""What the commands say: progress, results and next steps on stderr, JSON on stdout."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import click

from kanjiprep.errors import KanjiprepError
from kanjiprep.progress import Progress, silent

LABEL_WIDTH: Final = 11
"""Of the label that begins a line about a run."""


def say(text: str, color: bool | None = None) -> None:
    """A line of talk on stderr; where nobody can hear it, it is dropped, and the work goes on."""
    with suppress(OSError):
        click.echo(text, err=True, color=color)


def out(text: str, nl: bool = True) -> None:
    """Data on stdout, which a command does not end well without.

    Raises:
        KanjiprepError: If stdout is closed.
    """
    if sys.stdout is None:
        raise KanjiprepError("the output is closed", "", "leave it open, or send it to a file")
    click.echo(text, nl=nl)


def let_go() -> None:
    """Drop what could not be said, or Python tries it again when it ends, and ends with exit code 120."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        with suppress(OSError):  # a stream without a descriptor is not flushed at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def is_watched() -> bool:
    """Whether a terminal shows what is said, and can show it moving."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def color() -> bool | None:
    """Whether lines are coloured: not where NO_COLOR is set or the terminal is dumb, and else as click finds."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def short(path: Path) -> str:
    """``path`` as a user would type it here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def print_json(document: object) -> None:
    """One JSON document on stdout; dataclasses, paths and tuples are written as a reader expects."""
    out(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


@contextmanager
def progress(quiet: bool = False) -> Iterator[Progress]:
    """A progress bar on a terminal, a plain line every tenth elsewhere, nothing when ``quiet``."""
    if quiet:
        yield silent
    elif is_watched():
        with _bar() as listener:
            yield listener
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        stages: dict[str, Any] = {}

        def listen(stage: str, done: int, total: int | None) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            bar.update(stages[stage], completed=done, total=total)

        yield listen


_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan", "log": "dim"}


@contextmanager
def live_lines() -> Iterator[Callable[[Iterable[str]], None]]:
    """A function that shows labelled lines on the terminal in the place of those before."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False)

    def styled(line: str) -> Text:
        text = Text(line, style=_COLOURS.get(line.split(" ", 1)[0], ""), no_wrap=True, overflow="ellipsis")
        text.stylize("bold", 0, LABEL_WIDTH)
        return text

    with Live(console=console, auto_refresh=False, transient=True) as live:
        between = Text("\n", no_wrap=True, overflow="ellipsis")
        yield lambda lines: live.update(between.join(map(styled, lines)), refresh=True)


class _Lines:
    """Says a stage's first and last step, and one about every ``EVERY_S`` seconds in between."""

    EVERY_S = 2.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = self._clock()
        is_due = now - self._said_at.get(stage, -self.EVERY_S) >= self.EVERY_S
        if is_due or done == total:
            self._said_at[stage] = now
            say(f"{stage}: {done:,}" + (f" of {total:,}" if total is not None else ""))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
