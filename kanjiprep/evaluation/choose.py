"""Which checkpoint is best, and how sure that is: pure arithmetic on the scores of pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from kanjiprep.evaluation.smoothing import Fit, Floats, smoothed

About = Literal["pictures", "gradient", "weights"]
Status = Literal["chosen", "cannot tell", "none"]

SURE: Final = (2.5, 97.5)
"""Percentiles between which 95 % lie."""
MARGIN: Final = 2.0
"""Points that make no difference to who looks at the pictures."""
CHANCE: Final = 0.95
"""That the chosen one is no more than ``MARGIN`` behind the best, if there is one of which this can be said."""
NO_LESS: Final = 0.03
"""Of such a chance, to be as good as the greatest."""
ODD: Final = 3.0
"""By so many times the usual difference below the curve, a checkpoint's own pictures speak against it."""
FEWEST: Final = 2
"""Checkpoints that are kept however odd."""
DIP_SPREAD: Final = 1.25
"""Spread of a step's mean less the mean of two others, over the spread of the first."""
LEVEL_SHARE: Final = 0.75
"""If so many may be the best, the first and the last among them, nothing is told apart."""


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a checkpoint is not to be chosen.

    Attributes:
        about: Which witness says so.
        text: In words.
    """

    about: About
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint with the scores of its pictures.

    Attributes:
        step: Of the run.
        scores: By the picture's ``Cell.key``; 0 to 100, higher is better, finite.
        flags: Why it is not to be chosen; none if it is sound.
    """

    step: int
    scores: Mapping[str, float]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A checkpoint with its place.

    Attributes:
        step: Of the run.
        score: Mean of its pictures.
        smooth: With its sound neighbours taken in; ``score`` for one that is flagged.
        low: Lower end of the 95 % interval of ``smooth``.
        high: Upper end.
        flags: As given, and one more if its pictures are far below those of its neighbours.
        is_tied: Whether it may be the best, by the interval of its difference to the best.
    """

    step: int
    score: float
    smooth: float
    low: float
    high: float
    flags: tuple[Flag, ...]
    is_tied: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a run.

    Attributes:
        status: ``chosen``; ``cannot tell`` if the scores do not tell the sound checkpoints apart; ``none`` if no
            checkpoint is sound, or there is none.
        step: The chosen one; None with any other status.
        why: A sentence, without a full stop.
        ranked: Every candidate, ascending by step.
    """

    status: Status
    step: int | None
    why: str
    ranked: tuple[Ranked, ...]

    @property
    def tied(self) -> tuple[int, ...]:
        """Steps of those that may be the best."""
        return tuple(one.step for one in self.ranked if one.is_tied)


def choose(candidates: Sequence[Candidate], seed: int = 0) -> Verdict:
    """The earliest checkpoint that is as good as the best for all that matters, with how sure that is.

    Those that are flagged, or have no scores, take no part. The order of ``candidates`` does not matter.

    Args:
        candidates: Of one run, each step once.
        seed: Of the bootstrap; the same gives the same.
    """
    ordered = sorted(candidates, key=lambda one: one.step)
    sound = sound_ones(ordered)
    if not sound:
        return Verdict("none", None, _nothing(ordered), tuple(map(_unranked, ordered)))
    if len(sound) == 1:
        return _only(ordered, sound[0], seed)
    sifted, fit = _sifted(ordered, seed)
    places = _places(sound_ones(sifted), fit)
    by_step = {one.step: one for one in places}
    ranked = tuple(by_step.get(one.step) or _unranked(one) for one in sifted)
    if _is_level(places):
        return Verdict("cannot tell", None, _cannot(places), ranked)
    chosen, chance = _earliest(places, fit.draws)
    return Verdict("chosen", chosen.step, _because(chosen, chance, places), ranked)


def _sifted(ordered: Sequence[Candidate], seed: int) -> tuple[Sequence[Candidate], Fit]:
    """Candidates with those flagged whose own pictures are far below the curve, and the curve without them.

    Else an explosion that no witness saw would drag its neighbours down, and they would carry it.
    """
    while True:
        fit = fitted(ordered, seed)
        sound = sound_ones(ordered)
        below = {one.step: less for one, less in zip(sound, _below(fit), strict=True) if less > ODD}
        if not below or len(sound) - len(below) < FEWEST:
            return ordered, fit
        ordered = [replace(one, flags=(_odd(below[one.step]),)) if one.step in below else one for one in ordered]


def _below(fit: Fit) -> Floats:
    """By how many standard deviations each is below the curve, or below the two before it and the two after it."""
    below = (fit.curve - fit.levels) / fit.errors
    for index in range(1, len(below) - 1):
        sides = fit.levels[max(0, index - 2) : index], fit.levels[index + 1 : index + 3]
        dip = min(float(np.median(side)) for side in sides) - fit.levels[index]
        below[index] = max(below[index], dip / (DIP_SPREAD * fit.errors[index]))
    return below


def _odd(sigmas: float) -> Flag:
    return Flag("pictures", f"its pictures score {sigmas:.1f} times the usual spread below those of its neighbours")


def sound_ones(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that have scores and no flags, ascending by step."""
    return sorted((one for one in candidates if one.scores and not one.flags), key=lambda one: one.step)


def fitted(candidates: Sequence[Candidate], seed: int) -> Fit:
    """The scores of those that are sound, at least one, smoothed; the pictures in the order of their keys."""
    sound = sound_ones(candidates)
    keys = sorted({key for one in sound for key in one.scores})
    scores = np.array([[one.scores.get(key, np.nan) for key in keys] for one in sound])
    steps = np.array([float(one.step) for one in sound])
    flagged = np.array(sorted(float(one.step) for one in candidates if one.flags))
    return smoothed(scores, steps, np.searchsorted(flagged, steps), seed)


def _places(sound: Sequence[Candidate], fit: Fit) -> list[Ranked]:
    best = int(np.argmax(fit.curve))
    lows, highs = np.clip(np.percentile(fit.draws, SURE, axis=0), 0, 100).tolist()
    is_tied = np.percentile(fit.draws[:, [best]] - fit.draws, SURE[0], axis=0) <= 0
    return [
        Ranked(one.step, _mean(one), float(fit.curve[index]), lows[index], highs[index], (), bool(is_tied[index]))
        for index, one in enumerate(sound)
    ]


def _is_level(places: Sequence[Ranked]) -> bool:
    """Whether nothing is told apart but a few dips."""
    tied = [one.is_tied for one in places]
    return tied[0] and tied[-1] and sum(tied) >= LEVEL_SHARE * len(tied)


def _earliest(places: Sequence[Ranked], draws: Floats) -> tuple[Ranked, float]:
    """The first of the tie that is surely no more than the margin behind the best, and how sure that is."""
    chances = (draws.max(axis=1, keepdims=True) - draws <= MARGIN).mean(axis=0)
    tied = [index for index, one in enumerate(places) if one.is_tied]
    enough = min(CHANCE, max(chances[tied]) - NO_LESS)
    index = next(index for index in tied if chances[index] >= enough)
    return places[index], float(chances[index])


def _only(ordered: Sequence[Candidate], one: Candidate, seed: int) -> Verdict:
    values = np.array(list(one.scores.values()))
    low, high = 0.0, 100.0
    if len(values) > 1:
        wide = np.random.default_rng(seed).standard_t(len(values) - 1, 20_000)
        spread = float(np.percentile(wide, SURE[1]) * values.std(ddof=1) / len(values) ** 0.5)
        low, high = max(0.0, values.mean() - spread), min(100.0, values.mean() + spread)
    mine = Ranked(one.step, _mean(one), _mean(one), float(low), float(high), (), True)
    ranked = tuple(mine if other is one else _unranked(other) for other in ordered)
    what = "the only checkpoint" if len(ordered) == 1 else f"the only sound one of {len(ordered)} checkpoints"
    why = f"step {one.step:,} scores {_scored(mine)}; it is {what}, so there was nothing to compare it with"
    return Verdict("chosen", one.step, why, ranked)


def _unranked(one: Candidate) -> Ranked:
    mean = _mean(one)
    return Ranked(one.step, mean, mean, mean, mean, one.flags, False)


def _mean(one: Candidate) -> float:
    return math.fsum(one.scores.values()) / len(one.scores) if one.scores else math.nan


def _scored(one: Ranked) -> str:
    return f"{one.smooth:.1f} ({one.low:.1f} to {one.high:.1f})"


def _nothing(ordered: Sequence[Candidate]) -> str:
    if not ordered:
        return "there is no checkpoint"
    flagged = sum(bool(one.flags) for one in ordered)
    if len(ordered) == 1:
        return "the only checkpoint with pictures was dropped" if flagged else "the only checkpoint has no scores"
    return f"none of {len(ordered)} checkpoints is sound and has scores: {flagged} were dropped"


def _cannot(places: Sequence[Ranked]) -> str:
    tied = [one for one in places if one.is_tied]
    low, high = min(one.smooth for one in tied), max(one.smooth for one in tied)
    doubt = float(np.median([one.high - one.low for one in tied])) / 2
    which = f"the {len(tied)} sound" if len(tied) == len(places) else f"{len(tied)} of the {len(places)} sound"
    return (
        f"{which} checkpoints score {low:.1f} to {high:.1f}, each give or take {doubt:.1f}, "
        "so any of them may be the best; more pictures a checkpoint would tell more"
    )


def _because(chosen: Ranked, chance: float, places: Sequence[Ranked]) -> str:
    first = f"step {chosen.step:,} scores {_scored(chosen)}"
    others = [one for one in places if one.is_tied and one is not chosen]
    if not others:
        return f"{first}; every other is surely worse"
    how = "the earliest that is good enough" if chance >= CHANCE else "the earliest that is most likely good enough"
    return f"{first}; {_named(others)} may be as good; it is {how}: {_percent(chance)}"


def _named(others: Sequence[Ranked]) -> str:
    first, last = f"{others[0].step:,}", f"{others[-1].step:,}"
    return f"1 other, step {first}," if len(others) == 1 else f"{len(others)} others, from step {first} to {last},"


def _percent(chance: float) -> str:
    """Never 100 %: the draws are too few to say that."""
    return f"within {MARGIN:g} points of the best with {min(100 * chance, 99):.0f} %"
