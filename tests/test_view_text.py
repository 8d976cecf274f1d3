from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanjiprep.training.run_spec import Guard
from kanjiprep.training.running import view_text
from kanjiprep.training.running.events import Alert, Exit, Stage
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.view import Made, Money, Progress, View
from tests.test_events import attempt, moment, step
from tests.test_run_state import checkpoint, picture
from tests.test_view import FACTS, GONE, ended, facts, seen

A100 = Gpu("NVIDIA A100", "535", 0.97, 30 * 2**30, 40 * 2**30, 61.4, 390.25)


def lines(found: View) -> list[str]:
    return list(view_text.lines(found))


def test_a_run_that_goes_on_in_all_its_lines() -> None:
    found = seen(
        (0, attempt()),
        (10, Stage("training", None, None)),
        (20, step(1, loss=0.8, gradient=0.001)),
        (24, step(3, loss=0.4, gradient=0.1)),
        (23, checkpoint(2, 1_500_000)),
        (24, picture(2)),
        (24, Alert("spike", "note", 2, "the gradient was 100.0 times its usual level for a step", 2)),
        about=facts(planned=(1e-4, 5e-5, 0.0), gpus=(A100,), now=moment(3624)),
        usd_per_hour=1.29,
        price_source="Lambda",
        guard=Guard(max_hours=10, max_usd=20),
    )
    assert lines(found) == [
        "run        /runs/mine",
        "status     running, last sign of life 43 min 47 s ago (late)",
        "progress   3 of 100 steps (3.0%), 3 min 14 s to go, 2 s a step, epoch 1 of 4",
        "stage      training",
        "loss       0.4 now, 0.78 smoothed          █▁",
        "gradient   0.1 now, 0.00595 smoothed       ▁█",
        "rate       0.0001 now                      █▅▁|",
        "money      1 h 0 min spent, 3 min 14 s to come, at most 10 h; "
        "$1.30 spent, $0.07 to come, at most $20.00 ($1.29 an hour, Lambda)",
        "disk       100 GB free, a checkpoint takes 1.5 MB",
        "gpu        NVIDIA A100, 97% busy, 30.0 of 40.0 GiB, 61 degrees, 390 W",
        "checkpoint output/checkpoint-2, step 2, 1.5 MB, 1 made",
        "picture    output/validation_images/step_2_mountains_0_256x256.png",
        "note       spike at step 2: the gradient was 100.0 times its usual level for a step",
    ]


def test_a_run_before_its_first_step_in_all_its_lines() -> None:
    found = seen((0, attempt()), (5, Stage("caching pictures", 1200, 6414)), about=facts(planned=(0.0, 1e-4)))
    assert lines(found) == [
        "run        /runs/mine",
        "status     running, last sign of life 3 s ago",
        "progress   0 of 100 steps (0.0%)",
        "stage      caching pictures, 1,200 of 6,414",
        "rate       not begun                       |▁█",
        "money      16 min 40 s spent",
        "disk       100 GB free, a checkpoint takes 0 MB",
    ]


def test_a_failed_run_with_its_log() -> None:
    found = seen(
        (0, attempt()), (1, step(1)), (2, Exit("failed", 1, "CUDA out of memory", 1)),
        about=facts("over", **GONE, free_bytes=None, log=("one", "two")),
    )  # fmt: skip
    assert lines(replace(found, unreadable=2)) == [
        "run        /runs/mine",
        "status     failed: CUDA out of memory",
        "progress   1 of 100 steps (1.0%), 2 s a step, epoch 1 of 4",
        "loss       0.5 now, 0.5 smoothed           ▁",
        "gradient   0.01 now, 0.01 smoothed         ▁",
        "money      2 s spent",
        "record     2 lines could not be understood and are left out",
        "log        one",
        "log        two",
    ]


def test_what_is_not_finite_is_said_and_drawn_as_a_gap() -> None:
    found = seen((0, attempt()), (1, step(1)), (2, step(2, gradient=None)), (3, step(3, loss=None, gradient=None)))
    assert [line for line in lines(found) if line[:4] in ("loss", "grad")] == [
        "loss       not finite now, 0.5 smoothed    ▁▁×",
        "gradient   not finite now, 0.01 smoothed   ▁××",
    ]
    assert " | loss 0.5 | gradient 0.01 | " in view_text.line(found)


def test_a_run_that_was_never_finite_is_shown_too() -> None:
    found = seen((0, attempt()), (1, step(1, loss=None, gradient=None, learning_rate=None, seconds=None, epoch=None)))
    assert "loss       not finite now, not finite smoothed ×" in lines(found)
    assert view_text.line(found) == "1 of 100 steps (1.0%) | loss not finite | gradient not finite"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (seen(about=facts("starting")), "starting, last sign of life 3 s ago"),
        (seen((0, attempt(number=2, why="rollback"))), "running, attempt 2 (rollback), last sign of life 3 s ago"),
        (seen(about=replace(FACTS, pulse=None)), "starting"),
        (
            seen((0, attempt()), about=facts(is_held=False)),
            "the supervisor is gone, and the trainer goes on without it",
        ),
        (seen((0, attempt()), about=facts(**GONE)), "supervisor and trainer are gone, and nobody saw the end"),
        (seen(about=replace(FACTS, is_held=False, has_trainer=False, pulse=None)), "rendered, and never started"),
        (seen(*ended("guard"), about=facts(**GONE)), "stopped by the guard: so it was"),
        (seen(*ended("limit"), about=facts(**GONE)), "stopped at its limit: so it was"),
        (seen(*ended("stopped"), about=facts(**GONE)), "stopped: so it was"),
        (seen(*ended("completed"), about=facts(**GONE)), "completed: so it was"),
    ],
)
def test_the_status_is_told_with_what_explains_it(found: View, says: str) -> None:
    assert view_text.status(found) == says


@pytest.mark.parametrize(("age_s", "is_late"), [(30, False), (31, True)])
def test_a_sign_of_life_that_is_old_is_late(age_s: float, is_late: bool) -> None:
    assert view_text.status(replace(seen((0, attempt())), beat_age_s=age_s)).endswith(" (late)") is is_late


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.9, "1 h 0 min"),
        (7_260, "2 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_399.8, "1 d 0 h"),
        (90_000, "1 d 1 h"),
        (100 * 86_400, "100 d 0 h"),
    ],
)
def test_a_length_of_time_is_told_in_the_two_units_that_matter(seconds: float, says: str) -> None:
    assert view_text.span(seconds) == says


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (1_000, "0.001 MB"),
        (99_000_000, "99 MB"),
        (1_540_000_000, "1.54 GB"),
        (62_740_000_000, "62.7 GB"),
        (512_000_000_000, "512 GB"),
        (2_345_678_000_000, "2,346 GB"),
    ],
)
def test_a_size_is_told_as_people_read_it(count: int, says: str) -> None:
    found = replace(seen((0, attempt())), made=Made(None, 0, 0, None, count))
    assert f"disk       {says} free, a checkpoint takes 0 MB" in lines(found)


def progress_of(**changes: Any) -> str:
    plain = Progress("", None, None, 1200, 36_000, 1.5, 33.676, 1.25, None)
    return view_text.progress(replace(seen(), progress=replace(plain, **changes)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "1,200 of 36,000 steps (3.3%), 1.25 s a step, epoch 1.5 of 34"),
        ({"eta_s": 43_500.0}, "1,200 of 36,000 steps (3.3%), 12 h 5 min to go, 1.25 s a step, epoch 1.5 of 34"),
        ({"epochs": 9000.0, "epoch": 300.0}, "1,200 of 36,000 steps (3.3%), 1.25 s a step, epoch 300 of 9,000"),
        ({"step": 0, "total_steps": 0, "epoch": None, "step_s": None}, "0 of 0 steps (0.0%)"),
    ],
)
def test_the_progress_is_one_line(changes: dict[str, Any], says: str) -> None:
    assert progress_of(**changes) == says


def test_a_log_has_the_whole_view_on_one_line() -> None:
    found = seen((0, attempt()), (10, step(1)), (14, step(3)), usd_per_hour=3.6)
    assert view_text.line(found) == (
        "3 of 100 steps (3.0%), 3 min 14 s to go, 2 s a step, epoch 1 of 4"
        " | loss 0.5 | gradient 0.01 | rate 0.0001 | $1.00"
    )


@pytest.mark.parametrize(
    ("spent", "says"),
    [
        (Money(0.5, None, None, "", None, None, None, None), "30 min 0 s spent"),
        (Money(0.5, 1.5, None, "", None, None, 2.5, 9.0), "30 min 0 s spent, 1 h 30 min to come, at most 2.5 h"),
        (
            Money(30.0, None, 1.29, "a table of 2026", 1234.5, None, None, None),
            "1 d 6 h spent; $1,234.50 spent ($1.29 an hour, a table of 2026)",
        ),
    ],
)
def test_money_is_told_as_far_as_it_is_known(spent: Money, says: str) -> None:
    assert view_text.money(spent) == says


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (A100, "NVIDIA A100, 97% busy, 30.0 of 40.0 GiB, 61 degrees, 390 W"),
        (Gpu("Some GPU", "1", None, None, None, None, None), "Some GPU"),
        (Gpu("Some GPU", "1", 0.0, 2**30, None, None, 9.6), "Some GPU, 0% busy, 10 W"),
    ],
)
def test_a_gpu_is_told_as_far_as_the_driver_does(one: Gpu, says: str) -> None:
    assert view_text.gpu(one) == says


def test_a_picture_that_has_gone_bad_is_told_so() -> None:
    bad = replace(picture(8), faults=("black", "noise"))
    found = lines(seen((0, attempt()), (1, bad)))
    assert f"picture    {bad.path}, gone bad: black, noise" in found


def test_steps_are_told_as_progress_and_not_as_a_stage() -> None:
    found = lines(seen((0, attempt()), (1, Stage("training", 12, 100)), (2, step(12))))
    assert "stage      training" in found


def test_the_curve_that_is_behind_is_parted_from_the_one_ahead() -> None:
    planned = tuple(1e-4 * (100 - number) / 100 for number in range(101))
    found = lines(seen((0, attempt()), (1, step(25)), about=facts(planned=planned)))
    (drawn,) = [line for line in found if line.startswith("rate")]
    behind, ahead = drawn[43:].split("|")
    assert (len(behind), len(ahead)) == (9, 27)
    assert (behind[0], ahead[-1]) == ("█", "▁")
