"""The verdict on a run, and on several, in sentences."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from kanjiprep.evaluation.choose import Ranked
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.report import words
from kanjiprep.evaluation.report.sides import ending


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of several runs is best.

    Attributes:
        best: Its name; None if that cannot be told.
        why: A sentence, without a full stop.
    """

    best: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a run.

    Attributes:
        status: Of the verdict.
        headline: In a few words.
        why: The reason, in a sentence.
        surety: How sure that is, a sentence each.
        advice: What to do next, in a sentence.
        commands: What to type for it.
        ending: How far the run came.
    """

    status: str
    headline: str
    why: str
    surety: tuple[str, ...]
    advice: str
    commands: tuple[str, ...]
    ending: str


def told(run: JudgedRun) -> Told:
    """The verdict on ``run``."""
    headline = {"cannot tell": "Cannot tell which is best", "none": "No checkpoint to choose"}.get(
        run.verdict.status, f"Step {run.verdict.step or 0:,}"
    )
    advice, commands = _next(run)
    return Told(
        run.verdict.status,
        headline,
        words.sentence(run.verdict.why),
        _surety(run),
        advice,
        commands,
        words.sentence(ending(run)),
    )


def headline(runs: Sequence[JudgedRun], comparison: Comparison | None) -> str:
    """The answer over all of ``runs``; empty if there is one, or nobody has compared them."""
    if len(runs) < 2 or comparison is None:  # noqa: PLR2004
        return ""
    best = next((run for run in runs if run.name == comparison.best), None)
    if best is None:
        return "Cannot tell which run is best"
    step = best.verdict.step
    return f"The best run is {best.name}" + (f", step {step:,}" if step is not None else "")


def _surety(run: JudgedRun) -> tuple[str, ...]:
    place = next((one for one in run.verdict.ranked if one.step == run.verdict.step), None)
    others = [step for step in run.verdict.tied if step != run.verdict.step]
    if place is None:
        return (f"These may be the best: {words.steps(others, 12)}.",) if others else ()
    return (_score(place), _tie(others) if len(run.verdict.ranked) > 1 else "It is the only checkpoint.")


def _score(place: Ranked) -> str:
    return (
        f"Score {words.score(place.smooth)} of 100 with its neighbours taken in, "
        f"95 % interval {words.interval(place.low, place.high)}."
    )


def _tie(others: list[int]) -> str:
    if not others:
        return "No other checkpoint can be as good."
    many = f"{len(others):,} others" if len(others) > 1 else "One other"
    return f"{many} may be as good: {words.steps(others, 12)}."


def _next(run: JudgedRun) -> tuple[str, tuple[str, ...]]:
    name = shlex.quote(f"runs/{run.name}")
    chosen, tied = run.verdict.step, run.verdict.tied
    with_weights = {one.step for one in run.steps if one.has_weights}
    if chosen is not None and chosen not in with_weights:
        return "Its adapter is not in the run folder any more, so there is nothing to publish.", ()
    if chosen is not None:
        return "To publish it:", (f"kanjiprep publish {name} REPO --checkpoint {chosen}",)
    if run.verdict.status == "cannot tell":
        own = [f"kanjiprep publish {name} REPO --checkpoint {step}" for step in tied if step in with_weights]
        advice = "More pictures for each checkpoint would tell more. To publish nevertheless, look at the strips"
        return (f"{advice} and name one yourself, for example:", tuple(own[:1])) if own else (f"{advice}.", ())
    return "Nothing here is fit to be published.", ()
