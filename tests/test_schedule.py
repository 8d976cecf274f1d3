from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training import schedule
from kanjiprep.training.run_spec import Checkpoints, Machine, RunSpec, Training
from kanjiprep.training.schedule import Portions

PUBLISHED = {"1.0": 6413}


def spec(**changes: int) -> RunSpec:
    gpus = changes.pop("gpus", 1)
    return RunSpec(training=replace(Training(batch=6), **changes), machine=Machine(gpus=gpus))  # type: ignore[arg-type]


def test_thirty_epochs_of_the_published_dataset_are_what_the_trainer_counts() -> None:
    steps = schedule.count(spec(epochs=30, steps_by_hand=36_000), PUBLISHED)
    assert (steps.per_epoch, steps.total) == (1069, 32_070)
    assert (steps.textbook, steps.by_hand, steps.epochs) == (32_065, 36_000, 30.0)


def test_steps_set_by_hand_are_told_as_epochs() -> None:
    steps = schedule.count(spec(steps=36_000), PUBLISHED)
    assert steps.total == 36_000
    assert steps.epochs == pytest.approx(33.68, abs=0.005)
    assert steps.textbook == 35_994


@pytest.mark.parametrize(
    ("portions", "per_epoch"),
    [
        (Portions(6, gpus=2), 535),
        (Portions(6, gpus=8), 134),
        (Portions(6, accumulation=2), 535),
        (Portions(6, repeats=1), 2138),
    ],
)
def test_gpus_accumulation_and_repeats_count_as_the_trainer_has_them(portions: Portions, per_epoch: int) -> None:
    assert schedule.steps_per_epoch(PUBLISHED, portions) == per_epoch


def test_a_bucket_that_fills_no_step_stops_the_trainer() -> None:
    steps = schedule.count(spec(epochs=1, gpus=2, accumulation=2), {"1.0": 100, "0.5": 7})
    assert steps.short_buckets == {"0.5": 7}
    assert schedule.short_buckets({"0.5": 7}, Portions(6, repeats=3, accumulation=4)) == {}


def test_checkpoints_come_by_steps_or_by_epochs() -> None:
    assert schedule.checkpoint_interval(Checkpoints(every_steps=600), 1069) == 600
    assert schedule.checkpoint_interval(Checkpoints(every_epochs=2), 1069) == 2138


@given(
    st.dictionaries(st.text("0123456789.", min_size=1), st.integers(1, 500), min_size=1, max_size=5),
    st.integers(1, 16),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_every_picture_has_its_place_in_an_epoch(
    buckets: dict[str, int], batch: int, accumulation: int, repeats: int
) -> None:
    portions = Portions(batch, accumulation, 1, repeats)
    per_epoch = schedule.steps_per_epoch(buckets, portions)
    seen = sum(buckets.values()) * (repeats + 1)
    assert seen <= per_epoch * portions.pictures_a_step
    assert per_epoch * portions.pictures_a_step < seen + portions.pictures_a_step + batch * len(buckets)
