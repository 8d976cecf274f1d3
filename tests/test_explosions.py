from __future__ import annotations

import json
import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running import explosions
from kanjiprep.training.running.explosions import Baseline, Gauge, Mark, Phase, PhaseRule, Thresholds, Trend

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import bench_guard
import gradient_series

GROWING: list[float] = json.loads((Path(__file__).parent / "golden" / "growing_gradients.json").read_text("utf-8"))
"""The gradient norm of a real LoRA, by the real trainer, from B = 0 on: it doubles about every 110 steps."""


def noisy(seed: int, steps: int, sigma: float = 0.2, level: float = 0.05) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, sigma, steps)
    return [float(norm) for norm in level * np.exp(noise)]


def raised(norms: list[float], start: int, end: int, factor: float) -> list[float]:
    return [norm * factor if start <= step <= end else norm for step, norm in enumerate(norms)]


def phases(norms: list[float]) -> tuple[Phase, ...]:
    return explosions.phases(range(len(norms)), norms)


def marks(norms: list[float]) -> list[Mark]:
    return list(explosions.marks(range(len(norms)), norms))


# Phases


def test_a_phase_is_found_traced_back_and_ended() -> None:
    (phase,) = phases(raised(noisy(1, 3000), 1000, 1499, 10))
    assert (phase.start, phase.end, phase.has_non_finite) == (1000, 1499, False)
    assert 1000 < phase.found_at <= 1020
    assert 10 < phase.worst_factor < 30


def test_every_step_from_knowing_a_phase_to_seeing_its_end_bears_it() -> None:
    read = marks(raised(noisy(1, 3000), 1000, 1499, 10))
    bearing = [mark.step for mark in read if mark.phase is not None]
    phase = read[bearing[-1]].phase
    assert phase is not None
    assert bearing == list(range(phase.found_at, bearing[-1] + 1))
    assert [mark.step for mark in read if mark.phase is not None and mark.phase.end is not None] == bearing[-1:]
    assert 1499 < bearing[-1] <= 1520
    assert not any(read[step].is_spike for step in bearing)
    assert all(read[step].is_spike for step in range(1000, phase.found_at))


def test_what_is_known_of_a_phase_grows_while_it_lasts() -> None:
    read = marks(raised(noisy(1, 1300), 1000, 1299, 10))
    known = [mark.phase.worst_factor for mark in read if mark.phase is not None]
    assert known == sorted(known)
    assert known[0] < known[-1] == max(mark.factor for mark in read)
    assert phases(raised(noisy(1, 1300), 1000, 1299, 10))[-1].end is None


def test_single_spikes_are_spikes_and_no_phase() -> None:
    norms = noisy(2, 4000)
    where = [500, 1000, 1001, 1002, 2000, 3000, 3008, 3016]
    for step in where:
        norms[step] *= 50
    read = marks(norms)
    assert [mark.step for mark in read if mark.is_spike] == where
    assert all(mark.phase is None for mark in read)
    assert read[500].factor == pytest.approx(50, rel=1)
    assert read[501].factor == pytest.approx(1, abs=1)


def test_a_spike_shortly_before_a_phase_is_not_its_start() -> None:
    norms = raised(noisy(3, 2000), 1000, 1300, 12)
    norms[992] *= 50
    assert phases(norms)[0].start == 1000


def test_a_ramp_is_found_on_its_way() -> None:
    ramp = [norm * 20 ** min(1, max(0, step - 999) / 100) for step, norm in enumerate(noisy(4, 2000))]
    (phase,) = phases(ramp)
    assert 1000 < phase.start < phase.found_at < 1080
    assert phase.end is None


def test_what_the_trainer_dropped_is_as_high_as_can_be() -> None:
    for missing in (math.nan, math.inf, -math.inf):
        norms = noisy(5, 2000)
        norms[500] = missing
        norms[1000:1100] = [missing] * 100
        read = marks(norms)
        found = phases(norms)
        assert (read[500].factor, read[500].is_spike) == (math.inf, True)
        assert found == (Phase(1000, 1012, 1099, math.inf, True),)


def test_the_worst_of_a_phase_is_its_worst_finite_norm() -> None:
    norms = raised(noisy(6, 2000, sigma=0.01), 1000, 1200, 15)
    norms[1050:1060] = [math.nan] * 10
    (phase,) = phases(norms)
    assert phase.has_non_finite
    assert phase.worst_factor == pytest.approx(15, rel=0.1)
    norms[1000:1030] = [math.nan] * 30
    assert phases(norms)[0].worst_factor == pytest.approx(15, rel=0.1)


def test_calm_norms_within_a_phase_are_not_its_worst() -> None:
    norms = noisy(6, 2000)
    for step in range(1000, 1100):
        norms[step] = norms[step] if step in (1003, 1050) else math.nan
    assert [phase.worst_factor for phase in phases(norms)] == [math.inf]


def test_a_phase_is_not_over_because_norms_are_finite_again() -> None:
    norms = raised(noisy(6, 2000), 1000, 1600, 10)
    norms[1100:1130] = [math.nan] * 30
    assert [(phase.start, phase.end) for phase in phases(norms)] == [(1000, 1600)]


def test_only_missing_norms_are_a_phase_from_the_start() -> None:
    norms = [math.nan] * 500
    assert phases(norms) == (Phase(0, 12, None, math.inf, True),)
    assert phases([*norms, *noisy(7, 500)])[0].end == 499


@pytest.mark.parametrize("start", [20, 40, 90])
def test_a_run_that_blows_up_in_its_first_hundred_steps_is_found(start: int) -> None:
    (phase,) = phases(raised(noisy(8, 400, sigma=0.4), start, 399, 50))
    assert (phase.start, phase.end) == (start, None)
    assert phase.found_at < start + 20


def test_before_there_is_a_baseline_nothing_finite_stands_out() -> None:
    least = Thresholds().least_points
    read = marks([1.0, 1e9] * (least // 2))
    assert {(mark.factor, mark.is_spike, mark.phase) for mark in read} == {(1.0, False, None)}
    assert marks([*[1.0] * least, 20.0])[-1].is_spike


def test_few_points_raise_the_bar() -> None:
    assert not marks([*[1.0] * 16, 5.0])[-1].is_spike
    assert marks([*[1.0] * 160, 5.0])[-1].is_spike


# No phases


def growing(seed: int, steps: int, doubling_steps: float, sigma: float = 0.15) -> list[float]:
    rise = math.log(2) / abs(doubling_steps)
    grown = [math.exp(math.copysign(min(math.log(100), rise * step), doubling_steps)) for step in range(steps)]
    return [norm * factor for norm, factor in zip(noisy(seed, steps, sigma=sigma), grown, strict=True)]


def test_the_growth_of_a_real_run_whose_loss_fell_is_no_explosion() -> None:
    read = marks(GROWING)
    assert [mark.phase for mark in read] == [None] * 332
    assert sum(mark.is_spike for mark in read) <= 2
    assert max(mark.factor for mark in read) < 1.5


def test_a_real_growth_twice_as_fast_is_none_either() -> None:
    assert phases(GROWING[::2]) == ()
    assert phases(GROWING[1::2]) == ()


def test_an_explosion_on_top_of_a_real_growth_is_found() -> None:
    for factor in (6, 10, 40):
        (phase,) = phases([*GROWING, *(norm * factor for norm in GROWING[-100:])])
        assert (phase.start, phase.end) == (332, None)
        assert phase.found_at < 332 + 20


@pytest.mark.parametrize("doubling_steps", [60, 110, 400, -60, -110, -400])
def test_exponential_growth_and_its_end_are_legitimate(doubling_steps: float) -> None:
    for seed in range(2):
        for sigma in (0.05, 0.3):
            norms = growing(seed, 4000, doubling_steps, sigma=sigma)
            assert phases(norms) == ()
            assert phases([*noisy(seed + 50, 1000, sigma=sigma), *norms]) == ()
            assert statistics.median(mark.factor for mark in marks(norms)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("doubling_steps", [60, 110, 400, -60, -110, -400])
def test_an_explosion_on_top_of_growth_is_found_and_held(doubling_steps: float) -> None:
    for seed in range(4):
        norms = growing(seed, 2000, doubling_steps)
        start = int(abs(doubling_steps) * 3)
        level = [*norms[:start], *[statistics.median(norms[start - 10 : start])] * 600]
        (phase,) = phases(raised(level, start, start + 299, 6))
        assert abs(phase.start - start) <= 3
        assert phase.found_at < start + 20
        assert phase.end is not None
        assert abs(phase.end - start - 299) <= 3


def test_what_is_expected_does_not_climb_while_an_explosion_lasts() -> None:
    norms = growing(21, 300, 60)
    read = marks([*norms, *[norms[-1] * 10] * 5000])
    last = read[-1].phase
    assert last is not None
    assert (last.start, last.end) == (300, None)
    assert read[-1].factor == pytest.approx(read[310].factor)
    assert read[-1].factor > 5


def test_the_slow_ramp_of_an_explosion_is_not_taken_for_growth() -> None:
    for seed in range(10):
        rise = [8 ** min(1, max(0, step - 999) / 100) for step in range(1700)]
        norms = [norm * factor for norm, factor in zip(noisy(seed, 1700, sigma=0.1), rise, strict=True)]
        (phase,) = phases(norms)
        assert 1000 < phase.start < phase.found_at < 1100
        assert phase.end is None


def test_slow_drift_by_ten_times_is_legitimate() -> None:
    for direction in (-1, 1):
        for seed in range(5):
            drift = [norm * 10 ** (direction * step / 3000) for step, norm in enumerate(noisy(seed, 3000, sigma=0.3))]
            assert phases(drift) == ()


def test_a_level_that_doubles_for_good_becomes_the_baseline() -> None:
    norms = raised(noisy(9, 4000), 1000, 3999, 2)
    assert phases(norms) == ()
    assert statistics.median(mark.factor for mark in marks(norms)[2000:]) == pytest.approx(1, abs=0.1)


def test_a_level_five_times_as_high_for_good_is_a_phase_without_an_end() -> None:
    (phase,) = phases(raised(noisy(10, 8000), 1000, 7999, 5))
    assert (phase.start, phase.end) == (1000, None)


def test_a_phase_that_leaves_a_higher_level_is_over_and_the_next_is_found() -> None:
    norms = raised(raised(noisy(11, 6000), 1000, 1299, 30), 1300, 5999, 4)
    first, second = phases(raised(norms, 3000, 3399, 10))
    assert first.start == 1000
    assert first.end is not None
    assert 1299 <= first.end <= 1320
    assert (second.start, second.end) == (3000, 3399)
    assert second.worst_factor < 30


def test_a_new_baseline_is_learnt_even_if_the_step_that_shows_it_has_no_norm() -> None:
    norms = raised(raised(noisy(11, 6000), 1000, 1299, 30), 1300, 5999, 4)
    shown = max(mark.step for mark in marks(norms) if mark.phase is not None)
    norms[shown] = 0.0
    assert [phase.end is None for phase in phases(norms)] == [False]
    norms[shown] = math.nan
    assert [phase.end is None for phase in phases(norms)] == [False]


def test_equal_norms_have_a_bar_too() -> None:
    norms = [0.1] * 2000
    assert phases(norms) == ()
    assert phases(raised(norms, 1000, 1200, 2.7)) == ()
    assert [phase.end for phase in phases(raised(norms, 1000, 1200, 4))] == [1200]


def test_a_norm_of_zero_or_less_says_nothing() -> None:
    for nothing in (0.0, -0.0, -1.0):
        assert phases([nothing] * 1000) == ()
        norms = noisy(12, 2000)
        norms[200:1000] = [nothing] * 800
        read = marks(norms)
        assert read[500] == Mark(500, nothing, 0.0, False, None)
        assert not any(mark.is_spike or mark.phase for mark in read)
    assert phases([*[0.0] * 1000, *noisy(13, 1000)]) == ()


def test_the_smallest_and_the_largest_norms_do_no_harm() -> None:
    norms = [*[5e-324] * 500, *[1.7e308] * 30, *[5e-324] * 500]
    (phase,) = phases(norms)
    assert (phase.start, phase.end) == (500, 529)
    assert 1e300 < phase.worst_factor < math.inf
    assert phases([1e38] * 500) == ()


def test_gaps_between_steps_count_as_nothing() -> None:
    norms = raised(noisy(14, 2000), 1000, 1200, 10)
    steps = [step * 7 + (10_000 if step >= 1005 else 0) for step in range(2000)]
    (close,), (far,) = phases(norms), explosions.phases(steps, norms)
    assert (far.start, far.found_at, far.end) == tuple(
        steps[step or 0] for step in (close.start, close.found_at, close.end)
    )


def test_a_series_with_more_steps_than_norms_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        explosions.phases([1, 2], [0.1])


# Gauge, baseline, rule


FLOATS = st.one_of(
    st.floats(), st.floats(0.01, 1), st.sampled_from([math.nan, math.inf, 0.0, -1.0, 5e-324, 1e38, 1.7e308, 0.1])
)
RUNS = st.lists(st.tuples(FLOATS, st.integers(1, 25)), max_size=16)


@given(RUNS)
def test_a_gauge_never_fails_and_its_phases_are_in_order(runs: list[tuple[float, int]]) -> None:
    norms = [norm for norm, times in runs for _ in range(times)]
    read = marks(norms)
    assert [mark.step for mark in read] == list(range(len(norms)))
    assert all(mark.factor >= 0 for mark in read)
    assert not any(mark.is_spike and mark.phase for mark in read)
    last = -1
    for phase in phases(norms):
        assert last < phase.start <= phase.found_at
        assert phase.end is None or phase.found_at <= phase.end
        assert phase.worst_factor > 1
        last = len(norms) if phase.end is None else phase.end


@given(RUNS, st.integers(0, 300))
def test_a_gauge_knows_nothing_of_later_steps(runs: list[tuple[float, int]], cut: int) -> None:
    norms = [norm for norm, times in runs for _ in range(times)]
    assert repr(marks(norms)[:cut]) == repr(marks(norms[:cut]))


def test_phases_are_what_the_gauge_said_last_of_each() -> None:
    norms = gradient_series.exploding(3).norms.tolist()
    gauge = Gauge()
    said = [phase for step, norm in enumerate(norms) if (phase := gauge.read(step, norm).phase) is not None]
    assert phases(norms) == tuple({phase.found_at: phase for phase in said}.values())


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=40), st.integers(1, 12))
def test_a_baseline_has_the_exact_median_and_spread_of_the_latest(values: list[float], capacity: int) -> None:
    baseline = Baseline(capacity)
    for value in values:
        baseline.add(value)
    latest = values[-capacity:]
    middle = statistics.median_low(latest)
    assert len(baseline) == len(latest)
    assert baseline.median == middle
    assert baseline.sigma == 1.4826 * statistics.median_low(abs(value - middle) for value in latest)


def test_a_trend_goes_on_as_it_has_but_no_faster_than_it_may() -> None:
    for rise in (0.01, -0.01, 0.0, 0.5):
        trend = Trend(Thresholds(trend_points=22, doubling_points=60, doubt_sigmas=0))
        for index in range(40):
            trend.add(rise * index)
        assert len(trend) == 22
        assert trend.expected == pytest.approx(34 * rise + 6 * min(rise, math.log(2) / 60), abs=1e-12)


def test_a_trend_hears_of_an_outlier_nothing() -> None:
    trend = Trend(Thresholds(doubt_sigmas=0))
    for index in range(300):
        trend.add(100.0 if index % 7 == 0 else 0.0)
    assert (trend.expected, trend.sigma) == (0, 0)


def test_a_difference_within_the_scatter_is_no_rise() -> None:
    sure, unsure = Trend(Thresholds(doubt_sigmas=0)), Trend(Thresholds(doubt_sigmas=10))
    for value in np.random.default_rng(1).normal(0, 1, 240):
        sure.add(float(value))
        unsure.add(float(value))
    assert sure.expected != unsure.expected
    assert unsure.expected == pytest.approx(0, abs=0.3)
    assert sure.sigma == pytest.approx(1, abs=0.2)


def test_a_rule_can_end_on_a_window_without_anything_raised() -> None:
    rule = PhaseRule(Thresholds(window_steps=4, begin_steps=3, end_steps=0))
    said = [rule.read(step, 2.0 if step < 3 else 0.0, 5.0) for step in range(8)]
    assert [phase.end for phase in said if phase] == [None] * 4 + [3]
    assert said[-1] is None


# Beside the known rules, on seeds that no threshold was chosen on


def test_on_held_out_seeds_it_finds_every_phase_soon_and_stops_nothing_else() -> None:
    result = bench_guard.tally(bench_guard.ours, bench_guard.made(8, 10, 10))
    assert (result.truths, result.clean_steps) == (48, 150_000)
    assert len(result.delays) == result.truths
    assert result.delay(0.5) <= 30
    assert result.false_per_100k <= 1
    assert result.early_found == result.early
    assert result.spikes_flagged > 0.8 * result.spikes
    assert result.steps_held > 0.95 * result.steps_in_found


def test_a_rolling_rule_swallows_a_long_phase_that_ours_holds_to_its_end() -> None:
    norms = raised(noisy(15, 8000), 3000, 5999, 10)
    rival = next(rival for rival in bench_guard.RIVALS if rival.name == "rolling log median")
    read = replace(rival, limit=0.75).reader()
    known = [read(step, norm)[1] for step, norm in enumerate(norms)]
    (theirs,) = {phase.found_at: phase for phase in known if phase is not None}.values()
    assert 3000 <= theirs.found_at < 3100
    assert theirs.end is not None
    assert theirs.end < 4500
    (own,) = phases(norms)
    assert (own.start, own.end) == (3000, 5999)


def test_the_two_sets_of_seeds_share_none() -> None:
    assert bench_guard.TUNING + 3 * bench_guard.CLEAN <= bench_guard.HELD_OUT
    assert next(bench_guard.made(1, 0, 0)).seed == bench_guard.HELD_OUT
    assert next(bench_guard.made(0, 1, 0)).seed == bench_guard.HELD_OUT + bench_guard.CLEAN


def test_the_same_seed_gives_the_same_series() -> None:
    one, other = gradient_series.exploding(5), gradient_series.exploding(5)
    np.testing.assert_array_equal(one.norms, other.norms)
    assert one.truths == other.truths
    assert not np.array_equal(one.norms, gradient_series.exploding(6).norms)
    assert gradient_series.clean(5).truths == ()
