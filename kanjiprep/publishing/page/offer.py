"""What the page offers: checkpoints with their scores, styles, and the settings that it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.score_table import Score, Scores
from kanjiprep.publishing import sampling_of
from kanjiprep.publishing import tuned as outcomes
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import prompts
from kanjiprep.training.prompts import Style
from kanjiprep.training.run_spec import Validation

BASE: Final = "base"
_FILE: Final = "file"
_EXAMPLES: Final = "creatures"
"""The library whose prompts are offered."""
_STYLE: Final = "ink"
"""Where there is no run that has one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to paint with.

    Attributes:
        key: Unlike that of all others.
        label: In words.
        short: As below a picture.
        tuned: The checkpoint or file; None for the base model alone.
        warnings: What speaks against it, a sentence each.
    """

    key: str
    label: str
    short: str
    tuned: Tuned | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """All that can be chosen.

    Attributes:
        name: Of the run or file.
        family: ``sd3`` or ``sd1x``; empty if nobody knows.
        base: The model that everything belongs to, a repository of the Hub or a folder.
        choices: By step; the base model alone is the last.
        first: Key of the one that is chosen at first.
        styles: By name; the run's own among them.
        asked: The settings that the page begins with; ``style`` is one of ``styles``.
        examples: Prompts to begin with.
        run: Its folder, if it is a run.
    """

    name: str
    family: str
    base: str
    choices: tuple[Choice, ...]
    first: str
    styles: Mapping[str, Style]
    asked: Validation
    examples: tuple[str, ...]
    run: Path | None

    def choice(self, key: str) -> Choice:
        """The choice of ``key``.

        Raises:
            UsageError: If there is none.
        """
        for one in self.choices:
            if one.key == key:
                return one
        raise UsageError(f"there is no checkpoint {key!r:.40}", remedy="choose one of the list")

    def style(self, name: str) -> Style:
        """The style of that name.

        Raises:
            UsageError: If there is none.
        """
        if name not in self.styles:
            raise UsageError(f"there is no style {name!r:.40}", remedy="choose one of the list")
        return self.styles[name]


def offer(wanted: str, base: str | None = None) -> Offer:
    """What the page offers for ``wanted``: all checkpoints of a run, or a file alone.

    Args:
        wanted: A run or its name, or a LoRA.
        base: The model that it belongs to, if the user says so.

    Raises:
        UsageError: If there is no such thing, or nobody knows its base model.
        TrainerError: If it cannot be read, or has no checkpoint.
    """
    found, first = _found(wanted)
    one = found[0]
    known = base or one.base
    if not known:
        remedy = "name it with --base: a repository of the Hub or a folder"
        raise UsageError("nobody knows the base model that it belongs to", wanted, remedy)
    asked = one.asked or _usual(one)
    styles, asked = _styles(asked, one.run)
    return Offer(
        name=one.name,
        family=one.family,
        base=known,
        choices=(*_found_choices(found), Choice(BASE, "base model alone", "base model alone", None)),
        first=first,
        styles=styles,
        asked=asked,
        examples=tuple(dict.fromkeys(prompts.library(_EXAMPLES, Path()).values())),
        run=one.run,
    )


def _usual(one: Tuned) -> Validation:
    usual = sampling_of.usual(one.family or "sd3", one.flavour)
    return Validation(
        style=_STYLE,
        size_px=usual.size_px,
        inference_steps=usual.steps,
        guidance=usual.guidance,
        seed=sampling_of.seed(one),
    )


def _found(wanted: str) -> tuple[tuple[Tuned, ...], str]:
    """All that ``wanted`` has, at least one, and the key of the best."""
    try:
        best = outcomes.find(wanted)
    except TrainerError:
        with suppress(UsageError):  # a run whose best checkpoint is gone may have others
            found = outcomes.every(wanted)
            return found, _key(found[-1])
        raise
    return ((best,) if best.run is None else outcomes.every(str(best.run))), _key(best)


def _key(one: Tuned) -> str:
    return _FILE if one.step is None else str(one.step)


def _found_choices(found: tuple[Tuned, ...]) -> tuple[Choice, ...]:
    """The choices for checkpoints of one run, or for one file."""
    run = found[0].run
    scores = None if run is None else score_table.read(run)
    rows = {one.step: one for one in scores.rows} if scores else {}
    return tuple(_choice(one, rows.get(one.step or 0), scores) for one in found)


def _choice(one: Tuned, score: Score | None, scores: Scores | None) -> Choice:
    if one.step is None:
        return Choice(_FILE, one.name, one.name, one, one.warnings)
    short = f"step {one.step:,}"
    flags = score.more.get("flags", "") if score else ""
    told = (
        short,
        f"score {score.score:.1f}" if score else "",
        f"dropped for its {flags}" if flags else "",
        "chosen" if scores and scores.chosen == one.step else "",
    )
    return Choice(str(one.step), ", ".join(filter(None, told)), short, one, one.warnings)


def _styles(asked: Validation, run: Path | None) -> tuple[dict[str, Style], Validation]:
    """The shipped styles and the run's own, and ``asked`` with one of them."""
    styles = {name: prompts.style(name, Path()) for name in prompts.names("styles")}
    if asked.style in styles:
        return styles, asked
    with suppress(UsageError):  # the run may be a copy, and its style on another machine
        if run is not None:
            own = prompts.style(asked.style, run)
            name = Path(asked.style).stem
            name = name if name not in styles else f"{name} of the run"
            return {name: own, **styles}, replace(asked, style=name)
    return styles, replace(asked, style="plain")
