"""The checkpoints of a run as a table that can be sorted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep.evaluation.choose import Ranked
from kanjiprep.evaluation.judged import JudgedRun, JudgedStep, Parts, WeightPoint
from kanjiprep.evaluation.kinds import SIGNS, WORDS, Kind, kinds
from kanjiprep.evaluation.report import words

Field = tuple[str, float | str | None]
"""As it is read, and as it is sorted; None at the end."""
Sort = Literal["number", "kind", "text"]
_PLAIN: Final[tuple[tuple[str, Sort], ...]] = (
    ("step", "number"),
    ("verdict", "kind"),
    ("score", "number"),
    ("95 % interval", "number"),
    ("style", "number"),
    ("shape", "number"),
    ("pictures", "number"),
    ("dropped for", "text"),
)
_WEIGHTS: Final[tuple[tuple[str, Sort], ...]] = (("‖BA‖", "number"), ("spectral", "number"), ("jump", "number"))
_PARTS: Final[tuple[tuple[str, Sort], ...]] = (
    ("components", "number"),
    ("novelty", "number"),
    ("most like", "number"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of fields under headers.

    Attributes:
        headers: Of the columns, with what stands in each.
        rows: The kind of the checkpoint, and its fields.
    """

    headers: tuple[tuple[str, Sort], ...]
    rows: tuple[tuple[Kind, tuple[Field, ...]], ...]


def table(run: JudgedRun) -> Table:
    """The checkpoints of ``run``, and its steps with pictures, ascending."""
    places = {one.step: one for one in run.verdict.ranked}
    weights = {one.step: one for one in run.weights}
    parts = {one.step: _parts_of(run, one.step) for one in run.steps}
    has_parts, of_step = any(parts.values()), kinds(run)
    headers = (*_PLAIN, *(_WEIGHTS if weights else ()), *(_PARTS if has_parts else ()))
    rows = []
    for one in run.steps:
        fields = [*_plain(one, of_step[one.step], places.get(one.step))]
        fields += _weights(weights.get(one.step)) if weights else ()
        fields += _parts(parts[one.step]) if has_parts else ()
        rows.append((of_step[one.step], tuple(fields)))
    return Table(headers, tuple(rows))


def _plain(one: JudgedStep, kind: Kind, place: Ranked | None) -> Iterator[Field]:
    no_adapter = "" if one.has_weights else ", no adapter"
    yield f"{one.step:,}", one.step
    yield f"{SIGNS[kind]} {WORDS[kind]}{no_adapter}".strip(), WORDS[kind]
    yield words.score(one.score), words.finite(one.score)
    if place is None or words.finite(place.low) is None:
        yield words.NOTHING, None
    else:
        yield words.interval(place.low, place.high), place.low
    yield words.fixed(one.style), words.finite(one.style)
    yield words.fixed(one.shape), words.finite(one.shape)
    yield f"{one.pictures:,}", one.pictures
    yield _flags(one)


def _weights(point: WeightPoint | None) -> Iterator[Field]:
    if point is None:
        yield from ((words.NOTHING, None) for _ in _WEIGHTS)
        return
    for value, decimals in ((point.frobenius, 2), (point.spectral, 3), (point.jump, 2)):
        yield words.fixed(value, decimals), words.finite(value)


def _parts_of(run: JudgedRun, step: int) -> tuple[Parts, ...]:
    found = (one.parts for one in run.pictures if one.cell.step == step and not one.cell.is_base)
    return tuple(parts for parts in found if parts is not None)


def _parts(parts: Sequence[Parts]) -> Iterator[Field]:
    wanted = sum(len(one.wanted) for one in parts)
    found = sum(len(one.found) for one in parts)
    yield (f"{found:,} of {wanted:,}", found / wanted) if wanted else (words.NOTHING, None)
    novelty = words.finite(sum(one.novelty for one in parts) / len(parts)) if parts else None
    yield words.fixed(novelty), novelty
    nearest = max((one.nearest[0] for one in parts if one.nearest), key=lambda pair: pair[1], default=None)
    yield (f"{nearest[0]} {words.fixed(nearest[1])}", nearest[1]) if nearest else (words.NOTHING, None)


def _flags(one: JudgedStep) -> Field:
    text = "; ".join(f"{flag.about}: {flag.text}" for flag in one.flags)
    return text, text or None
