"""The verdict on a run, and on several, in sentences."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.evaluation.choose import Ranked, Verdict
from kanjiprep.evaluation.compare import Comparison
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.report import words
from kanjiprep.evaluation.report.sides import ending


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a run.

    Attributes:
        status: Of the verdict.
        headline: In a few words.
        why: The reason, in a sentence.
        surety: How sure that is, a sentence each.
        advice: What to do next, in a sentence.
        command: What to type for it; empty if there is nothing to type.
        ending: How far the run came.
    """

    status: str
    headline: str
    why: str
    surety: tuple[str, ...]
    advice: str
    command: str
    ending: str


def told(run: JudgedRun) -> Told:
    """The verdict on ``run``."""
    advice, command = _next(run)
    return Told(
        status=run.verdict.status,
        headline=_headline(run.verdict),
        why=words.sentence(run.verdict.why),
        surety=_surety(run),
        advice=advice,
        command=command,
        ending=words.sentence(ending(run)),
    )


def headline(comparison: Comparison | None) -> str:
    """The answer over several runs; empty if they were not compared."""
    if comparison is None:
        return ""
    if comparison.run is not None:
        return f"The best run is {comparison.run}, step {comparison.step:,}"
    return "No run has a checkpoint to choose" if comparison.status == "none" else "Cannot tell which run is best"


def _headline(verdict: Verdict) -> str:
    if verdict.step is not None:
        return f"Step {verdict.step:,}"
    return "Cannot tell which is best" if verdict.status == "cannot tell" else "No checkpoint to choose"


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


def _next(run: JudgedRun) -> tuple[str, str]:
    """What to do, and what to type for it; empty if there is nothing to type."""
    with_weights = {one.step for one in run.steps if one.has_weights}
    chosen = run.verdict.step
    if chosen is not None:
        if chosen not in with_weights:
            return "Its adapter is not in the run folder any more, so there is nothing to publish.", ""
        return "To publish it:", _publish(run.folder, chosen)
    if run.verdict.status == "none":
        return "Nothing here is fit to be published.", ""
    advice = "More pictures for each checkpoint would tell more."
    step = next((step for step in run.verdict.tied if step in with_weights), None)
    if step is None:
        return advice, ""
    more = "To publish nevertheless, look at the strips and name one yourself, for example:"
    return f"{advice} {more}", _publish(run.folder, step)


def _publish(run: Path, step: int) -> str:
    """The command, as it works where the report is made; where a run that is not below here lies, is private."""
    here = Path.cwd()
    name = "RUN"
    if run.is_relative_to(here):
        name = run.name if run.parent == here / "runs" else str(run.relative_to(here))
    return f"kanjiprep publish {shlex.quote(name)} REPO_ID --checkpoint {step}"
