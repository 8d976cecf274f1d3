"""The curves of a run over one axis of steps: what the page draws as SVG, as numbers and texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.evaluation.choose import Ranked
from kanjiprep.evaluation.judged import JudgedRun, JudgedStep
from kanjiprep.evaluation.kinds import WORDS, Kind, kinds
from kanjiprep.evaluation.report import axes, words
from kanjiprep.evaluation.report.axes import Axis

WIDTH: Final = 960
LEFT: Final = 64
RIGHT: Final = 944
_TOP: Final = 40
_GAP: Final = 34
_SCORE: Final = 180
"""Height of the panel of scores."""
_BOTTOM: Final = 56
Point = tuple[int, float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint in a panel.

    Attributes:
        x: Where.
        y: Where.
        kind: Of the checkpoint.
        title: In words.
    """

    x: float
    y: float
    kind: Kind
    title: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A curve with its axis.

    Attributes:
        name: What is drawn.
        top: Its upper edge.
        bottom: Its lower edge.
        ticks: Where each number of the axis stands, with its text.
        line: Path of the curve.
        band: Path of the area around it; empty without one.
        marks: Checkpoints in it.
    """

    name: str
    top: float
    bottom: float
    ticks: tuple[tuple[float, str], ...]
    line: str
    band: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Shade:
    """A phase in which the run exploded.

    Attributes:
        x: Where it begins.
        width: How wide it is.
        text: In words, its steps among them.
    """

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """All curves of a run.

    Attributes:
        height: Of the whole.
        bottom: Of the last panel.
        panels: From the top.
        shades: Phases.
        ticks: Where each number of the axis of steps stands, with its text.
        checkpoints: A stroke on the axis for each.
        chosen: Where the chosen checkpoint stands; None without one.
        chosen_text: Its step.
        told: What the page's script needs to tell the values at a step.
        summary: All of it in a sentence.
    """

    height: float
    bottom: float
    panels: tuple[Panel, ...]
    shades: tuple[Shade, ...]
    ticks: tuple[tuple[float, str], ...]
    checkpoints: tuple[Mark, ...]
    chosen: float | None
    chosen_text: str
    told: dict[str, object]
    summary: str


def last_step(runs: Iterable[JudgedRun]) -> int:
    """The last step that any of ``runs`` has something to show of."""
    return max((step for run in runs for step in _steps(run)), default=0)


def figure(run: JudgedRun, last: int) -> Figure | None:
    """The curves of ``run`` up to step ``last``; None if it has none."""
    axis = axes.along(last)
    panels = tuple(_panels(run, axis))
    if not panels:
        return None
    bottom = panels[-1].bottom
    chosen = run.verdict.step
    return Figure(
        height=bottom + _BOTTOM,
        bottom=bottom,
        panels=panels,
        shades=tuple(_shades(run, axis)),
        ticks=tuple((_x(axis, value), text) for value, text in axis.ticks),
        checkpoints=tuple(_checkpoints(run, axis, bottom)),
        chosen=None if chosen is None else _x(axis, chosen),
        chosen_text="" if chosen is None else f"{chosen:,}",
        told=_told(run, axis),
        summary=_summary(run, panels),
    )


def _steps(run: JudgedRun) -> Iterator[int]:
    yield run.step
    yield from run.curves.steps[-1:]
    yield from (one.step for one in run.steps)
    yield from (one.step for one in run.weights)


def _x(axis: Axis, step: float) -> float:
    return round(axis.at(step, LEFT, RIGHT), 2)


def _panels(run: JudgedRun, steps: Axis) -> Iterator[Panel]:
    curves, top = run.curves, float(_TOP)
    if any(one.score is not None for one in run.steps):
        yield _score_panel(run, steps, top)
        top += _SCORE + _GAP
    for name, numbers, height, is_log in (
        ("gradient norm, logarithmic", curves.gradient, 110, True),
        ("loss", curves.loss, 90, False),
        ("learning rate", curves.rate, 64, False),
        ("size of the adapter, ‖BA‖", None, 80, False),
    ):
        at = curves.steps if numbers is not None else tuple(one.step for one in run.weights)
        values = numbers if numbers is not None else tuple(one.frobenius for one in run.weights)
        points = [_point(step, value, is_log) for step, value in zip(at, values, strict=True)]
        if any(value is not None for _, value in points):
            yield _panel(name, points, steps, (top, top + height), is_log)
            top += height + _GAP


def _point(step: int, value: float | None, is_log: bool) -> Point:
    found = words.finite(value)
    return step, None if found is not None and is_log and found <= 0 else found


def _panel(name: str, points: Sequence[Point], steps: Axis, edges: tuple[float, float], is_log: bool) -> Panel:
    values = [value for _, value in points if value is not None]
    axis = axes.log(values) if is_log else axes.linear([0.0, *values] if min(values) >= 0 else values, 3)
    top, bottom = edges
    line = _path([(_x(steps, step), None if y is None else axis.at(y, bottom, top)) for step, y in points])
    return Panel(name, top, bottom, _ticks(axis, edges), line)


def _score_panel(run: JudgedRun, steps: Axis, top: float) -> Panel:
    edges = (top, top + _SCORE)
    ranked = [one for one in run.verdict.ranked if words.finite(one.smooth) is not None]
    sound = [one for one in ranked if not one.flags]
    ends = [end for one in sound for end in (one.low, one.high) if words.finite(end) is not None]
    values = [*ends, *(one.score for one in run.steps if one.score is not None)]
    axis = axes.linear([value for value in values if words.finite(value) is not None], 5)
    y = {one.step: None if one.flags else axis.at(one.smooth, edges[1], top) for one in ranked}
    line = _path([(_x(steps, step), value) for step, value in y.items()])
    marks = tuple(_marks(run, steps, axis, edges))
    name = "score, 0 to 100, higher is better; the band is the 95 % interval"
    return Panel(name, top, edges[1], _ticks(axis, edges), line, _band(ranked, steps, axis, edges), marks)


def _marks(run: JudgedRun, steps: Axis, axis: Axis, edges: tuple[float, float]) -> Iterator[Mark]:
    places = {one.step: one for one in run.verdict.ranked}
    found = kinds(run)
    for one in run.steps:
        value, kind = words.finite(one.score), found[one.step]
        if value is not None:
            title = _mark_title(one, kind, places.get(one.step))
            yield Mark(_x(steps, one.step), round(axis.at(value, edges[1], edges[0]), 2), kind, title)


def _mark_title(one: JudgedStep, kind: Kind, place: Ranked | None) -> str:
    told = f"step {one.step:,}: score {words.score(one.score)}, {WORDS[kind]}"
    if one.flags:
        return f"{told}: {'; '.join(flag.text for flag in one.flags)}"
    return told if place is None else f"{told}, 95 % interval {words.interval(place.low, place.high)}"


def _band(ranked: Sequence[Ranked], steps: Axis, axis: Axis, edges: tuple[float, float]) -> str:
    """An area for each stretch of checkpoints without a flag between them."""
    areas: list[list[tuple[float, float, float]]] = [[]]
    for one in ranked:
        if one.flags or words.finite(one.low) is None or words.finite(one.high) is None:
            areas.append([])
        else:
            low, high = (axis.at(end, edges[1], edges[0]) for end in (one.low, one.high))
            areas[-1].append((_x(steps, one.step), low, high))
    return "".join(_area(area) for area in areas if area)


def _area(points: list[tuple[float, float, float]]) -> str:
    wide = points if len(points) > 1 else [(points[0][0] + shift, *points[0][1:]) for shift in (-2.0, 2.0)]
    upper = " L".join(f"{x:.1f} {high:.1f}" for x, _, high in wide)
    lower = " L".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(wide))
    return f"M{upper} L{lower} Z"


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """A line through ``points`` with a gap at each that is None; one that stands alone is a dot."""
    drawn: list[list[str]] = [[]]
    for x, y in points:
        if y is None:
            drawn.append([])
        else:
            drawn[-1].append(f"{x:.1f} {y:.1f}")
    return "".join(f"M{' L'.join(part)}{' h0' if len(part) == 1 else ''}" for part in drawn if part)


def _ticks(axis: Axis, edges: tuple[float, float]) -> tuple[tuple[float, str], ...]:
    return tuple((round(axis.at(value, edges[1], edges[0]), 1), text) for value, text in axis.ticks)


def _shades(run: JudgedRun, axis: Axis) -> Iterator[Shade]:
    for phase in run.phases:
        start, end = (_x(axis, min(step, axis.high)) for step in (phase.start, phase.end or run.step))
        yield Shade(start, max(2.0, end - start), phase.text)


def _checkpoints(run: JudgedRun, axis: Axis, bottom: float) -> Iterator[Mark]:
    found = kinds(run)
    for one in run.steps:
        if one.has_weights:
            title = f"checkpoint {one.step:,}, {WORDS[found[one.step]]}"
            yield Mark(_x(axis, one.step), bottom, found[one.step], title)


def _told(run: JudgedRun, axis: Axis) -> dict[str, object]:
    curves = run.curves
    columns = {"gradient": curves.gradient, "loss": curves.loss, "learning rate": curves.rate}
    found = kinds(run)
    return {
        "left": LEFT,
        "right": RIGHT,
        "last": axis.high,
        "steps": list(curves.steps),
        "columns": {name: [_short(one) for one in values] for name, values in columns.items()},
        "points": [[one.step, _point_told(one, found[one.step])] for one in run.steps],
        "phases": [[one.start, run.step if one.end is None else one.end] for one in run.phases],
    }


def _point_told(one: JudgedStep, kind: Kind) -> str:
    what = "checkpoint" if one.has_weights else "pictures of step"
    told = "" if one.score is None else f" score {words.score(one.score)},"
    return f"{what} {one.step:,}:{told} {WORDS[kind]}"


def _short(value: float | None) -> float | None:
    found = words.finite(value)
    return None if found is None else float(f"{found:.4g}")


def _summary(run: JudgedRun, panels: Sequence[Panel]) -> str:
    drawn = words.listed([panel.name.split(",")[0] for panel in panels])
    found = kinds(run).values()
    chosen = "" if run.verdict.step is None else f" The chosen checkpoint is {run.verdict.step:,}."
    dropped = f"{sum(kind == 'dropped' for kind in found)} of {len(found)} checkpoints are dropped"
    return f"Curves over the steps: {drawn}. {dropped}, {len(run.phases)} explosions.{chosen}"
