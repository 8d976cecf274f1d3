"""The guard's explosion detector beside three known rules, on made-up series with the truth known.

All thresholds were chosen on other seeds (``--tune`` shows how) and every number here is of held-out seeds. No
rival knows phases of itself: each has our phase rule on top of its own deviation over its own threshold, with the
limit and the window that do best for it on the tuning seeds (most phases found at no more than one false stop per
100,000 clean steps, or at its fewest, then least delay). More of ours was tuned than of theirs, whose own numbers are
the published ones. Delay counts from the first step of a phase, its ramp included; a phase counts
as found only if the rule came to know of it within it, not if it was still at an earlier one. The last line is one
JSON document.

Usage: python benchmarks/bench_guard.py [--quick | --tune]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from gradient_series import Series, clean, early, exploding

from kanjiprep.training.running.explosions import Baseline, Gauge, Phase, PhaseRule, Thresholds

HELD_OUT, TUNING = 500_000, 50
"""First seeds of the two sets, which share none."""
SPENT = (100_000, 200_000, 300_000, 400_000)
"""First seeds of sets that were held out for earlier choices, the first three on series that did not grow."""
CLEAN, EARLY = 10_000, 20_000
"""What is added to them for clean series and for early explosions."""
LEAST_POINTS = 32
"""What the rolling rules have before they judge; ZClip has 25 of its own."""
END_SHARE = 0.4
"""Of a window, the readings that may still be raised at the end of a phase."""
MOST_FALSE = 1.0
"""False stops per 100,000 clean steps that a tuning may cost."""

Verdict = tuple[bool, Phase | None]
Read = Callable[[int, float], Verdict]


class ZClipLike:
    """Mean and variance by exponential averages of 0.97, flagged at z > 2.5, then averaged in as clipped.

    Source: ZClip, arXiv 2504.02507.
    """

    alpha, z, warmup = 0.97, 2.5, 25

    def __init__(self) -> None:
        self._first: list[float] = []
        self._mean = self._variance = 0.0

    def height(self, norm: float) -> float:
        """The z-score over 2.5."""
        if len(self._first) < self.warmup:
            self._first.append(norm)
            self._mean, self._variance = float(np.mean(self._first)), float(np.var(self._first))
            return 0.0
        sigma = math.sqrt(self._variance) + 1e-12
        score = (norm - self._mean) / sigma
        kept = self._mean + self.z**2 / score * sigma if score > self.z else norm
        self._variance = self.alpha * self._variance + (1 - self.alpha) * (kept - self._mean) ** 2
        self._mean = self.alpha * self._mean + (1 - self.alpha) * kept
        return score / self.z


class RollingSigma:
    """Seven standard deviations above the mean of the last 1,000. Source: OLMo 2, arXiv 2501.00656."""

    sigmas, points = 7.0, 1000

    def __init__(self) -> None:
        self._ring = np.zeros(self.points)
        self._count = 0

    def height(self, norm: float) -> float:
        """Standard deviations above the mean, over seven."""
        latest = self._ring[: min(self._count, self.points)]
        height = 0.0
        if len(latest) >= LEAST_POINTS:
            height = float((norm - latest.mean()) / (self.sigmas * latest.std() + 1e-12))
        self._ring[self._count % self.points] = norm
        self._count += 1
        return height


class RollingMedian:
    """Six robust standard deviations of the log, and x3, above the median of the last 2,048, all of them."""

    sigmas, factor, points = 6.0, 3.0, 2048

    def __init__(self) -> None:
        self._baseline = Baseline(self.points)

    def height(self, norm: float) -> float:
        """Deviation of the log over its bar."""
        log, height = math.log(norm), 0.0
        if len(self._baseline) >= LEAST_POINTS:
            bar = max(self.sigmas * self._baseline.sigma, math.log(self.factor))
            height = (log - self._baseline.median) / bar
        self._baseline.add(log)
        return height


Heights = ZClipLike | RollingSigma | RollingMedian
"""What gives a finite norm's deviation over its own threshold, by what came before."""


@dataclass(frozen=True)
class Rival:
    """A known rule with the phase rule that is best for it."""

    name: str
    heights: Callable[[], Heights]
    limit: float
    window_steps: int
    begin_steps: int

    def reader(self) -> Read:
        """A fresh rule, ready to read a series."""
        heights, finder = self.heights(), self.finder()

        def read(step: int, norm: float) -> Verdict:
            height = heights.height(norm) if norm < math.inf else math.inf
            phase = finder.read(step, height / self.limit, 1.0)
            return height > 1 and phase is None, phase

        return read

    def finder(self) -> PhaseRule:
        """The phase rule alone, without the new baseline after a fall: what rolls has one already."""
        end_steps = round(END_SHARE * self.window_steps)
        window = {"window_steps": self.window_steps, "begin_steps": self.begin_steps, "end_steps": end_steps}
        return PhaseRule(replace(Thresholds(), fallen_share=-math.inf, **window))


RIVALS = (
    Rival("ZClip-like", ZClipLike, 4.0, 20, 13),
    Rival("rolling 7 sigma", RollingSigma, 0.75, 20, 13),
    Rival("rolling log median", RollingMedian, 2.5, 20, 13),
)
OURS = "frozen log trend"


def ours(thresholds: Thresholds | None = None) -> Read:
    """Our gauge as a reader."""
    gauge = Gauge(thresholds)

    def read(step: int, norm: float) -> Verdict:
        mark = gauge.read(step, norm)
        return mark.is_spike, mark.phase

    return read


@dataclass
class Tally:
    """What a rule did."""

    truths: int = 0
    delays: list[int] = field(default_factory=list)
    truths_on_growth: int = 0
    found_on_growth: int = 0
    missed_in_earlier: int = 0
    steps_in_found: int = 0
    steps_held: int = 0
    stray_phases: int = 0
    clean_steps: int = 0
    false_stops: int = 0
    spikes: int = 0
    spikes_flagged: int = 0
    calm_flagged: int = 0
    early: int = 0
    early_found: int = 0
    cpu_s: float = 0.0
    steps: int = 0

    @property
    def false_per_100k(self) -> float:
        """False stops per 100,000 clean steps."""
        return 1e5 * self.false_stops / max(1, self.clean_steps)

    def delay(self, share: float) -> float:
        """The delay in steps that ``share`` of the phases that were found did not exceed."""
        return float(np.quantile(self.delays, share)) if self.delays else math.nan

    def document(self) -> dict[str, float | int | None]:
        """The numbers that are reported."""
        return {
            "phases": self.truths,
            "phases_found": len(self.delays),
            "phases_on_growth": self.truths_on_growth,
            "phases_on_growth_found": self.found_on_growth,
            "phases_missed_because_at_an_earlier_one": self.missed_in_earlier,
            "median_delay_steps": _number(self.delay(0.5)),
            "p95_delay_steps": _number(self.delay(0.95)),
            "share_of_found_phases_held": _number(self.steps_held / max(1, self.steps_in_found)),
            "false_stops_per_100k_clean_steps": round(self.false_per_100k, 3),
            "clean_steps": self.clean_steps,
            "stray_phases_in_exploding_series": self.stray_phases,
            "spike_recall": round(self.spikes_flagged / max(1, self.spikes), 3),
            "calm_steps_flagged_per_1k": round(1e3 * self.calm_flagged / max(1, self.clean_steps), 3),
            "early_explosions": self.early,
            "early_explosions_found": self.early_found,
            "microseconds_a_step": round(1e6 * self.cpu_s / max(1, self.steps), 2),
        }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def tally(rule: Callable[[], Read], series: Iterable[Series]) -> Tally:
    """What ``rule`` does on ``series``, started anew on each."""
    result = Tally()
    for one in series:
        norms, read = one.norms.tolist(), rule()
        start = time.process_time()
        verdicts = [read(step, norm) for step, norm in enumerate(norms)]
        result.cpu_s += time.process_time() - start
        result.steps += len(norms)
        count(result, one, [is_spike for is_spike, _ in verdicts], [phase for _, phase in verdicts])
    return result


def count(result: Tally, series: Series, flags: Sequence[bool], known: Iterable[Phase | None]) -> None:
    """Add what a rule said of ``series`` to ``result``."""
    found = list({phase.found_at: phase for phase in known if phase is not None}.values())
    if not series.truths:
        _count_clean(result, series, flags, found)
        return
    if series.is_early:
        result.early += 1
        result.early_found += any(phase.found_at >= series.truths[0].start for phase in found)
        return
    strays = found
    for truth in series.truths:
        hits = [phase for phase in found if truth.start <= phase.found_at <= truth.end]
        strays = [phase for phase in strays if phase not in hits]
        is_on_growth = any(one.start < truth.end and one.end > truth.start for one in series.growths)
        result.truths += 1
        result.truths_on_growth += is_on_growth
        result.found_on_growth += is_on_growth and bool(hits)
        result.missed_in_earlier += not hits and any(
            one.found_at < truth.start and (one.end is None or one.end > truth.start) for one in found
        )
        if hits:
            result.delays.append(hits[0].found_at - truth.start)
            result.steps_in_found += truth.end - hits[0].found_at
            result.steps_held += sum(min(phase.end or truth.end, truth.end) - phase.found_at for phase in hits)
    result.stray_phases += len(strays)


def _count_clean(result: Tally, series: Series, flags: Sequence[bool], found: list[Phase]) -> None:
    result.clean_steps += len(flags)
    result.false_stops += len(found)
    result.spikes += len(series.spikes)
    flagged = sum(flags[step] for step in series.spikes)
    result.spikes_flagged += flagged
    result.calm_flagged += sum(flags) - flagged


def made(exploding_series: int, clean_series: int, early_series: int, first: int = HELD_OUT) -> Iterator[Series]:
    """Series of each kind in turn, of seeds that no threshold was chosen on unless ``first`` says so."""
    yield from (exploding(first + index) for index in range(exploding_series))
    yield from (clean(first + CLEAN + index) for index in range(clean_series))
    yield from (early(first + EARLY + index) for index in range(early_series))


GRID: dict[str, Sequence[dict[str, float]]] = {
    "trend": [{"trend_points": points} for points in (160, 200, 240, 280, 400)],
    "cap": [{"doubling_points": points} for points in (30, 60, 120)],
    "doubt": [{"doubt_sigmas": sigmas} for sigmas in (0, 0.25, 0.5, 1.0)],
    "scatter": [{"scatter_points": points} for points in (150, 300, 600)],
    "spike": [{"spike_sigmas": sigmas} for sigmas in (4.0, 5.0, 6.0)],
    "phase sigmas": [{"phase_sigmas": sigmas} for sigmas in (1.2, 1.6, 2.0, 2.3, 2.6)],
    "phase factor": [{"phase_factor": factor} for factor in (2.2, 2.5, 2.8, 3.1)],
    "window": [
        {"window_steps": window, "begin_steps": begin, "end_steps": round(END_SHARE * window)}
        for window, begin in ((16, 10), (20, 12), (20, 13), (24, 14), (48, 28))
    ],
    "end share": [{"end_share": share} for share in (0.6, 0.8, 0.9)],
    "end steps": [{"end_steps": steps} for steps in (5, 8, 10)],
    "fallen share": [{"fallen_share": share} for share in (-math.inf, 0.5, 0.6, 0.7)],
    "fallen steps": [{"fallen_steps": steps} for steps in (60, 100, 200)],
}
SHORTLIST: dict[str, Sequence[dict[str, float]]] = {
    "on more series": [
        {"phase_sigmas": sigmas, "begin_steps": steps}
        for sigmas, steps in ((2.0, 12), (2.3, 12), (2.0, 13), (2.3, 13))
    ]
}
LIMITS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.5, 2.5, 4.0)
WINDOWS = ((20, 13), (32, 20), (64, 33))


def tune(grid: dict[str, Sequence[dict[str, float]]], series: Sequence[Series]) -> None:
    """Print what each choice of ``grid`` does on the tuning seeds, all else as the defaults are."""
    for axis, choices in grid.items():
        print(f"{axis:{WIDTH}}{HEAD}")
        for choice in choices:
            thresholds = replace(Thresholds(), **choice)  # type: ignore[arg-type]
            name = ", ".join(f"{key} {value:g}" for key, value in choice.items())
            star = " *" if thresholds == Thresholds() else ""
            print(row(name + star, tally(partial(ours, thresholds), series)), flush=True)


def tune_rival(rival: Rival, series: Sequence[Series]) -> None:
    """Print every choice of limit and window for ``rival``, and the best last."""
    print(f"{rival.name:{WIDTH}}{HEAD}")
    heights = [_heights(rival, one) for one in series]
    results: dict[tuple[float, int, int], Tally] = {}
    for limit in LIMITS:
        for window, begin in WINDOWS:
            choice = replace(rival, limit=limit, window_steps=window, begin_steps=begin)
            result = results[limit, window, begin] = Tally()
            for one, high in zip(series, heights, strict=True):
                finder = choice.finder()
                known = [finder.read(step, height / limit, 1.0) for step, height in enumerate(high)]
                count(result, one, [height > 1 for height in high], known)
            print(row(f"limit {limit:g}, {begin} of {window}", result), flush=True)
    print("best:", min(results, key=lambda key: _badness(results[key])))


def _heights(rival: Rival, series: Series) -> list[float]:
    heights = rival.heights()
    return [heights.height(norm) if norm < math.inf else math.inf for norm in series.norms.tolist()]


def _badness(result: Tally) -> tuple[float, float, float]:
    too_many = max(0.0, result.false_per_100k - MOST_FALSE)
    return too_many, -len(result.delays), result.delay(0.5)


WIDTH = 46
HEAD = "      found  held  delay  95 %    false  strays  recall   calm    early     us"


def row(name: str, result: Tally) -> str:
    """One line of the table."""
    one = result.document()
    held = 100 * result.steps_held / max(1, result.steps_in_found)
    return (
        f"{name:{WIDTH}}{len(result.delays):6}/{result.truths:4}{held:6.1f}{result.delay(0.5):7.1f}{result.delay(0.95):6.0f}"
        f"{result.false_per_100k:9.2f}{result.stray_phases:8}{one['spike_recall']:8.2f}"
        f"{one['calm_steps_flagged_per_1k']:7.2f}{result.early_found:5}/{result.early:3}{one['microseconds_a_step']:7.1f}"
    )


def report(results: dict[str, Tally]) -> None:
    """Print the table and its JSON."""
    print(f"{'':{WIDTH}}{HEAD}")
    for name, result in results.items():
        print(row(name, result))
    rival = max((name for name in results if name != OURS), key=lambda name: len(results[name].delays))
    found, best = len(results[OURS].delays), len(results[rival].delays)
    document = {
        "rules": {name: result.document() for name, result in results.items()},
        "best_rival": rival,
        "times_the_phases_found_by_best_rival": round(found / max(1, best), 2),
    }
    print(json.dumps(document))


def main() -> None:
    """Run every rule over the same held-out series, or show the tuning."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the series: minutes become seconds")
    parser.add_argument("--tune", action="store_true", help="show the grid on the tuning seeds instead")
    options = parser.parse_args()
    if options.tune:
        series = list(made(40, 40, 50, TUNING))
        tune(GRID, series)
        tune(SHORTLIST, [one for first in SPENT[1:3] for one in made(60, 120, 0, first)])
        for rival in RIVALS:
            tune_rival(rival, series)
        return
    sizes = (10, 10, 20) if options.quick else (100, 100, 200)
    series = list(made(*sizes))
    rules: dict[str, Callable[[], Read]] = {OURS: ours} | {rival.name: rival.reader for rival in RIVALS}
    report({name: tally(rule, series) for name, rule in rules.items()})


if __name__ == "__main__":
    main()
