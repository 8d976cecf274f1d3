"""A judged run in lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.evaluation.choose import Ranked
from kanjiprep.evaluation.judged import JudgedRun, JudgedStep, Parts

_WIDEST: Final = 118
_BAR: Final = 20


def verdict(run: JudgedRun) -> str:
    """What is said of the run, in one line."""
    said = {"chosen": "", "cannot tell": "cannot tell: ", "none": "none: "}[run.verdict.status]
    return f"{said}{run.verdict.why}"


def lines(run: JudgedRun) -> Iterator[str]:
    """A table of the checkpoints and the verdict, a line each."""
    yield from _table(run)
    yield from _reasons(run)
    yield from _base(run)
    yield from _parts(run)
    yield f"verdict    {verdict(run)}"


def _table(run: JudgedRun) -> Iterator[str]:
    judged = [one for one in run.steps if one.pictures or one.flags]
    if not judged:
        return
    places = {one.step: one for one in run.verdict.ranked}
    yield f"{'step':>10}  {'score':>5}  {'95 %':^15}  {'':{_BAR}}  {'style':>5}  {'shape':>5}  {'pictures':>8}"
    for one in judged:
        yield _cut(_line(one, places, run.verdict.step))


def _line(step: JudgedStep, places: Mapping[int, Ranked], chosen: int | None) -> str:
    place = places.get(step.step)
    points = place.smooth if place else step.score
    band = f"{place.low:5.1f} to {place.high:5.1f}" if place and not step.flags else ""
    bar = "#" * round((points or 0) / 100 * _BAR)
    numbers = f"{_number(step.style, 2)}  {_number(step.shape, 2)}  {step.pictures:>8}"
    mark = "chosen" if step.step == chosen else "may be as good" if place and place.is_tied else ""
    flags = ", ".join(dict.fromkeys(flag.about for flag in step.flags))
    said = f"dropped for its {flags}" if flags else mark if step.has_weights else "no checkpoint"
    return f"{step.step:>10,}  {_number(points, 1)}  {band:15}  {bar:{_BAR}}  {numbers}  {said}".rstrip()


def _number(value: float | None, digits: int) -> str:
    return f"{value:5.{digits}f}" if value is not None else f"{'':5}"


def _reasons(run: JudgedRun) -> Iterator[str]:
    """Explosions on record, and what is wrong with pictures and weights where there is none."""
    for phase in run.phases:
        yield f"explosion  {phase.text}"
    for one in run.steps:
        for flag in one.flags:
            if flag.about != "gradient":
                yield _cut(f"{flag.about:10} step {one.step:,}: {flag.text}")


def _base(run: JudgedRun) -> Iterator[str]:
    """The base model's score, for comparison."""
    points = [one.score for one in run.pictures if one.cell.is_base]
    if points:
        yield f"base model {sum(points) / len(points):.1f} of 100, {len(points)} pictures"


def _parts(run: JudgedRun) -> Iterator[str]:
    """What the trained judge saw in the chosen checkpoint's pictures."""
    for one in run.pictures:
        if one.cell.step == run.verdict.step and not one.cell.is_base and one.parts is not None:
            yield _cut(f"seen in    {one.cell.prompt}: {_seen(one.parts)}")


def _seen(parts: Parts) -> str:
    wanted = f"{''.join(parts.found) or 'none'} of {''.join(parts.wanted)}; " if parts.wanted else ""
    nearest = ", ".join(f"{literal} {alike:.2f}" for literal, alike in parts.nearest)
    return f"{wanted}novelty {parts.novelty:.2f}; nearest {nearest}"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 3]}..."
