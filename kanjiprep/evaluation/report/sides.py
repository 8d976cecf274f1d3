"""Runs beside each other: what they came to, and in what their settings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.kinds import kinds
from kanjiprep.evaluation.report import words

Rows = tuple[tuple[str, tuple[str, ...]], ...]
"""A name, and a text for each run."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Time and money of a run, as texts.

    Attributes:
        hours: That it ran.
        usd: What that cost.
        step: Seconds of a step.
        source: Whose price it is.
        after: What of it was spent after the chosen checkpoint; empty without one.
    """

    hours: str
    usd: str
    step: str
    source: str
    after: str


def spent(run: JudgedRun) -> Spent:
    """Time and money of ``run``."""
    cost = run.cost
    step = f"{words.number(cost.step_s)} s" if words.finite(cost.step_s) is not None else words.NOTHING
    return Spent(words.span(cost.hours), words.usd(cost.usd), step, cost.price_source, _after(run))


def figures(runs: Sequence[JudgedRun]) -> Rows:
    """What ``runs`` came to."""
    columns = [_figures(run) for run in runs]
    return tuple((name, tuple(column[name] for column in columns)) for name in columns[0])


def settings(runs: Sequence[JudgedRun]) -> tuple[Rows, Rows]:
    """Settings that differ, and those that are the same, by name."""
    names = sorted({name for run in runs for name in run.settings})
    rows = tuple((name, tuple(run.settings.get(name, words.NOTHING) for run in runs)) for name in names)
    return tuple(row for row in rows if len(set(row[1])) > 1), tuple(row for row in rows if len(set(row[1])) == 1)


def ending(run: JudgedRun) -> str:
    """How far ``run`` came, and why it ended."""
    reason = f": {run.reason.rstrip('.')}" if run.reason else ""
    return f"{run.status}, {run.step:,} of {run.total_steps:,} steps{reason}"


def _figures(run: JudgedRun) -> dict[str, str]:
    found, cost = kinds(run), spent(run)
    place = next((one for one in run.verdict.ranked if one.step == run.verdict.step), None)
    others = [step for step in run.verdict.tied if step != run.verdict.step]
    weights = [one for one in run.steps if one.has_weights]
    return {
        "verdict": f"step {run.verdict.step:,}" if run.verdict.step is not None else run.verdict.status,
        "score": words.score(place.smooth) if place else words.NOTHING,
        "95 % interval": words.interval(place.low, place.high) if place else words.NOTHING,
        "may be as good": words.steps(others) or words.NOTHING,
        "checkpoints": f"{len(weights):,}, {sum(found[one.step] == 'dropped' for one in weights):,} dropped",
        "explosions": f"{len(run.phases):,}",
        "pictures judged": f"{sum(not one.cell.is_base for one in run.pictures):,}",
        "progress": ending(run),
        "trained": cost.hours,
        "cost": cost.usd,
        "spent after the chosen one": cost.after or words.NOTHING,
        "seconds of a step": cost.step,
        "dataset": f"{run.dataset.pictures:,} pictures, {run.dataset.digest[:12]}".removesuffix(", "),
    }


def _after(run: JudgedRun) -> str:
    """What was spent after the chosen checkpoint, estimated by the share of steps or by their seconds."""
    chosen, cost = run.verdict.step, run.cost
    hours, step_s = words.finite(cost.hours), words.finite(cost.step_s)
    if chosen is None or not hours or run.step <= 0:
        return ""
    later = max(0, run.step - chosen)
    share = min(1.0, later * step_s / 3600 / hours if step_s is not None else later / run.step)
    usd = words.finite(cost.usd)
    money = "" if usd is None else f", {words.usd(usd * share)}"
    return f"about {words.span(hours * share)}{money} ({share:.0%})"
