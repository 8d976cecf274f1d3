"""How a run is shown: a table that renews itself, plain lines, or one JSON document."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from kanjiprep.cli import talk

if TYPE_CHECKING:
    from kanjiprep.training.running.monitor import Screen
    from kanjiprep.training.running.view import View


@contextmanager
def screen(quiet: bool) -> Iterator[Screen]:
    """A table that renews itself on a terminal, plain lines elsewhere, nothing when ``quiet``."""
    from kanjiprep.training.running import monitor, view_text

    if quiet:
        yield lambda seen: None  # noqa: ARG005
    elif talk.is_watched():
        with talk.live_lines() as draw:
            yield lambda seen: draw(view_text.lines(seen))
    else:
        yield monitor.Lines(talk.say)


def show(seen: View, as_json: bool, notes: Mapping[str, object] = MappingProxyType({})) -> None:
    """Print ``seen`` and the next step."""
    from kanjiprep.training.running import view_text

    if as_json:
        talk.print_json({**dataclasses.asdict(seen), **notes})
        return
    for line in view_text.lines(seen):
        talk.out(line)
    if seen.advice:
        talk.say(f"Next: {seen.advice}")
