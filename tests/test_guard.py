from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.run_spec import Guard as Limits
from kanjiprep.training.running import guard
from kanjiprep.training.running.events import Alert, Step, Validation
from kanjiprep.training.running.guard import Guard, Surroundings
from tests.test_events import step

GIB = 2**30


def watching(prompts: int = 2, usd_per_hour: float | None = None, **limits: Any) -> Guard:
    return Guard(Limits(**limits), prompts, usd_per_hour)


def calm(count: int, start: int = 1, level: float = 0.01) -> list[Step]:
    noise = np.random.default_rng(start).normal(0, 0.1, count)
    return [step(start + index, gradient=float(level * math.exp(one))) for index, one in enumerate(noise)]


def told(alerts: Iterable[Alert]) -> list[tuple[str, str, int]]:
    return [(one.about, one.severity, one.step) for one in alerts]


def surroundings(**changes: Any) -> Surroundings:
    return Surroundings(
        **{"silent_s": 0.0, "free_bytes": 100 * GIB, "checkpoint_bytes": GIB, "spent_s": 0.0} | changes
    )


# Steps


def test_a_calm_run_is_left_in_peace() -> None:
    assert watching().steps(calm(2000)) == []


def test_one_high_gradient_is_a_note() -> None:
    (alert,) = watching().steps([*calm(100), step(101, gradient=0.5), *calm(100, 102)])
    assert (alert.about, alert.severity, alert.step, alert.since_step) == ("spike", "note", 101, 101)
    assert alert.text.startswith("the gradient was ")
    assert alert.text.endswith(" times its usual level for a step")
    assert 40 < float(alert.text.split()[3]) < 60


def test_an_explosion_is_told_at_its_beginning_and_at_its_end() -> None:
    alerts = watching().steps([*calm(200), *calm(100, 201, 0.4), *calm(100, 301)])
    begin, end = [one for one in alerts if one.about == "explosion"]
    assert (begin.severity, begin.since_step) == ("error", 201)
    assert 201 < begin.step <= 221
    assert begin.text.startswith("the gradient is up to ")
    assert begin.text.endswith(" times its usual level since step 201, at a learning rate of 0.0001")
    assert (end.severity, end.text) == ("note", "the explosion since step 201 is over")
    assert 300 < end.step <= 320
    assert {one.about for one in alerts if one.step >= begin.step} == {"explosion"}


def test_a_second_explosion_is_told_as_well() -> None:
    series = [*calm(200), *calm(60, 201, 0.4), *calm(200, 261), *calm(60, 461, 0.4)]
    begun = [one for one in watching().steps(series) if (one.about, one.severity) == ("explosion", "error")]
    assert [one.since_step for one in begun] == [201, 461]


def test_gradients_that_are_not_finite_are_an_explosion_too() -> None:
    bad = [step(201 + index, gradient=None) for index in range(20)]
    (begin,) = [one for one in watching().steps([*calm(200), *bad]) if one.about == "explosion"]
    assert begin.text == "the gradient is not finite since step 201, at a learning rate of 0.0001"


def test_a_loss_that_is_not_finite_is_an_error_at_once() -> None:
    assert watching().steps([step(1), step(2, loss=None)]) == [
        Alert("non-finite", "error", 2, "the loss is not finite", 2)
    ]


def test_without_any_gradient_the_loss_is_judged() -> None:
    losses = [step(one.step, loss=one.gradient, gradient=None) for one in [*calm(200), *calm(60, 201, 0.4)]]
    alerts = watching().steps(losses)
    begin = next(one for one in alerts if one.about == "explosion")
    assert begin.text.startswith("the loss is up to ")
    assert begin.since_step == 201
    assert watching().steps(losses[:200]) == []


def test_a_rate_that_is_not_known_is_not_told() -> None:
    high = [step(one.step, gradient=one.gradient, learning_rate=None) for one in calm(60, 201, 0.4)]
    begin = next(one for one in watching().steps([*calm(200), *high]) if one.about == "explosion")
    assert begin.text.endswith("since step 201")


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.009, 0.01, 0.011, 0.4, 0.5, None]),
        st.integers(1, 30),
        st.sampled_from([0.5, 0.5, 0.5, None]),
    ),
    max_size=12,
)


def _series(runs: list[tuple[float | None, int, float | None]]) -> list[Step]:
    flat = [(gradient, loss) for gradient, count, loss in runs for _ in range(count)]
    return [step(number, loss, gradient) for number, (gradient, loss) in enumerate(flat, 1)]


@given(_STEPS, st.lists(st.integers(0, 300)))
def test_the_same_steps_give_the_same_verdicts_however_they_are_portioned(
    runs: list[tuple[float | None, int, float | None]], cuts: list[int]
) -> None:
    series, whole, portioned = _series(runs), watching(), watching()
    edges = sorted({0, len(series), *(cut for cut in cuts if cut <= len(series))})
    pieces = [alert for start, end in pairwise(edges) for alert in portioned.steps(series[start:end])]
    assert pieces == whole.steps(series)
    assert portioned.trouble_since() == whole.trouble_since()


@given(_STEPS, st.integers(0, 300))
def test_what_is_recalled_is_known_and_not_told_again(
    runs: list[tuple[float | None, int, float | None]], cut: int
) -> None:
    series, whole, recalling = _series(runs), watching(), watching()
    recalling.recall(series[:cut])
    whole.steps(series[:cut])
    assert recalling.steps(series[cut:]) == whole.steps(series[cut:])


def test_what_is_told_after_an_alert_bears_the_step_that_was_last() -> None:
    watcher = watching()
    watcher.steps(calm(7))
    assert told(watcher.surroundings(surroundings(silent_s=1e9))) == [("stall", "error", 7)]


# Where the trouble began


@pytest.mark.parametrize(
    ("gradients", "since"),
    [
        ([], 1),
        ([0.0014], 2),
        ([0.0014, 0.051], 2),
        ([0.0014, 0.051, 0.9], 2),
        ([0.0014, 0.0015, 0.0013], 4),
        ([0.01, 0.011, 0.009, 0.01, 0.2, 0.4], 5),
        ([0.01, 0.011, 0.2, 0.01], 5),
        ([0.01, 0.011, None], 3),
        ([0.01, 0.011, 0.4, None], 3),
        ([0.01, None, None], 2),
    ],
)
def test_the_trouble_that_a_trainer_died_of_began_where_its_last_steps_rose(
    gradients: list[float | None], since: int
) -> None:
    watcher = watching()
    watcher.steps(step(number, gradient=gradient) for number, gradient in enumerate(gradients, 1))
    assert watcher.trouble_since() == since


def test_the_trouble_of_a_run_that_goes_on_begins_with_its_own_numbers() -> None:
    watcher = watching()
    watcher.steps([step(41), step(42)])
    assert watcher.trouble_since() == 43


def test_in_an_explosion_the_trouble_began_with_it() -> None:
    watcher = watching()
    watcher.steps([*calm(200), *calm(40, 201, 0.4)])
    assert watcher.trouble_since() == 201


def test_the_first_step_of_trouble_is_that_of_the_last_error_of_the_weights() -> None:
    alerts = [
        Alert("explosion", "error", 30, "", 21),
        Alert("non-finite", "error", 60, "", 55),
        Alert("explosion", "note", 70, "", 65),
        Alert("picture", "warning", 80, "", 80),
        Alert("disk", "error", 90, "", 90),
    ]
    assert guard.began(alerts, 99) == 55
    assert guard.began(alerts[:1], 99) == 21
    assert guard.began(alerts[2:], 99) == 99
    assert guard.began([Alert("picture", "error", 80, "", 80)], 99) == 80


# Pictures


def pictures(number: int, *faults: str) -> list[Validation]:
    return [Validation(number, f"p{index}", "", (one,) if one else ()) for index, one in enumerate(faults)]


@pytest.mark.parametrize(
    ("rounds", "verdicts"),
    [
        ([pictures(4, "", "")], []),
        ([pictures(4, "black", "")], [("picture", "warning")]),
        ([pictures(4, "black", "noise")], [("picture", "error")]),
        ([pictures(4, "black", ""), pictures(8, "black", "")], [("picture", "warning")] * 2),
        ([pictures(4, "black")], []),
    ],
    ids=["good", "one bad", "all bad", "one bad twice", "half a round"],
)
def test_a_round_of_pictures_is_judged_when_it_is_whole(
    rounds: list[list[Validation]], verdicts: list[tuple[str, str]]
) -> None:
    alerts = watching().pictures(one for several in rounds for one in several)
    assert [(one.about, one.severity) for one in alerts] == verdicts


def test_a_round_is_told_with_its_step_and_what_is_bad() -> None:
    watcher = watching(prompts=6)
    watcher.steps([step(9)])
    (alert,) = watcher.pictures(pictures(8, "black", "", "noise", "black", "black", "blank"))
    text = "5 of 6 pictures have gone bad: p0 (black), p2 (noise), p3 (black), p4 (black)"
    assert alert == Alert("picture", "warning", 8, text, 8)


def test_the_only_picture_is_an_error_when_it_is_bad_twice_running() -> None:
    found = watching(prompts=1).pictures(
        one
        for number, fault in ((4, "black"), (8, ""), (12, "black"), (16, "noise"), (20, "black"), (24, ""))
        for one in pictures(number, fault)
    )
    assert told(found) == [
        ("picture", "warning", 4), ("picture", "warning", 12), ("picture", "error", 16), ("picture", "error", 20),
    ]  # fmt: skip


def test_pictures_of_two_rounds_may_come_in_any_portions() -> None:
    first, second = pictures(4, "black", "black"), pictures(8, "black", "black")
    watcher = watching()
    assert watcher.pictures([first[0]]) == []
    assert watcher.pictures([second[0]]) == []
    assert told(watcher.pictures([first[1], second[1]])) == [("picture", "error", 4), ("picture", "error", 8)]


# Surroundings


@pytest.mark.parametrize(
    ("silences", "verdicts"),
    [
        ([0, 299], []),
        ([300, 310, 599], ["warning"]),
        ([300, 600, 700], ["warning", "error"]),
        ([600, 610], ["error"]),
        ([300, 10, 300], ["warning", "warning"]),
        ([600, 10, 600], ["error", "error"]),
    ],
)
def test_silence_is_told_once_until_there_is_a_sign_of_life(silences: list[float], verdicts: list[str]) -> None:
    watcher = watching(stall_minutes=10)
    found = [alert for one in silences for alert in watcher.surroundings(surroundings(silent_s=one))]
    assert [(one.about, one.severity) for one in found] == [("stall", one) for one in verdicts]


def test_silence_is_told_with_its_length() -> None:
    watcher = watching(stall_minutes=1)
    (warning,) = watcher.surroundings(surroundings(silent_s=31))
    (error,) = watcher.surroundings(surroundings(silent_s=600))
    assert warning.text == "no sign of life for 31 seconds: no step, no file, no line in the log"
    assert error.text == "no sign of life for 10 minutes: no step, no file, no line in the log"


@pytest.mark.parametrize(
    ("free", "verdicts"),
    [
        ([2.0, 100.0], []),
        ([1.5, 1.4], ["warning"]),
        ([1.0], ["warning"]),
        ([1.5, 0.5, 0.4], ["warning", "error"]),
        ([1.5, 5.0, 1.5], ["warning", "warning"]),
        ([0.5, 5.0, 0.5], ["error", "error"]),
        ([None], []),
        ([0.5, None, 0.5], ["error"]),
    ],
)
def test_a_disk_without_room_for_a_checkpoint_is_told_once_until_there_is(
    free: list[float | None], verdicts: list[str]
) -> None:
    watcher = watching()
    sizes = [None if one is None else round(one * GIB) for one in free]
    found = [alert for one in sizes for alert in watcher.surroundings(surroundings(free_bytes=one))]
    assert [(one.about, one.severity) for one in found] == [("disk", one) for one in verdicts]


def test_the_disk_is_told_with_what_is_needed() -> None:
    (alert,) = watching().surroundings(surroundings(free_bytes=GIB // 2, checkpoint_bytes=3 * GIB // 2))
    assert alert.text == "0.50 GiB are free on the disk, and a checkpoint takes 1.50 GiB"


@pytest.mark.parametrize(
    ("limits", "price", "hours", "verdicts"),
    [
        ({"max_hours": 10}, None, [8.9, 9.0, 9.5, 10.0, 11.0], ["warning", "error"]),
        ({"max_hours": 10}, 2.0, [8.9], []),
        ({"max_hours": 10}, None, [9.0], ["warning"]),
        ({"max_hours": 10}, None, [10.0], ["error"]),
        ({"max_usd": 20}, 2.0, [8.9, 9.0, 9.5, 10.0, 11.0], ["warning", "error"]),
        ({"max_usd": 20}, None, [1000.0], []),
        ({"max_usd": 20}, 4.0, [4.4, 6.0], ["error"]),
        ({"max_hours": 10, "max_usd": 20}, 4.0, [5.0], ["error"]),
        ({"max_hours": 10, "max_usd": 40}, 4.0, [9.5], ["warning", "warning"]),
        ({}, 4.0, [1e6], []),
    ],
)
def test_a_budget_is_told_at_ninety_percent_and_when_it_is_used(
    limits: dict[str, Any], price: float | None, hours: list[float], verdicts: list[str]
) -> None:
    watcher = watching(usd_per_hour=price, **limits)
    found = [alert for one in hours for alert in watcher.surroundings(surroundings(spent_s=3600 * one))]
    assert [(one.about, one.severity) for one in found] == [("budget", one) for one in verdicts]


def test_a_budget_is_told_in_its_unit() -> None:
    limits = Limits(max_hours=10, max_usd=2000)
    assert list(guard.shares(limits, 9_000, 500.0)) == [
        (0.25, "2.5 of at most 10 hours are used"),
        (0.625, "$1,250.00 of at most $2,000.00 are spent"),
    ]


def test_one_look_may_tell_of_several_troubles() -> None:
    watcher = watching(max_hours=1)
    found = watcher.surroundings(surroundings(silent_s=1e9, free_bytes=0, spent_s=3600))
    assert told(found) == [("stall", "error", 0), ("disk", "error", 0), ("budget", "error", 0)]
