"""When an adapter exploded, told from how its modules' norms grow from one checkpoint to the next.

A sound norm starts at zero and follows a power of the step: twice as large at twice the step where the learning rate
is constant, up to eight times under a warm-up while both matrices still grow, and less and less later. So the growth
between two checkpoints is held against how much longer the run has become, on a log scale: 400 to 800 steps may give
much, 14,000 to 14,400 hardly anything, and no share of the run has to be called its warm-up. Modules keep step with
each other, so a module is held against their median, which is believed only up to that power: an explosion of all
modules is one too. Where modules of a run are more unlike each other than that, their own spread is the measure.

What a jump leaves behind does not say whether it is sound: a network can live with larger weights, and it can be
broken by them. So a jump flags its own checkpoint. Later ones are flagged only if the norms that jumped come back
below where they jumped to, by more than half of the jump on a log scale: then all before the return were inside of
it. Of weights that stay large, pictures and gradient have to say what they are worth. A jump so early that sound
growth outruns its return looks like one that stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Kind = Literal["sound", "not finite", "jump", "not back"]
_MAD: Final = 1.4826
"""Makes a median absolute deviation a standard deviation, of normal numbers."""
_LARGEST: Final = 700.0
"""Log of a factor that is still a number."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Beyond what a module has jumped.

    Attributes:
        power: Of the step, that the median of all modules may follow.
        own_power: That a module may follow besides.
        factor: That a module may grow by besides, whatever the step.
        spread: That it may too, in robust standard deviations of modules around their median over the run.
    """

    power: float = 3.0
    own_power: float = 1.5
    factor: float = 1.2
    spread: float = 6.0


CHOSEN: Final = Thresholds()
"""Source: benchmarks/bench_weights.py --tune, on made-up runs; no exploded adapter of a real model was at hand."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What the weights of a checkpoint say.

    Attributes:
        kind: ``sound``; ``not finite`` if a norm is no number; ``jump``; or ``not back`` from one before it.
        growth: The largest of a module's spectral norm against the checkpoint before; 1 for the first; NaN if this
            one is not finite.
        module: Index of that module; None for the first. If it is not finite, of the first that is not.
        modules: How many jumped, or are not finite.
        common: Growth of the median module.
        since: Index of the checkpoint that is compared with, or of the jump that this one is not back from.
    """

    kind: Kind
    growth: float = 1.0
    module: int | None = None
    modules: int = 0
    common: float = 1.0
    since: int | None = None


def signs(steps: Sequence[int], spectral: Array, limits: Thresholds = CHOSEN) -> tuple[Sign, ...]:
    """What each checkpoint's weights say.

    Args:
        steps: Of the checkpoints, ascending.
        spectral: Norms by checkpoint and module; NaN where they are no numbers.
        limits: Beyond what a module has jumped.
    """
    is_finite = np.isfinite(spectral).all(axis=1)
    places = np.flatnonzero(is_finite)
    found = {
        int(place): Sign("not finite", np.nan, *_broken(spectral[place])) for place in np.flatnonzero(~is_finite)
    }
    found |= dict.fromkeys(map(int, places[:1]), Sign("sound"))
    if len(places) > 1:
        found |= _compared(places, np.array(steps, float)[places], spectral[places], limits)
    return tuple(found[place] for place in range(len(spectral)))


def _broken(row: Array) -> tuple[int, int]:
    is_broken = ~np.isfinite(row)
    return int(is_broken.argmax()), int(is_broken.sum())


def _compared(places: NDArray[np.intp], steps: Array, norms: Array, limits: Thresholds) -> dict[int, Sign]:
    """Of all finite checkpoints but the first."""
    growth = _growth(norms)
    jumped = _jumped(growth, _lengthening(steps), limits)
    found: dict[int, Sign] = {}
    for index, (row, is_jump) in enumerate(zip(growth, jumped, strict=True)):
        kind: Kind = "jump" if is_jump.any() else "sound"
        module, common = int(row.argmax()), float(np.exp(np.median(row)))
        largest = float(np.exp(row[module]))
        since = int(places[index])
        found[int(places[index + 1])] = Sign(kind, largest, module, int(is_jump.sum()), common, since)
    for start, later in _not_back(norms, growth, jumped):
        sign = found[int(places[later])]
        if sign.kind == "sound":
            found[int(places[later])] = replace(sign, kind="not back", since=int(places[start]))
    return found


def _growth(norms: Array) -> Array:
    """Logs of the growth of each module; 0 from nothing, since that is how every adapter begins, and to nothing."""
    is_something = (norms[1:] > 0) & (norms[:-1] > 0)
    logs = np.log(np.where(norms > 0, norms, 1))
    return np.clip(np.where(is_something, logs[1:] - logs[:-1], 0), -_LARGEST, _LARGEST)


def _lengthening(steps: Array) -> Array:
    """Logs of how much longer the run has become; of one that began at step 0, as if that were the first."""
    known = np.maximum(steps, 1)
    return np.log(known[1:] / known[:-1])[:, None]


def _jumped(growth: Array, lengthening: Array, limits: Thresholds) -> NDArray[np.bool_]:
    median = np.median(growth, axis=1, keepdims=True)
    common = np.clip(median, 0, limits.power * lengthening)
    known = np.maximum(lengthening, 1e-9)
    spread = _MAD * np.median(np.abs(growth - median) / known) * lengthening
    room = np.maximum(np.log(limits.factor), np.maximum(limits.own_power * lengthening, limits.spread * spread))
    return np.asarray(growth - common > room)


def _not_back(norms: Array, growth: Array, jumped: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Pairs of a jump's place and a later one that lies before its visible return."""
    logs = np.log(np.where(norms > 0, norms, np.finfo(float).tiny))
    for index in np.flatnonzero(jumped.any(axis=1)):
        start, hit = int(index) + 1, jumped[index]
        half = np.median(growth[index][hit]) / 2
        ways = np.median(logs[start:, hit], axis=1)
        is_back = ways[0] - ways > half
        if is_back.any():
            yield from ((start, later) for later in range(start + 1, start + int(is_back.argmax())))
