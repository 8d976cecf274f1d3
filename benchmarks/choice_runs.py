"""Runs with a known truth about each checkpoint, and the scores that their pictures would get.

Quality is 0 to 100 and follows one of four shapes. Two explosions take some checkpoints each, after which quality
needs a while to come back. A score is the quality, plus what the picture (the same prompt and seed at every
checkpoint) adds to it, plus noise that has heavy tails and is wider where quality is low. Whoever flags exploded
pictures misses some and flags some sound ones; a checkpoint is flagged if more than half of its pictures are. The
same seed gives the same run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kanjiprep.evaluation.choose import Candidate, Flag

Floats = NDArray[np.float64]
Kind = Literal["plateau", "peak", "rise", "flat"]
KINDS: Final[tuple[Kind, ...]] = ("plateau", "peak", "rise", "flat")


@dataclass(frozen=True)
class World:
    """What is common to runs.

    Attributes:
        noise: Standard deviation of a score of a sound picture at full quality, in points.
        noise_bad: Added to it per point that quality is below the best.
        freedom: Of Student's t that noise is drawn from; the fewer, the heavier its tails.
        effect: Standard deviation of what a picture adds, in points.
        wiggle: Standard deviation by which quality itself differs from one checkpoint to the next, in points.
        persistence: Correlation of a picture's noise from one checkpoint to the next.
        missed: Share of exploded pictures that are not flagged.
        false_flags: Share of sound pictures that are.
        unreadable: Share of pictures without a score.
        explosions: A run.
    """

    noise: float = 5.0
    noise_bad: float = 0.1
    freedom: float = 4.0
    effect: float = 6.0
    wiggle: float = 0.0
    persistence: float = 0.0
    missed: float = 0.07
    false_flags: float = 0.02
    unreadable: float = 0.02
    explosions: int = 2


@dataclass(frozen=True)
class SimulatedRun:
    """A run with its truth.

    Attributes:
        kind: Shape of its quality, in a word.
        steps: Of its checkpoints, ascending.
        true_quality: At each step; of an exploded one, that of its broken pictures.
        exploded: Steps.
        loss: At each step, as the trainer would log it.
        candidates_for: The checkpoints as they look with so many pictures each.
        effect: What so many pictures add to quality in the mean; nan if that is not known.
    """

    kind: str
    steps: tuple[int, ...]
    true_quality: Mapping[int, float]
    exploded: frozenset[int]
    loss: Mapping[int, float]
    candidates_for: Callable[[int], tuple[Candidate, ...]]
    effect: Callable[[int], float]


MOST_PICTURES: Final = 8


def simulated(seed: int, world: World = World(), kind: Kind | None = None) -> SimulatedRun:
    """A run; of the kind that ``seed`` says, unless one is given."""
    random = np.random.default_rng(seed)
    kind = kind or KINDS[seed % len(KINDS)]
    count = int(random.integers(10, 91))
    gaps = random.choice([1, 1, 1, 1, 2], count)
    steps = tuple(int(step) for step in 400 * np.cumsum(gaps))
    quality = shape(random, kind, np.array(steps) / steps[-1])
    exploded = phases(random, count, world.explosions)
    quality = quality + random.normal(0, world.wiggle, count)
    quality = after_explosions(random, quality, exploded, kind)
    effects = random.normal(0, world.effect, MOST_PICTURES)
    scores = noisy(random, quality, exploded, effects, world)
    flagged = random.random(scores.shape) < np.where(exploded[:, None], 1 - world.missed, world.false_flags)
    loss = random.normal(0.02, 0.004, count) + 0.0002 * (70 - quality) * random.random() + 0.05 * exploded

    def candidates_for(pictures: int) -> tuple[Candidate, ...]:
        return tuple(
            candidate(step, scores[index, :pictures], flagged[index, :pictures]) for index, step in enumerate(steps)
        )

    return SimulatedRun(
        kind,
        steps,
        dict(zip(steps, quality.tolist(), strict=True)),
        frozenset(step for step, is_bad in zip(steps, exploded, strict=True) if is_bad),
        dict(zip(steps, loss.tolist(), strict=True)),
        candidates_for,
        lambda pictures: float(effects[:pictures].mean()),
    )


def candidate(step: int, scores: Floats, flagged: NDArray[np.bool_]) -> Candidate:
    """A checkpoint as its pictures show it; flagged if more than half of them are."""
    known = {f"prompt {index}": float(score) for index, score in enumerate(scores) if not math.isnan(score)}
    share = float(np.mean(flagged))
    is_flagged = share > 0.5  # noqa: PLR2004
    return Candidate(
        step, known, (Flag("pictures", f"{share:.0%} of its pictures look exploded"),) if is_flagged else ()
    )


def shape(random: Generator, kind: Kind, at: Floats) -> Floats:
    """Quality over the run, ``at`` from 0 to 1."""
    top = random.uniform(60, 90)
    if kind == "flat":
        return np.full(len(at), top)
    range_ = random.uniform(15, 50)
    if kind == "rise":
        return np.asarray(top - range_ * (1 - at ** random.uniform(0.5, 1.0)))
    middle = random.uniform(0.15, 0.6)
    risen = 1 / (1 + np.exp(-(at - middle * 0.6) / (middle * 0.15)))
    if kind == "plateau":
        return np.asarray(top - range_ * (1 - risen))
    fall = random.uniform(0.2, 0.6) * range_ * np.maximum(at - middle, 0) / (1 - middle)
    return np.asarray(top - range_ * (1 - risen) - fall)


def phases(random: Generator, count: int, explosions: int) -> NDArray[np.bool_]:
    """Which checkpoints are exploded: each phase takes 1 to 6 of them, at most a sixth, one phase in each part."""
    exploded = np.zeros(count, bool)
    edges = np.linspace(0, count, explosions + 1).astype(int).tolist() if explosions else []
    for low, high in pairwise(edges):
        length = int(random.integers(1, max(2, min(6, count // 6) + 1)))
        start = int(random.integers(low, high - length + 1))
        exploded[start : start + length] = True
    return exploded


def after_explosions(random: Generator, quality: Floats, exploded: NDArray[np.bool_], kind: Kind) -> Floats:
    """Quality with explosions in it: a loss of up to 15 points after each, won back within a few checkpoints."""
    result = quality.copy()
    ends = np.flatnonzero(exploded[:-1] & ~exploded[1:]) + 1
    for end in ends:
        loss = 0 if kind == "flat" else random.uniform(0, 15)
        result[end:] -= loss * np.exp(-np.arange(len(quality) - end) / random.uniform(0.5, 3))
    result[exploded] = random.uniform(5, 40, int(exploded.sum()))
    return np.asarray(np.clip(result, 0, 100))


def noisy(random: Generator, quality: Floats, exploded: NDArray[np.bool_], effects: Floats, world: World) -> Floats:
    """Scores of up to ``MOST_PICTURES`` pictures, a row a checkpoint; nan where a picture cannot be read."""
    size = (len(quality), MOST_PICTURES)
    shocks = random.standard_t(world.freedom, size) * math.sqrt((world.freedom - 2) / world.freedom)
    noise = np.empty(size)
    kept = world.persistence
    for index, shock in enumerate(shocks):
        noise[index] = kept * noise[index - 1] + math.sqrt(1 - kept**2) * shock if index else shock
    best = quality[~exploded].max()
    width = world.noise + world.noise_bad * np.maximum(best - quality, 0)
    scores = quality[:, None] + effects + width[:, None] * noise
    scores = np.clip(scores, 0, 100)
    scores[random.random(size) < world.unreadable] = np.nan
    return np.asarray(scores)
