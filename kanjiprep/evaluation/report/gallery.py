"""The pictures of judged runs in the orders in which the page shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Final

from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import JudgedRun, Parts, PictureScore
from kanjiprep.evaluation.kinds import SIGNS, WORDS, Kind, kinds, standing_for
from kanjiprep.evaluation.report import words
from kanjiprep.evaluation.report.thumbs import Embedded
from kanjiprep.privacy import inside

_MOST_TIMES: Final = 3
"""The verdict, the strip and the grid."""


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with what is said of it.

    Attributes:
        number: Of the picture on the page.
        shown: The picture.
        step: Of the run.
        label: Below it.
        score: Of the picture.
        kind: Of its checkpoint, or ``exploded`` if the picture itself is.
        sign: Of that kind.
        alt: In a sentence, instead of the picture.
        why: What speaks against it; empty if nothing does.
        more: All that is known of it, a line each.
    """

    number: int
    shown: Embedded
    step: int
    label: str
    score: float | None
    kind: Kind
    sign: str
    alt: str
    why: str
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """The pictures of a prompt in the order of their steps.

    Attributes:
        name: Short name of the prompt.
        prompt: The whole of it.
        part: Which of its pictures these are; empty if there is one a step.
        cards: The pictures, the base model's first.
    """

    name: str
    prompt: str
    part: str
    cards: tuple[Card, ...]


def order(runs: Sequence[JudgedRun]) -> dict[Cell, int]:
    """How often each picture stands on the page, those that most deserve to be enlarged first."""
    often = {standing_for(run)[0] for run in runs}
    ordered = [cell for _, cell in sorted(_wanted(runs), key=lambda one: one[0])]
    return {cell: _MOST_TIMES if cell.is_base or cell.step in often else 1 for cell in ordered}


def cards(runs: Sequence[JudgedRun], shown: Mapping[Cell, Embedded]) -> tuple[dict[Cell, Card], ...]:
    """A card for each picture of each run; numbered over all of them."""
    numbers = count()
    found = []
    for run in runs:
        steps, of_step = {one.step: one for one in run.steps}, kinds(run)
        of: dict[Cell, Card] = {}
        for one in run.pictures:
            judged = None if one.cell.is_base else steps[one.cell.step]
            kind: Kind = "base" if judged is None else "exploded" if one.fault else of_step[judged.step]
            of[one.cell] = _card(
                one, kind, judged.flags if judged else (), run.folder, shown[one.cell], next(numbers)
            )
        found.append(of)
    return tuple(found)


def strips(run: JudgedRun, of: Mapping[Cell, Card]) -> tuple[Strip, ...]:
    """Those of ``run``, a prompt after the other."""
    found: dict[tuple[str, int], list[Card]] = {}
    for cell in _by_prompt(run, of):
        found.setdefault((cell.prompt, cell.seed), []).append(of[cell])
    many = Counter(name for name, _ in found)
    return tuple(
        Strip(name, run.prompts.get(name, ""), f"picture {seed + 1}" if many[name] > 1 else "", tuple(some))
        for (name, seed), some in found.items()
    )


def chosen(run: JudgedRun, of: Mapping[Cell, Card]) -> tuple[tuple[str, Card], ...]:
    """The first picture of each prompt at the chosen step of ``run``, with the name of the prompt."""
    first: dict[str, Card] = {}
    for cell in _by_prompt(run, of):
        if _is_at(cell, cell.prompt, run.verdict.step):
            first.setdefault(cell.prompt, of[cell])
    return tuple(first.items())


def _by_prompt(run: JudgedRun, cells: Iterable[Cell]) -> list[Cell]:
    """``cells`` in the order of the run's prompts, what is not among them at the end, then by seed and step."""
    place = {name: number for number, name in enumerate(run.prompts)}
    last = len(place)
    return sorted(
        cells, key=lambda one: (place.get(one.prompt, last), one.prompt, one.seed, not one.is_base, one.step)
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt of the grid.

    Attributes:
        name: Short name of the prompt.
        prompt: The whole of it.
        base: The base model's picture; None without one.
        cards: Each run's picture; None where it has none.
    """

    name: str
    prompt: str
    base: Card | None
    cards: tuple[Card | None, ...]


def grid(runs: Sequence[JudgedRun], of: Sequence[Mapping[Cell, Card]]) -> tuple[Row, ...]:
    """Prompts by runs, each run with the checkpoint that stands for it."""
    texts = {name: text for run in reversed(runs) for name, text in run.prompts.items()}
    names = [*texts, *sorted({cell.prompt for some in of for cell in some} - set(texts))]
    steps = [standing_for(run)[0] for run in runs]
    found = (_row(name, texts.get(name, ""), steps, of) for name in names)
    return tuple(row for row in found if row.base is not None or any(row.cards))


def _row(name: str, prompt: str, steps: Sequence[int | None], of: Sequence[Mapping[Cell, Card]]) -> Row:
    bases = (card for some in of for cell, card in some.items() if cell.is_base and cell.prompt == name)
    shown = (
        next((card for cell, card in some.items() if _is_at(cell, name, step)), None)
        for step, some in zip(steps, of, strict=True)
    )
    return Row(name, prompt, next(bases, None), tuple(shown))


def _is_at(cell: Cell, prompt: str, step: int | None) -> bool:
    return cell.prompt == prompt and cell.step == step and not cell.is_base


def _wanted(runs: Sequence[JudgedRun]) -> Iterator[tuple[tuple[int, int], Cell]]:
    for run in runs:
        of_step, steps, center = kinds(run), [one.step for one in run.steps], standing_for(run)[0] or run.step
        beside = {
            other
            for before, after in pairwise(steps)
            for other, one in ((before, after), (after, before))
            if of_step[one] == "dropped"
        }
        for picture in run.pictures:
            cell = picture.cell
            kind = of_step.get(cell.step, "sound")
            rank = 0 if kind == "chosen" or cell.is_base else 1 if kind == "tied" else 2 if cell.step in beside else 3
            yield (rank, abs(cell.step - center)), cell


def _card(one: PictureScore, kind: Kind, flags: Sequence[Flag], folder: Path, shown: Embedded, number: int) -> Card:
    cell, value = one.cell, words.finite(one.score)
    reasons = [f"checkpoint dropped: {flag.text}" for flag in flags]
    reasons += [f"picture exploded: {one.fault}"] if one.fault else []
    step = "base model" if cell.is_base else f"step {cell.step:,}"
    return Card(
        number=number,
        shown=shown,
        step=cell.step,
        label="base" if cell.is_base else f"{cell.step:,}",
        score=value,
        kind=kind,
        sign=SIGNS[kind],
        alt=f"{step}, {cell.prompt}, score {words.score(value)}, {WORDS[kind]}",
        why="; ".join(reasons),
        more=(*map(words.sentence, reasons), *_more(one, folder)),
    )


def _more(one: PictureScore, folder: Path) -> Iterator[str]:
    yield f"Style {words.fixed(one.style)} (0 is as in training), shape {words.fixed(one.shape)} (1 is usual)."
    if one.oddities:
        yield words.sentence(f"Most out of range: {words.listed(one.oddities)}")
    if one.parts is not None:
        yield from _parts(one.parts)
    yield inside(one.cell.path, folder)


def _parts(parts: Parts) -> Iterator[str]:
    if parts.wanted:
        found = words.listed(parts.found, 20) or "none"
        yield f"Components asked for: {words.listed(parts.wanted, 20)}; found: {found}."
    if parts.nearest:
        nearest = words.listed([f"{name} ({words.fixed(value)})" for name, value in parts.nearest])
        yield f"Most like {nearest}; novelty {words.fixed(parts.novelty)}."
