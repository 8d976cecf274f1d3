"""Gradient norms as training runs log them, made up, with the truth about each explosion in them.

All in the log: a level that drifts by up to ten times over the series, swings with a periodic cosine and shifts by
x2 now and then. At the start it climbs or falls while the learning rate warms up or, as in a LoRA whose B starts at
zero, grows or shrinks exponentially until it saturates; and it may do so again later, after a restart. Over it noise
that is autocorrelated, changes its width and has heavy tails; isolated spikes; and in an exploding series phases,
abrupt or ramped, some with norms that are not finite, many on top of growth. The same seed gives the same series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS: Final = 15_000
"""As many as a series has."""
SHIFT_SHARE: Final = 0.5
"""Of the stretches of 3,000 steps, those with a shift of x2 in them; two shifts are at least 1,000 apart."""
RAMP_SHARE: Final = 0.5
"""Of the phases, those that begin with a ramp."""
DROPPED_SHARE: Final = 0.3
"""Of the phases, those with norms that are not finite."""
START_SHARE: Final = 0.5
"""Of the series, those that grow or shrink from the start, instead of a warm-up."""
LATER_SHARE: Final = 0.6
"""Of the series, those that grow or shrink later, once or twice."""
FALL_SHARE: Final = 0.3
"""Of the growths, those that go down."""


@dataclass(frozen=True)
class Truth:
    """An explosion that was put in: steps start to end, both in it; a ramp is part of it."""

    start: int
    end: int
    factor: float
    ramp_steps: int
    has_dropped: bool


@dataclass(frozen=True)
class Growth:
    """The healthy kind: the log climbs ``rise`` a step from ``start`` on until it has climbed ``total``.

    Both are negative if the norm shrinks. There is no soft knee at either end.
    """

    start: int
    rise: float
    total: float

    @property
    def end(self) -> int:
        """Where it saturates."""
        return self.start + math.ceil(self.total / self.rise)


@dataclass(frozen=True)
class Series:
    """Norms of steps 0, 1, 2 ... with what was put into them; nan where the trainer dropped one."""

    seed: int
    norms: Floats
    truths: tuple[Truth, ...]
    spikes: tuple[int, ...]
    growths: tuple[Growth, ...]
    is_early: bool = False


def clean(seed: int, steps: int = STEPS) -> Series:
    """A series without explosions: drift, growth, shifts, swings, noise and spikes."""
    rng = np.random.default_rng(seed)
    grown = growths(rng, steps, ())
    logs = level(rng, steps, grown) + noise(rng, steps)
    spikes = add_spikes(rng, logs, ())
    return Series(seed, np.exp(logs), (), spikes, grown)


def exploding(seed: int, steps: int = STEPS) -> Series:
    """The same with a phase of 150 to 700 steps about every 2,500, none within the first 150."""
    rng = np.random.default_rng(seed)
    slots = max(1, steps // 2500)
    edges = np.linspace(150, steps, slots + 1).astype(int)
    truths = tuple(truth(rng, int(low), int(high)) for low, high in pairwise(edges))
    grown = growths(rng, steps, truths)
    logs = level(rng, steps, grown) + noise(rng, steps)
    return _exploded(seed, rng, logs, truths, grown)


def early(seed: int, steps: int = 400) -> Series:
    """A series that blows up by x50 for good somewhere from step 30 to 90, at once or within 10 steps."""
    rng = np.random.default_rng(seed)
    grown = growths(rng, STEPS, ())
    logs = level(rng, STEPS, grown)[:steps] + noise(rng, steps)
    start, ramp_steps = int(rng.integers(30, 91)), int(rng.choice([0, 10]))
    series = _exploded(seed, rng, logs, (Truth(start, steps - 1, 50.0, ramp_steps, False),), grown)
    return replace(series, is_early=True)


def _exploded(
    seed: int, rng: Generator, logs: Floats, truths: tuple[Truth, ...], grown: tuple[Growth, ...]
) -> Series:
    for one in truths:
        add_phase(rng, logs, one)
    spikes = add_spikes(rng, logs, truths)
    norms = np.exp(logs)
    for one in truths:
        if one.has_dropped:
            inside = np.arange(one.start + one.ramp_steps, one.end + 1)
            norms[inside[rng.random(len(inside)) < rng.uniform(0.02, 0.5)]] = np.nan
    return Series(seed, norms, truths, spikes, grown)


def growths(rng: Generator, steps: int, truths: tuple[Truth, ...]) -> tuple[Growth, ...]:
    """One from the start or none, and up to two later, most of which begin shortly before a phase if there is one.

    No two overlap, and one that went the other way leaves the next 300 steps alone.
    """
    found: list[Growth] = []
    if rng.random() < START_SHARE:
        found.append(growth(rng, 0))
    for _ in range(int(rng.integers(1, 3)) if rng.random() < LATER_SHARE else 0):
        start = int(rng.integers(min(1000, steps // 3), steps - min(500, steps // 3)))
        if truths and rng.random() < 0.7:  # noqa: PLR2004
            start = max(300, truths[rng.integers(len(truths))].start - int(rng.integers(50, 600)))
        one = growth(rng, start)
        if all(one.start > other.end + 300 or one.end + 300 < other.start for other in found):
            found.append(one)
    return tuple(found)


def growth(rng: Generator, start: int) -> Growth:
    """Doubles or halves every 60 to 400 steps, x3 to x100 in all."""
    sign = -1 if rng.random() < FALL_SHARE else 1
    rise = math.log(2) / math.exp(rng.uniform(math.log(60), math.log(400)))
    return Growth(start, sign * rise, sign * rng.uniform(math.log(3), math.log(100)))


def level(rng: Generator, steps: int, grown: tuple[Growth, ...]) -> Floats:
    """The log of what is usual at each step."""
    at = np.arange(steps)
    logs = math.log(10) * rng.uniform(-4, 1) + math.log(10) * rng.uniform(-1, 1) * at / steps
    for one in grown:
        logs += np.sign(one.rise) * np.minimum(abs(one.rise) * np.maximum(at - one.start, 0), abs(one.total))
    if all(one.start > 0 for one in grown):
        warmup_steps = int(rng.integers(500, 3001))
        logs += math.log(10) * rng.uniform(-1, 1) * np.minimum(at / warmup_steps, 1)
    half_period = rng.integers(1000, 4001)
    logs += rng.uniform(0, math.log(1.6)) * np.cos(np.pi * at / half_period)
    for first in range(0, steps - 2999, 3000):
        if rng.random() < SHIFT_SHARE:
            logs[first + rng.integers(500, 2500) :] += rng.choice([-1, 1]) * math.log(2)
    return np.asarray(logs)


def noise(rng: Generator, steps: int) -> Floats:
    """Noise of the log of 5 % to 60 %: autoregressive, driven by Student's t, its width swinging by half."""
    sigma = math.exp(rng.uniform(math.log(0.05), math.log(0.6)))
    memory, freedom = rng.uniform(0, 0.8), rng.uniform(3, 8)
    shocks = rng.standard_t(freedom, steps) * math.sqrt((freedom - 2) / freedom * (1 - memory**2))
    noises = np.empty(steps)
    last = 0.0
    for index, shock in enumerate(shocks):
        noises[index] = last = memory * last + shock
    width = 1 + 0.5 * np.sin(2 * np.pi * np.arange(steps) / rng.integers(2000, 8001) + rng.uniform(0, 2 * np.pi))
    return np.asarray(sigma * width * noises)


def truth(rng: Generator, low: int, high: int) -> Truth:
    """A phase somewhere from ``low`` to ``high``: x6 to x40, half of them with a ramp of 20 to 100 steps."""
    length = int(rng.integers(150, 701))
    start = int(rng.integers(low, high - length))
    factor = math.exp(rng.uniform(math.log(6), math.log(40)))
    ramp_steps = int(rng.integers(20, 101)) if rng.random() < RAMP_SHARE else 0
    return Truth(start, start + length - 1, factor, ramp_steps, bool(rng.random() < DROPPED_SHARE))


def add_phase(rng: Generator, logs: Floats, phase: Truth) -> None:
    """Raise ``logs`` by a phase that swings more than what is calm."""
    at = np.arange(phase.end + 1 - phase.start)
    rise = np.minimum((at + 1) / (phase.ramp_steps + 1), 1) * math.log(phase.factor)
    logs[phase.start : phase.end + 1] += rise + rng.normal(0, rng.uniform(0.1, 0.5), len(at))


def add_spikes(rng: Generator, logs: Floats, truths: tuple[Truth, ...]) -> tuple[int, ...]:
    """Raise one to three steps by x5 to x50 about every 1,250 steps, outside phases; which steps."""
    spikes: set[int] = set()
    for _ in range(max(1, len(logs) // 1250)):
        first = int(rng.integers(0, len(logs)))
        steps = range(first, min(first + int(rng.integers(1, 4)), len(logs)))
        if not any(one.start - 100 <= first <= one.end + 100 for one in truths):
            logs[steps.start : steps.stop] += math.log(5) + rng.exponential(0.8)
            spikes |= set(steps)
    return tuple(sorted(spikes))
