"""Which of several runs has the better checkpoint, on the pictures that both painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from kanjiprep.evaluation.choose import SURE, Candidate, Status, Verdict, fitted, sound_ones
from kanjiprep.evaluation.smoothing import DRAWS, PRIOR_SD, Floats

PRIOR_PICTURES: Final = 2
"""As many pictures it is worth that one of them differs by ``PRIOR_SD`` from run to run."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A run with what was chosen of it.

    Attributes:
        name: Of the run.
        candidates: Its checkpoints.
        verdict: What ``choose`` said of them.
    """

    name: str
    candidates: Sequence[Candidate]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Duel:
    """Two runs' chosen checkpoints against each other.

    Attributes:
        first: Name of a run.
        second: Of the other.
        shared: Pictures that both chosen checkpoints have.
        difference: The first's quality less the second's, in points; None if they share no picture.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    first: str
    second: str
    shared: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is said of several runs.

    Attributes:
        status: ``chosen``; ``cannot tell`` if no run is better than every other; ``none`` if no run has a chosen
            checkpoint.
        run: Name of the better one; None with any other status.
        step: Its chosen checkpoint.
        why: A sentence, without a full stop.
        duels: Each two runs that have a chosen checkpoint.
    """

    status: Status
    run: str | None
    step: int | None
    why: str
    duels: tuple[Duel, ...]


def compare(runs: Sequence[Contestant], seed: int = 0) -> Comparison:
    """The run whose chosen checkpoint is better than that of every other run, if there is one.

    Args:
        runs: With different names; those without a chosen checkpoint take no part.
        seed: Of the bootstrap; the same gives the same.
    """
    able = [run for run in runs if run.verdict.step is not None]
    duels = tuple(_duel(one, other, seed) for one, other in combinations(able, 2))
    if not able:
        return Comparison("none", None, None, "no run has a chosen checkpoint", ())
    if len(able) == 1:
        why = f"only {able[0].name} has a chosen checkpoint; the others are not compared, nor said to be worse"
        return Comparison("chosen" if len(runs) == 1 else "cannot tell", *_named(able[0], len(runs) == 1), why, ())
    for run in able:
        mine = [_seen_by(run.name, duel) for duel in duels if run.name in {duel.first, duel.second}]
        if all(duel.low is not None and duel.low > 0 for duel in mine):
            return Comparison("chosen", run.name, run.verdict.step, _better(run, mine), duels)
    return Comparison("cannot tell", None, None, "; ".join(map(_undecided, filter(_is_open, duels))), duels)


def _named(run: Contestant, is_named: bool) -> tuple[str | None, int | None]:
    return (run.name, run.verdict.step) if is_named else (None, None)


def _duel(one: Contestant, other: Contestant, seed: int) -> Duel:
    keys = _pictures(one) & _pictures(other)
    if not keys:
        return Duel(one.name, other.name, 0)
    first, second = _level(one, keys, 2 * seed), _level(other, keys, 2 * seed + 1)
    random = np.random.default_rng(seed)
    apart = first[1] - second[1]
    freedom = PRIOR_PICTURES + len(keys) - 1
    spread = np.sqrt((PRIOR_PICTURES * PRIOR_SD**2 + (apart**2).sum()) / freedom / len(keys))
    draws = random.permutation(first[0]) - random.permutation(second[0]) + spread * random.standard_t(freedom, DRAWS)
    low, high = np.percentile(draws, SURE).tolist()
    return Duel(one.name, other.name, len(keys), float(np.median(draws)), low, high)


def _pictures(run: Contestant) -> set[str]:
    """Keys of the chosen checkpoint's pictures."""
    return {key for one in run.candidates if one.step == run.verdict.step for key in one.scores}


def _level(run: Contestant, keys: set[str], seed: int) -> tuple[Floats, Floats]:
    """What the quality of the chosen checkpoint may be on the pictures ``keys``, and what each of them adds."""
    flags = {one.step: one.flags for one in run.verdict.ranked}
    only = [
        Candidate(one.step, {key: one.scores[key] for key in one.scores if key in keys}, flags[one.step])
        for one in run.candidates
    ]
    fit = fitted(only, seed)
    is_chosen = [one.step == run.verdict.step for one in sound_ones(only)]
    return fit.draws[:, is_chosen.index(True)], fit.effects


def _seen_by(name: str, duel: Duel) -> Duel:
    """``duel`` with ``name`` as its first."""
    if duel.first == name or duel.low is None or duel.high is None or duel.difference is None:
        return duel
    return Duel(name, duel.first, duel.shared, -duel.difference, -duel.high, -duel.low)


def _better(run: Contestant, duels: Sequence[Duel]) -> str:
    against = ", and ".join(f"{_points(duel)} better than that of {duel.second}" for duel in duels)
    return f"step {run.verdict.step:,} of {run.name} is {against}"


def _points(duel: Duel) -> str:
    return f"{duel.difference:.1f} points ({duel.low:.1f} to {duel.high:.1f}, {_shared(duel)})"


def _shared(duel: Duel) -> str:
    return f"{duel.shared} shared picture{'' if duel.shared == 1 else 's'}"


def _is_open(duel: Duel) -> bool:
    return duel.low is None or duel.high is None or duel.low <= 0 <= duel.high


def _undecided(duel: Duel) -> str:
    pair = f"{duel.first} and {duel.second}"
    if duel.difference is None:
        return f"{pair} share no picture, the same prompt with the same seed, so their scores cannot be compared"
    return f"between {pair} the difference is {_points(duel)}, so either may be better"
