"""Gradient norms as training runs log them, made up, with the truth about each explosion in them.

All in the log: a level that drifts by up to ten times over the series, climbs or falls while the learning rate
warms up, swings with a periodic cosine and shifts by x2 now and then; over it noise that is autocorrelated, changes
its width and has heavy tails; isolated spikes; and in an exploding series phases, abrupt or ramped, some with norms
that are not finite. The same seed gives the same series.
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


@dataclass(frozen=True)
class Truth:
    """An explosion that was put in: steps start to end, both in it; a ramp is part of it."""

    start: int
    end: int
    factor: float
    ramp_steps: int
    has_dropped: bool


@dataclass(frozen=True)
class Series:
    """Norms of steps 0, 1, 2 ... with what was put into them; nan where the trainer dropped one."""

    seed: int
    norms: Floats
    truths: tuple[Truth, ...]
    spikes: tuple[int, ...]
    is_early: bool = False


def clean(seed: int, steps: int = STEPS) -> Series:
    """A series without explosions: drift, shifts, swings, noise and spikes."""
    rng = np.random.default_rng(seed)
    logs = level(rng, steps) + noise(rng, steps)
    spikes = add_spikes(rng, logs, ())
    return Series(seed, np.exp(logs), (), spikes)


def exploding(seed: int, steps: int = STEPS) -> Series:
    """The same with a phase of 150 to 700 steps about every 2,500, none within the first 500."""
    rng = np.random.default_rng(seed)
    logs = level(rng, steps) + noise(rng, steps)
    slots = max(1, steps // 2500)
    edges = np.linspace(500, steps, slots + 1).astype(int)
    truths = tuple(truth(rng, int(low), int(high)) for low, high in pairwise(edges))
    return _exploded(seed, rng, logs, truths)


def early(seed: int, steps: int = 400) -> Series:
    """A series that blows up by x50 for good somewhere from step 30 to 90, at once or within 10 steps."""
    rng = np.random.default_rng(seed)
    logs = level(rng, STEPS)[:steps] + noise(rng, steps)
    start, ramp_steps = int(rng.integers(30, 91)), int(rng.choice([0, 10]))
    series = _exploded(seed, rng, logs, (Truth(start, steps - 1, 50.0, ramp_steps, False),))
    return replace(series, is_early=True)


def _exploded(seed: int, rng: Generator, logs: Floats, truths: tuple[Truth, ...]) -> Series:
    for one in truths:
        add_phase(rng, logs, one)
    spikes = add_spikes(rng, logs, truths)
    norms = np.exp(logs)
    for one in truths:
        if one.has_dropped:
            inside = np.arange(one.start + one.ramp_steps, one.end + 1)
            norms[inside[rng.random(len(inside)) < rng.uniform(0.02, 0.5)]] = np.nan
    return Series(seed, norms, truths, spikes)


def level(rng: Generator, steps: int) -> Floats:
    """The log of what is usual at each step."""
    at = np.arange(steps)
    logs = math.log(10) * rng.uniform(-4, 1) + math.log(10) * rng.uniform(-1, 1) * at / steps
    warmup_steps = int(rng.integers(500, 3001))
    logs += math.log(10) * rng.uniform(-1, 1) * np.minimum(at / warmup_steps, 1)
    half_period = rng.integers(1000, 4001)
    logs += rng.uniform(0, math.log(1.6)) * np.cos(np.pi * at / half_period)
    for first in range(0, steps - 2999, 3000):
        if rng.random() < SHIFT_SHARE:
            logs[first + rng.integers(500, 2500) :] += rng.choice([-1, 1]) * math.log(2)
    return np.asarray(logs)


def noise(rng: Generator, steps: int) -> Floats:
    """Noise of the log: first-order autoregressive, driven by Student's t, its width swinging by half."""
    sigma = math.exp(rng.uniform(math.log(0.1), math.log(0.45)))
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
