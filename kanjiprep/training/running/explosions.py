"""Explosions of a run's gradient norm: single spikes, and phases that a run may not come back from."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

_SIGMA_OF_MAD: Final = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
_LARGEST_EXPONENT: Final = 700.0
"""A little below where exp overflows."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a norm counts as a spike, and when a row of high norms as a phase.

    The defaults are what ``benchmarks/bench_guard.py --tune`` found best on its tuning seeds.

    Attributes:
        baseline_points: How many of the latest calm norms the baseline is made of.
        least_points: Below this many nothing but a non-finite value stands out.
        caution_points: With n points in the baseline both bars are higher by this / n: few points know little.
        spike_sigmas: A norm is flagged this many robust standard deviations of the log above the median ...
        spike_factor: ... and at least at this many times the median.
        phase_sigmas: A norm is raised, which takes many to matter, at so many of them ...
        phase_factor: ... and at least at this many times the median.
        window_steps: A phase is decided on the latest so many readings.
        begin_steps: So many raised readings in the window begin a phase.
        end_share: In a phase a norm is still raised at this share of its bar, measured in logs.
        end_steps: A phase is over when no more than so many readings in the window are.
        fallen_share: It is over as well, on a level that moved while it lasted, when the window's median has
            fallen below this share of its highest, measured in logs ...
        fallen_steps: ... for so many readings in a row. They become the new baseline.
    """

    baseline_points: int = 300
    least_points: int = 16
    caution_points: int = 16
    spike_sigmas: float = 5.0
    spike_factor: float = 3.0
    phase_sigmas: float = 1.2
    phase_factor: float = 2.8
    window_steps: int = 20
    begin_steps: int = 12
    end_share: float = 0.8
    end_steps: int = 8
    fallen_share: float = 0.5
    fallen_steps: int = 100


@dataclass(frozen=True, slots=True)
class Phase:
    """A row of steps at which the norm was far above its baseline.

    Attributes:
        start: Its first step, traced back.
        found_at: The step at which the rule first knew.
        end: Its last step, traced back; None while it goes on.
        worst_factor: The highest finite norm over the baseline's median; inf if no norm was finite.
        has_non_finite: Whether a norm in it was missing or not finite.
    """

    start: int
    found_at: int
    end: int | None
    worst_factor: float
    has_non_finite: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """What the rule says of one step, knowing nothing of later ones.

    Attributes:
        step: The trainer's step.
        norm: Its gradient norm as it was read.
        factor: Norm over the baseline's median; inf for a non-finite norm, 1 before there is a baseline.
        is_spike: The norm is flagged while no phase is known.
        phase: The phase as known at this step; the step that shows its end is the last to have it.
    """

    step: int
    norm: float
    factor: float
    is_spike: bool
    phase: Phase | None


class Baseline:
    """Median and robust standard deviation of the latest values, exact, in logarithmic time.

    Args:
        capacity: How many values count; an older one leaves for each that comes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._latest: deque[float] = deque()
        self._ordered: list[float] = []
        self.median = 0.0
        self.sigma = 0.0

    def __len__(self) -> int:
        return len(self._ordered)

    def add(self, value: float) -> None:
        """Take ``value``, a finite number, and let the oldest go."""
        if len(self._latest) == self._capacity:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]
        self._latest.append(value)
        insort(self._ordered, value)
        self.median = self._ordered[(len(self._ordered) - 1) // 2]
        self.sigma = _SIGMA_OF_MAD * self._median_distance()

    def _median_distance(self) -> float:
        """The nearer half are neighbours in order: bisect for where they begin."""
        ordered, median = self._ordered, self.median
        half = (len(ordered) + 1) // 2
        low, high = 0, len(ordered) - half
        while low < high:
            middle = (low + high) // 2
            if median - ordered[middle] > ordered[middle + half] - median:
                low = middle + 1
            else:
                high = middle
        return max(median - ordered[low], ordered[low + half - 1] - median)


@dataclass(frozen=True, slots=True)
class _Reading:
    step: int
    height: float
    factor: float


class PhaseRule:
    """Finds phases in heights, whatever they are heights over: a running quantile with hysteresis.

    So many of the latest readings above a limit is the same as a running quantile above it, at the price
    of counting. Before the first reading all was calm.

    Attributes:
        has_moved: The phase that ended last has left a level that is higher than before it.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._latest: deque[_Reading] = deque()
        self._raised = 0
        self._phase: Phase | None = None
        self._highest = 0.0
        self._fallen: list[int] = []
        self.has_moved = False

    def read(self, step: int, height: float, factor: float) -> Phase | None:
        """The phase as known after this step, once more with its end at the step that shows it, or None.

        Args:
            step: The trainer's step.
            height: Deviation over the bar: above 1 is raised, inf is a non-finite norm.
            factor: Norm over what is usual, for the phase's record.
        """
        self._push(_Reading(step, height, factor))
        if self._phase is None:
            if self._raised >= self._thresholds.begin_steps:
                self._begin(step)
            return self._phase
        if height > self._limit:
            self._phase = _grown(self._phase, self._latest[-1])
        self._follow_fall(step)
        if self._raised <= self._thresholds.end_steps:
            return self._finish(self._phase, self._last_raised(), has_moved=False)
        if len(self._fallen) >= self._thresholds.fallen_steps:
            return self._finish(self._phase, self._fallen[0], has_moved=True)
        return self._phase

    def _push(self, reading: _Reading) -> None:
        self._latest.append(reading)
        self._raised += reading.height > self._limit
        if len(self._latest) > self._thresholds.window_steps:
            self._raised -= self._latest.popleft().height > self._limit

    @property
    def _limit(self) -> float:
        return 1.0 if self._phase is None else self._thresholds.end_share

    def _begin(self, step: int) -> None:
        inside = list(self._latest)[_best_cut([reading.height > self._limit for reading in self._latest]) :]
        phase = Phase(inside[0].step, step, None, math.inf, False)
        for reading in inside:
            if reading.height > self._limit:
                phase = _grown(phase, reading)
        self._phase = phase
        self._raised = sum(reading.height > self._limit for reading in self._latest)

    def _follow_fall(self, step: int) -> None:
        median = sorted(reading.height for reading in self._latest)[len(self._latest) // 2]
        if math.isfinite(median):
            self._highest = max(self._highest, median)
        if median < self._thresholds.fallen_share * self._highest:
            self._fallen.append(step)
        else:
            self._fallen.clear()

    def _last_raised(self) -> int:
        cut = _best_cut([reading.height <= self._limit for reading in self._latest])
        return self._latest[max(0, cut - 1)].step

    def _finish(self, phase: Phase, last: int, *, has_moved: bool) -> Phase:
        self._phase, self._raised, self._highest, self.has_moved = None, 0, 0.0, has_moved
        self._latest.clear()
        self._fallen.clear()
        return replace(phase, end=max(phase.found_at, last))


def _grown(phase: Phase, reading: _Reading) -> Phase:
    if math.isinf(reading.height):
        return phase if phase.has_non_finite else replace(phase, has_non_finite=True)
    if math.isinf(phase.worst_factor) or reading.factor > phase.worst_factor:
        return replace(phase, worst_factor=reading.factor)
    return phase


def _best_cut(is_inside: list[bool]) -> int:
    """Where the tail begins that holds the most of what is inside and the least of what is not."""
    best, sum_, cut = 0, 0, len(is_inside)
    for index in reversed(range(len(is_inside))):
        sum_ += 1 if is_inside[index] else -1
        if sum_ >= best:
            best, cut = sum_, index
    return cut


class Gauge:
    """Judges norms one by one as they come.

    The baseline is the median and the MAD of the logs of the latest norms that were neither flagged nor
    raised nor in a phase. It stands still through an explosion however long, so that none becomes usual by lasting. A
    norm of 0 says nothing about what is usual and stays out as well.

    Source: that norms spike before the loss does and the rivals' rules are PaLM (arXiv 2204.02311), ZClip
    (2504.02507) and OLMo 2 (2501.00656); the frozen baseline is ours, see benchmarks/bench_guard.py.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._baseline = Baseline(self._thresholds.baseline_points)
        self._rule = PhaseRule(self._thresholds)
        self._spike_least = math.log(self._thresholds.spike_factor)
        self._phase_least = math.log(self._thresholds.phase_factor)
        self._caution = 1.0
        self._aside: deque[float] = deque(maxlen=self._thresholds.fallen_steps)

    def read(self, step: int, norm: float) -> Mark:
        """The mark of one step.

        Args:
            step: The trainer's step; they rise, gaps do no harm and count as nothing.
            norm: Its gradient norm; nan where the trainer logged none, for it leaves out what is not finite.
        """
        log = math.log(norm) if 0 < norm < math.inf else None
        deviation, factor = self._measured(norm, log)
        sigma = self._baseline.sigma
        spike_bar = self._caution * max(self._thresholds.spike_sigmas * sigma, self._spike_least)
        phase_bar = self._caution * max(self._thresholds.phase_sigmas * sigma, self._phase_least)
        phase = self._rule.read(step, deviation / phase_bar, factor)
        if phase is not None:
            self._wait(log, phase)
        elif log is not None and deviation <= min(spike_bar, phase_bar):
            self._add(log)
        return Mark(step, norm, factor, deviation > spike_bar and phase is None, phase)

    def _wait(self, log: float | None, phase: Phase) -> None:
        """Keep what may become the new baseline, and let it once the phase has left a higher level."""
        if log is not None:
            self._aside.append(log)
        if phase.end is None:
            return
        if self._rule.has_moved:
            self._baseline = Baseline(self._thresholds.baseline_points)
            for value in self._aside:
                self._add(value)
        self._aside.clear()

    def _add(self, log: float) -> None:
        self._baseline.add(log)
        self._caution = 1 + self._thresholds.caution_points / len(self._baseline)

    def _measured(self, norm: float, log: float | None) -> tuple[float, float]:
        """Deviation from the baseline's median, and factor over it."""
        if log is None:
            return (-math.inf, 0.0) if math.isfinite(norm) else (math.inf, math.inf)
        if len(self._baseline) < self._thresholds.least_points:
            return 0.0, 1.0
        deviation = log - self._baseline.median
        return deviation, math.exp(min(deviation, _LARGEST_EXPONENT))


def marks(steps: Iterable[int], norms: Iterable[float], thresholds: Thresholds | None = None) -> Iterator[Mark]:
    """What a gauge says of each step of a whole series, in turn.

    Raises:
        ValueError: If there are more of one than of the other.
    """
    gauge = Gauge(thresholds)
    for step, norm in zip(steps, norms, strict=True):
        yield gauge.read(step, norm)


def phases(steps: Iterable[int], norms: Iterable[float], thresholds: Thresholds | None = None) -> tuple[Phase, ...]:
    """All phases of a whole series in order; the last may still be open.

    Raises:
        ValueError: If there are more of one than of the other.
    """
    found: dict[int, Phase] = {}
    for mark in marks(steps, norms, thresholds):
        if mark.phase is not None:
            found[mark.phase.found_at] = mark.phase
    return tuple(found.values())
