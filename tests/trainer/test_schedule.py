"""Steps and learning rates, against SimpleTuner's own objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kanjiprep.training import curve, pictures, schedule
from kanjiprep.training.curve import Scheduler
from kanjiprep.training.schedule import Portions

pytestmark = pytest.mark.trainer

Ask = Callable[..., Any]
TOTAL = 400
PEAK, END = 1.05e-3, 4e-7


def theirs(ask: Ask, scheduler: Scheduler) -> Any:
    found: Any = ask(
        what="rates",
        name=scheduler.name,
        total=scheduler.total_steps,
        warmup=scheduler.warmup_steps,
        peak=scheduler.peak,
        end=scheduler.end,
        power=scheduler.power,
        gpus=scheduler.gpus,
    )
    return found


@pytest.mark.parametrize("gpus", [1, 2, 8])
@pytest.mark.parametrize("warmup", [0, 1, 37, 100, 399, 400])
@pytest.mark.parametrize("name", curve.SCHEDULERS)
def test_every_rate_of_every_scheduler_is_the_trainers_own(ask: Ask, name: str, warmup: int, gpus: int) -> None:
    power = 0.8 if name == "polynomial" else 1.0
    total = TOTAL if warmup < TOTAL or name == "cosine" else TOTAL + 1
    scheduler = Scheduler(name, total, warmup, PEAK, END, power, gpus)
    real = theirs(ask, scheduler)
    if warmup == 0 and name in ("sine", "cosine_with_restarts"):
        assert real == "refused"
        with pytest.raises(ValueError, match="needs lr_warmup_steps above 0"):
            curve.rates(scheduler)
        return
    ours = curve.rates(scheduler)
    assert len(ours) == len(real) == total + 1
    assert max(abs(a - b) / max(b, 1e-30) for a, b in zip(ours, real, strict=True)) < 1e-6


def test_the_users_own_curve_is_the_trainers_for_all_of_its_steps(ask: Ask) -> None:
    scheduler = Scheduler("cosine", 32_070, 3600, PEAK, END)
    assert curve.rates(scheduler) == theirs(ask, scheduler)


def test_a_cosine_that_falls_once_is_one_for_the_trainer_too(ask: Ask) -> None:
    real = theirs(ask, Scheduler("cosine", 1000, 1000, PEAK, END))
    assert (real[0], real[-1]) == (PEAK, END)
    assert real == sorted(real, reverse=True)


buckets = st.dictionaries(st.sampled_from(["1.0", "0.5", "0.78", "1.33", "2.0"]), st.integers(1, 700), min_size=1)


@settings(max_examples=300)
@example({"1.0": 6413}, 6, 1, 1, 0)
@example({"1.0": 6414}, 6, 2, 8, 1)
@example({"1.0": 5}, 6, 1, 1, 0)
@given(buckets, st.integers(1, 16), st.integers(1, 5), st.integers(1, 8), st.integers(0, 4))
def test_steps_of_an_epoch_are_the_trainers_own_count(
    ask: Ask, sizes: dict[str, int], batch: int, accumulation: int, gpus: int, repeats: int
) -> None:
    portions = Portions(batch, accumulation, gpus, repeats)
    real = ask(what="steps", buckets=sizes, batch=batch, accumulation=accumulation, gpus=gpus, repeats=repeats)
    per_epoch = schedule.steps_per_epoch(sizes, portions)
    if schedule.short_buckets(sizes, portions):
        assert real == "Dataset configuration will produce zero usable batches."
    else:
        assert real == [per_epoch, 3 * per_epoch]


@settings(max_examples=200)
@given(st.integers(64, 3000), st.integers(64, 3000), st.sampled_from([256, 512, 768, 1024]))
def test_pictures_fall_into_the_trainers_buckets(ask: Ask, width_px: int, height_px: int, size_px: int) -> None:
    real = ask(what="bucket", width_px=width_px, height_px=height_px, resolution_px=size_px)
    assert pictures.bucket(width_px, height_px, size_px) == real
