"""The pictures of judged runs in the orders in which the page shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import JudgedRun, Parts, PictureScore
from kanjiprep.evaluation.report import words
from kanjiprep.evaluation.report.kinds import SIGNS, WORDS, Kind, flags, kinds, shown_step
from kanjiprep.evaluation.report.private import inside
from kanjiprep.evaluation.report.thumbs import Shown

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
        kind: Of its checkpoint, or ``flagged`` if the picture itself is.
        sign: Of that kind.
        alt: In a sentence, instead of the picture.
        why: Why it is flagged; empty if it is not.
        more: All that is known of it, a line each.
    """

    number: int
    shown: Shown
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
    often = {step for step in map(shown_step, runs) if step is not None}
    ordered = [cell for _, cell in sorted(_wanted(runs), key=lambda one: one[0])]
    return {cell: _MOST_TIMES if cell.is_base or cell.step in often else 1 for cell in ordered}


def cards(runs: Sequence[JudgedRun], shown: Mapping[Cell, Shown]) -> tuple[dict[Cell, Card], ...]:
    """A card for each picture of each run; numbered over all of them."""
    numbers = iter(range(sum(len(run.pictures) for run in runs)))
    found = []
    for run in runs:
        of_step, why = kinds(run), flags(run)
        found.append(
            {
                one.cell: _card(run, one, shown[one.cell], next(numbers), of_step.get(one.cell.step, "sound"), why)
                for one in run.pictures
            }
        )
    return tuple(found)


def strips(run: JudgedRun, of: Mapping[Cell, Card]) -> tuple[Strip, ...]:
    """Those of ``run``, a prompt after the other."""
    found: dict[tuple[str, int], list[Cell]] = {(name, 0): [] for name in run.prompts}
    for cell in sorted(of, key=lambda one: (one.prompt, one.seed, not one.is_base, one.step)):
        found.setdefault((cell.prompt, cell.seed), []).append(cell)
    many = {name: sum(other == name for other, _ in found) for name, _ in found}
    return tuple(
        Strip(
            name,
            run.prompts.get(name, ""),
            f"picture {seed + 1} of {many[name]}" if many[name] > 1 else "",
            tuple(of[cell] for cell in cells),
        )
        for (name, seed), cells in _by_prompt(found, list(run.prompts))
        if cells
    )


def chosen(run: JudgedRun, of: Mapping[Cell, Card]) -> tuple[tuple[str, Card], ...]:
    """The first picture of each prompt at the chosen step of ``run``, with the name of the prompt."""
    first: dict[str, Card | None] = dict.fromkeys(run.prompts)
    for cell in sorted(of, key=lambda one: (one.prompt, one.seed)):
        if _is_at(cell, cell.prompt, run.verdict.step):
            first[cell.prompt] = first.get(cell.prompt) or of[cell]
    return tuple((name, card) for name, card in first.items() if card is not None)


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
    found = (_row(name, texts.get(name, ""), runs, of) for name in names)
    return tuple(row for row in found if row.base is not None or any(row.cards))


def _row(name: str, prompt: str, runs: Sequence[JudgedRun], of: Sequence[Mapping[Cell, Card]]) -> Row:
    bases = (card for some in of for cell, card in some.items() if cell.is_base and cell.prompt == name)
    chosen = (
        [some[cell] for cell in some if _is_at(cell, name, shown_step(run))]
        for run, some in zip(runs, of, strict=True)
    )
    return Row(name, prompt, next(bases, None), tuple(next(iter(found), None) for found in chosen))


def _is_at(cell: Cell, prompt: str, step: int | None) -> bool:
    return cell.prompt == prompt and cell.step == step and not cell.is_base


def _by_prompt(
    found: Mapping[tuple[str, int], list[Cell]], names: list[str]
) -> list[tuple[tuple[str, int], list[Cell]]]:
    """In the order of the run's prompts, what is not among them at the end."""
    place = {name: number for number, name in enumerate(names)}
    return sorted(found.items(), key=lambda one: (place.get(one[0][0], len(names)), one[0]))


def _wanted(runs: Sequence[JudgedRun]) -> Iterator[tuple[tuple[int, int], Cell]]:
    for run in runs:
        of_step, steps, center = kinds(run), [one.step for one in run.steps], shown_step(run) or run.step
        beside = {
            other
            for before, after in pairwise(steps)
            for other, one in ((before, after), (after, before))
            if of_step[one] == "flagged"
        }
        for picture in run.pictures:
            cell = picture.cell
            kind = of_step.get(cell.step, "sound")
            rank = 0 if kind == "chosen" or cell.is_base else 1 if kind == "tied" else 2 if cell.step in beside else 3
            yield (rank, abs(cell.step - center)), cell


def _card(
    run: JudgedRun, one: PictureScore, shown: Shown, number: int, of_step: Kind, why: Mapping[int, tuple[Flag, ...]]
) -> Card:
    cell = one.cell
    reasons = [] if cell.is_base else [flag.text for flag in why.get(cell.step, ())]
    if one.fault and one.fault not in reasons:
        reasons.append(f"this picture: {one.fault}")
    kind: Kind = "base" if cell.is_base else "flagged" if one.fault else of_step
    value = words.finite(one.score)
    step = "base model" if cell.is_base else f"step {cell.step:,}"
    alt = f"{step}, {cell.prompt}, score {words.score(value)}, {WORDS[kind]}"
    label = "base" if cell.is_base else f"{cell.step:,}"
    more = tuple(_more(run, one, reasons))
    return Card(number, shown, cell.step, label, value, kind, SIGNS[kind], alt, "; ".join(reasons), more)


def _more(run: JudgedRun, one: PictureScore, reasons: Sequence[str]) -> Iterator[str]:
    yield from (words.sentence(f"Flagged: {reason}") for reason in reasons)
    yield f"Style {words.fixed(one.style)} and shape {words.fixed(one.shape)} half bands out of range."
    if one.oddities:
        yield words.sentence(f"Most out of range: {words.listed(one.oddities)}")
    if one.parts is not None:
        yield from _parts(one.parts)
    yield inside(one.cell.path, run.folder)


def _parts(parts: Parts) -> Iterator[str]:
    if parts.wanted:
        found = words.listed(parts.found, 20) or "none"
        yield f"Components asked for: {words.listed(parts.wanted, 20)}; found: {found}."
    if parts.nearest:
        nearest = words.listed([f"{name} ({words.fixed(value)})" for name, value in parts.nearest])
        yield f"Most like {nearest}; novelty {words.fixed(parts.novelty)}."
