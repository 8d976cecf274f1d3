"""Explosions of a run's gradient norm: single spikes, and phases that a run may not come back from."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

_SIGMA_OF_MAD: Final = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
_LARGEST_EXPONENT: Final = 700.0  # a little below where exp overflows


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a norm counts as a spike, and when a row of high norms as a phase.

    The defaults were chosen on the tuning seeds of ``benchmarks/bench_guard.py``, one at a time, fewest false stops
    first; in most series there the norm at some time doubles or halves every 60 to 400 steps, by x3 to x100 in all.

    Attributes:
        trend_points: How many of the latest calm norms say where the next is expected.
        doubling_points: It is expected to grow or shrink no faster than by x2 in so many calm norms.
        doubt_sigmas: What the newer half of them differs from the older counts for so many sigmas of scatter less.
        scatter_points: How many of the latest calm norms the scatter around what was expected is made of.
        least_points: Below this many nothing but a non-finite value stands out.
        caution_points: With n points in the trend both bars are higher by this / n: few points know little.
        spike_sigmas: A norm is flagged this many sigmas (robust, of the scatter) above what is expected ...
        spike_factor: ... and at least at this many times that.
        phase_sigmas: A norm is raised, which takes many to matter, at so many of them ...
        phase_factor: ... and at least at this many times what is expected.
        window_steps: A phase is decided on the latest so many readings.
        begin_steps: So many raised readings in the window begin a phase.
        end_share: In a phase a norm is still raised at this share of its bar, measured in logs.
        end_steps: A phase is over when no more than so many readings in the window are.
        fallen_share: It is over as well if the window's median falls below this share of its highest in logs ...
        fallen_steps: ... for so many readings in a row. They become the new trend.
    """

    trend_points: int = 240
    doubling_points: float = 60.0
    doubt_sigmas: float = 0.5
    scatter_points: int = 300
    least_points: int = 16
    caution_points: int = 16
    spike_sigmas: float = 5.0
    spike_factor: float = 3.0
    phase_sigmas: float = 2.3
    phase_factor: float = 2.8
    window_steps: int = 20
    begin_steps: int = 13
    end_share: float = 0.8
    end_steps: int = 8
    fallen_share: float = 0.6
    fallen_steps: int = 100


@dataclass(frozen=True, slots=True)
class Phase:
    """A row of steps at which the norm was far above what was expected.

    Attributes:
        start: Its first step, traced back.
        found_at: The step at which the rule first knew.
        end: Its last step, traced back; None while it goes on.
        worst_factor: The highest finite norm over the level expected at its time; inf if no norm was finite.
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
        factor: Norm over the level expected now; inf for a non-finite norm, 1 before there is one.
        is_spike: The norm is flagged while no phase is known.
        phase: The phase as known at this step; the step that shows its end is the last to have it.
    """

    step: int
    norm: float
    factor: float
    is_spike: bool
    phase: Phase | None


class Baseline:
    """Median and robust standard deviation of the latest ``capacity`` values, exact, in logarithmic time."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._latest: deque[float] = deque()
        self._ordered: list[float] = []
        self.median = 0.0

    def __len__(self) -> int:
        return len(self._ordered)

    def add(self, value: float) -> None:
        """Take ``value``, a finite number, and let the oldest go if there are too many."""
        self._latest.append(value)
        insort(self._ordered, value)
        if len(self._ordered) > self._capacity:
            self.pop()
        self.median = self._ordered[(len(self._ordered) - 1) // 2]

    def pop(self) -> float:
        """Let the oldest of at least two go."""
        value = self._latest.popleft()
        del self._ordered[bisect_left(self._ordered, value)]
        self.median = self._ordered[(len(self._ordered) - 1) // 2]
        return value

    @property
    def sigma(self) -> float:
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
        return _SIGMA_OF_MAD * max(median - ordered[low], ordered[low + half - 1] - median)


class Trend:
    """Where the next calm value is expected, whether the level rests, grows or falls.

    That is the median of the newer half of the latest values, carried on over half of its own length by the rise
    from the older half's median, less a doubt. Medians hear of a bend late enough to see an explosion's ramp as one
    and soon enough to follow growth. Time is counted in values: with none coming it stands still.

    Attributes:
        expected: The next value.
        sigma: Robust standard deviation of the values around what was expected of each.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._doubt_sigmas = thresholds.doubt_sigmas
        self._most_rise = math.log(2) / thresholds.doubling_points
        self._half = thresholds.trend_points // 2
        self._older, self._newer = Baseline(self._half), Baseline(self._half + 1)
        self._scatter = Baseline(thresholds.scatter_points)
        self.expected = self.sigma = 0.0

    def __len__(self) -> int:
        return len(self._older) + len(self._newer)

    def add(self, value: float) -> None:
        """Take ``value``, a finite number."""
        if len(self._newer):
            self._scatter.add(value - self.expected)
            self.sigma = self._scatter.sigma
        self._newer.add(value)
        if len(self._newer) > min(self._half, len(self._older) + 1):
            self._older.add(self._newer.pop())
        self.expected = self._newer.median + self._rise() * (len(self._newer) // 2 + 1)

    def _rise(self) -> float:
        """From one value to the next."""
        if not len(self._older):
            return 0.0
        gain = self._newer.median - self._older.median
        sure = max(0.0, abs(gain) - self._doubt_sigmas * self.sigma)
        return math.copysign(min(sure / len(self._newer), self._most_rise), gain)


@dataclass(frozen=True, slots=True)
class _Reading:
    step: int
    height: float
    factor: float


class PhaseRule:
    """Finds phases in heights, whatever they are heights over: a running quantile with hysteresis, by counting.

    Before the first reading all was calm.

    Attributes:
        has_moved: The phase that ended last has left a level that is higher than before it.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._latest: deque[_Reading] = deque()
        self._raised, self._limit, self._highest = 0, 1.0, 0.0
        self._phase: Phase | None = None
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

    def _begin(self, step: int) -> None:
        inside = list(self._latest)[_best_cut([reading.height > self._limit for reading in self._latest]) :]
        phase = Phase(inside[0].step, step, None, math.inf, False)
        for reading in filter(lambda reading: reading.height > self._limit, inside):
            phase = _grown(phase, reading)
        self._phase, self._limit = phase, self._thresholds.end_share
        self._raised = sum(reading.height > self._limit for reading in self._latest)

    def _follow_fall(self, step: int) -> None:
        median = sorted(reading.height for reading in self._latest)[len(self._latest) // 2]
        if math.isfinite(median):
            self._highest = max(self._highest, median)
        self._fallen.append(step)
        if median >= self._thresholds.fallen_share * self._highest:
            self._fallen.clear()

    def _last_raised(self) -> int:
        cut = _best_cut([reading.height <= self._limit for reading in self._latest])
        return self._latest[max(0, cut - 1)].step

    def _finish(self, phase: Phase, last: int, *, has_moved: bool) -> Phase:
        self._phase, self.has_moved = None, has_moved
        self._raised, self._limit, self._highest = 0, 1.0, 0.0
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

    What is expected, and with what scatter, comes from the logs of the latest norms that were neither flagged nor
    raised nor in a phase. It follows healthy growth and stands still through an explosion however long, so that none
    becomes usual by lasting. A norm of 0 says nothing about what is usual and stays out as well.

    Source: that norms spike before the loss does and the rivals' rules are PaLM (arXiv 2204.02311), ZClip
    (2504.02507) and OLMo 2 (2501.00656); the trend that freezes is ours, see benchmarks/bench_guard.py.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._trend = Trend(self._thresholds)
        self._rule = PhaseRule(self._thresholds)
        self._aside: deque[float] = deque(maxlen=self._thresholds.fallen_steps)

    def read(self, step: int, norm: float) -> Mark:
        """The mark of one step.

        Args:
            step: The trainer's step; they rise, gaps do no harm and count as nothing.
            norm: Its gradient norm; nan where the trainer logged none, for it leaves out what is not finite.
        """
        log = math.log(norm) if 0 < norm < math.inf else None
        deviation, factor = self._measured(norm, log)
        spike_bar = self._bar(self._thresholds.spike_sigmas, self._thresholds.spike_factor)
        phase_bar = self._bar(self._thresholds.phase_sigmas, self._thresholds.phase_factor)
        phase = self._rule.read(step, deviation / phase_bar, factor)
        if phase is not None:
            self._wait(log, phase)
        elif log is not None and deviation <= min(spike_bar, phase_bar):
            self._trend.add(log)
        return Mark(step, norm, factor, deviation > spike_bar and phase is None, phase)

    def _wait(self, log: float | None, phase: Phase) -> None:
        """Keep what may become the new trend, and let it once the phase has left a higher level."""
        if log is not None:
            self._aside.append(log)
        if phase.end is not None and self._rule.has_moved:
            self._trend = Trend(self._thresholds)
            for value in self._aside:
                self._trend.add(value)
        if phase.end is not None:
            self._aside.clear()

    def _bar(self, sigmas: float, factor: float) -> float:
        caution = 1 + self._thresholds.caution_points / max(1, len(self._trend))
        return caution * max(sigmas * self._trend.sigma, math.log(factor))

    def _measured(self, norm: float, log: float | None) -> tuple[float, float]:
        """Deviation from what is expected, and factor over it."""
        if log is None:
            return (-math.inf, 0.0) if math.isfinite(norm) else (math.inf, math.inf)
        if len(self._trend) < self._thresholds.least_points:
            return 0.0, 1.0
        deviation = log - self._trend.expected
        return deviation, math.exp(min(deviation, _LARGEST_EXPONENT))


def marks(steps: Iterable[int], norms: Iterable[float], thresholds: Thresholds | None = None) -> Iterator[Mark]:
    """What a gauge says of each step of a whole series, in turn; a ValueError if there are more of one."""
    gauge = Gauge(thresholds)
    for step, norm in zip(steps, norms, strict=True):
        yield gauge.read(step, norm)


def phases(steps: Iterable[int], norms: Iterable[float], thresholds: Thresholds | None = None) -> tuple[Phase, ...]:
    """All phases of a whole series in order, the last maybe still open; a ValueError if there are more of one."""
    known = (mark.phase for mark in marks(steps, norms, thresholds))
    return tuple({phase.found_at: phase for phase in known if phase is not None}.values())
