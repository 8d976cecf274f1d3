from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.run_spec import Guard
from kanjiprep.training.running import standing, view
from kanjiprep.training.running.events import Alert, Exit, Stage
from kanjiprep.training.running.files import Pulse
from kanjiprep.training.running.standing import Facts
from kanjiprep.training.running.view import View
from tests.test_attempts import order
from tests.test_events import TRAINER, attempt, moment, step
from tests.test_run_state import Timed, checkpoint, picture, state_of

FACTS: Final = Facts(
    now=moment(1000),
    is_held=True,
    has_trainer=True,
    is_copy=False,
    is_complete=False,
    pulse=Pulse("running", 1, TRAINER, TRAINER, moment(997)),
    free_bytes=10**11,
    gpus=(),
    planned=(),
    log=(),
)
GONE: Final[dict[str, Any]] = {"is_held": False, "has_trainer": False}


def facts(beat: str = "running", **changes: Any) -> Facts:
    return replace(FACTS, pulse=replace(FACTS.pulse, status=beat), **changes)  # type: ignore[type-var]


def seen(*timed: Timed, about: Facts = FACTS, **changes: Any) -> View:
    return view.view("/runs/mine", state_of(*timed), order(steps_per_epoch=25, **changes), about)


def ended(status: Any) -> tuple[Timed, ...]:
    return ((0, attempt()), (10, step(1)), (20, Exit(status, -15, "so it was", 1)))


# Status


@pytest.mark.parametrize(
    ("timed", "about", "status"),
    [
        ((), facts("starting"), "starting"),
        ((), replace(FACTS, pulse=None), "starting"),
        (((0, attempt()),), facts("running"), "running"),
        (((0, attempt()),), facts("stopping"), "stopping"),
        (((0, attempt()),), facts("running", has_trainer=False), "running"),
        (ended("stopped"), facts("over"), "stopped"),
        (ended("stopped"), facts("running"), "running"),
        (ended("stopped"), facts("starting"), "starting"),
        (ended("rolled back"), facts("running"), "running"),
        (ended("rolled back"), facts("over"), "starting"),
        ((), facts("over"), "starting"),
        (ended("completed"), facts(**GONE), "completed"),
        (ended("stopped"), facts(**GONE), "stopped"),
        (ended("guard"), facts(**GONE), "guard"),
        (ended("limit"), facts(**GONE), "limit"),
        (ended("failed"), facts(**GONE), "failed"),
        (ended("failed"), facts(**GONE, is_copy=True), "failed"),
        (((0, attempt()),), facts(is_held=False), "unwatched"),
        ((), replace(FACTS, is_held=False, has_trainer=False, pulse=None), "not started"),
        (((0, attempt()),), facts(**GONE), "lost"),
        (ended("rolled back"), facts(**GONE), "lost"),
        (((0, attempt()),), facts(**GONE, is_complete=True), "completed"),
        (((0, attempt()),), facts(**GONE, is_complete=True, is_copy=True), "completed"),
        (((0, attempt()),), facts(**GONE, is_copy=True), "copy"),
    ],
)
def test_the_status_is_what_can_be_seen(timed: tuple[Timed, ...], about: Facts, status: str) -> None:
    assert standing.status_of(state_of(*timed), about) == status
    assert seen(*timed, about=about).status == status


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("stopped", 130), ("guard", 8), ("limit", 7), ("failed", 6)]
)
def test_how_it_ended_has_its_exit_code_and_reason(status: str, code: int) -> None:
    found = seen(*ended(status), about=facts(**GONE))
    assert (found.exit_code, found.reason, found.progress.eta_s, found.money.left_h) == (
        code,
        "so it was",
        None,
        None,
    )


def test_a_lost_run_has_failed_and_one_that_goes_on_has_no_exit_code() -> None:
    lost = seen((0, attempt()), (1, step(1)), about=facts(**GONE))
    assert (lost.exit_code, lost.progress.eta_s) == (6, None)
    for about in (FACTS, facts(is_held=False), facts(**GONE, is_copy=True)):
        assert seen((0, attempt()), about=about).exit_code is None
    assert seen(about=facts(**GONE)).exit_code is None


@pytest.mark.parametrize(
    ("timed", "about", "says"),
    [
        (((0, attempt()),), facts(is_held=False), ("--resume", "kanjiprep stop /runs/mine")),
        (((0, attempt()),), facts(**GONE), ("go on with kanjiprep launch-simpletuner /runs/mine --resume",)),
        ((), facts(**GONE), ("go on with kanjiprep launch-simpletuner /runs/mine --resume",)),
        (ended("stopped"), facts(**GONE), ("go on with kanjiprep launch-simpletuner /runs/mine --resume",)),
        (ended("limit"), facts(**GONE), ("/runs/mine --resume", "--max-hours or --max-usd")),
        (ended("guard"), facts(**GONE), ("mend that, then kanjiprep launch-simpletuner /runs/mine --resume",)),
        (
            ((0, attempt()), (1, Alert("explosion", "error", 9, "", 5)), (2, Exit("guard", None, "", 9))),
            facts(**GONE),
            ("kanjiprep launch-simpletuner /runs/mine --resume --guard rollback",),
        ),
        (ended("failed"), facts(**GONE), ("mend that, then kanjiprep launch-simpletuner /runs/mine --resume",)),
        (
            ((0, attempt()), (1, Exit("failed", 1, "", 0))),
            facts(**GONE),
            ("mend that, and launch under another --name",),
        ),
        (ended("completed"), facts(**GONE), ("judge its checkpoints with kanjiprep score /runs/mine",)),
        (
            ((0, attempt()),),
            facts(**GONE, is_complete=True),
            ("judge its checkpoints with kanjiprep score /runs/mine",),
        ),
    ],
)
def test_the_advice_is_what_can_be_done_next(timed: tuple[Timed, ...], about: Facts, says: tuple[str, ...]) -> None:
    advice = seen(*timed, about=about).advice
    for phrase in says:
        assert phrase in advice


def test_a_run_that_goes_well_needs_no_advice() -> None:
    assert seen((0, attempt())).advice == ""


# Progress


def test_a_run_before_its_first_step_shows_its_stage() -> None:
    found = seen((0, attempt()), (5, Stage("caching pictures", 3, 24)))
    assert (found.progress.stage, found.progress.stage_done, found.progress.stage_total) == (
        "caching pictures",
        3,
        24,
    )
    assert (found.progress.step, found.progress.total_steps, found.progress.epochs) == (0, 100, 4)
    assert (found.progress.epoch, found.progress.step_s, found.progress.eta_s) == (None, None, None)
    assert (found.loss.points, found.gradient.last, found.rate.now) == ((), None, None)
    assert (found.made.checkpoint, found.made.validation, found.made.checkpoints) == (None, None, 0)


def test_the_time_to_go_has_pictures_and_checkpoints_in_it() -> None:
    found = seen((0, attempt()), (10, step(1)), (12, step(2)), (90, step(41)), about=facts())
    assert (found.progress.step_s, found.progress.eta_s) == (2.0, 2.0 * 59)
    assert found.money.left_h == pytest.approx(2.0 * 59 / 3600)
    slow = seen((0, attempt()), (10, step(1)), (18, step(3)), (66, step(11)), about=facts())
    assert slow.progress.eta_s == 5.6 * 89


def test_the_time_to_go_is_not_told_before_an_attempt_has_a_pace() -> None:
    resumed = attempt(number=2, why="resume", from_step=40)
    assert seen((0, resumed)).progress.eta_s is None
    assert seen((0, resumed), (10, step(41))).progress.eta_s is None
    assert seen((0, resumed), (10, step(41)), (12, step(42))).progress.eta_s is None
    assert seen((0, resumed), (10, step(41)), (12, step(42)), (14, step(43))).progress.eta_s == 2.0 * 57


def test_a_run_that_is_being_stopped_has_no_time_to_go() -> None:
    timed = ((0, attempt()), (10, step(1)), (12, step(2)), (14, step(3)))
    assert seen(*timed, about=facts("stopping")).progress.eta_s is None


def test_more_steps_than_were_planned_leave_nothing_to_do() -> None:
    assert seen((0, attempt()), (10, step(99)), (12, step(101))).progress.eta_s == 0


def test_the_seconds_of_a_step_are_the_median_of_the_latest() -> None:
    steps = [step(number, seconds=9.0) for number in range(1, 60)]
    steps += [step(number, seconds=seconds) for number, seconds in enumerate([1.0] * 24 + [60.0] + [None] * 25, 60)]
    assert view.step_s(steps) == 1.0
    assert view.step_s([step(1, seconds=None)]) is None


def test_the_attempt_is_told_with_its_reason_and_all_that_was_rolled_back() -> None:
    found = seen((0, attempt()), (9, attempt(number=2, why="rollback")), (20, attempt(number=3, why="resume")))
    assert (found.attempt, found.why, found.rollbacks) == (3, "resume", 1)
    assert (seen().attempt, seen().why) == (0, "")


# Numbers over the steps


def test_a_number_is_shown_smoothed_and_as_it_is() -> None:
    found = view.series([1.0, 2.0, 4.0])
    assert found == view.Series(4.0, 1.05 + 0.05 * (4.0 - 1.05), (1.0, 2.0, 4.0))
    assert view.series([]) == view.Series(None, None, ())


def test_what_is_not_finite_is_shown_and_does_not_spoil_the_mean() -> None:
    found = view.series([None, 1.0, None, 2.0, None])
    assert (found.last, found.smooth) == (None, 1.05)
    assert found.points == (None, 1.0, None, 2.0, None)
    assert view.series([None]) == view.Series(None, None, (None,))


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=1000))
def test_a_long_series_is_shown_in_some_two_hundred_points(values: list[float | None]) -> None:
    found = view.series(values)
    assert len(found.points) == min(240, len(values))
    assert (None in found.points) == (None in values)
    known = [value for value in values if value is not None]
    assert all(min(known) - 1e-6 <= point <= max(known) + 1e-6 for point in found.points if point is not None)


@pytest.mark.parametrize("count", [1, 2, 239, 240, 241, 32_071])
def test_a_thinned_curve_keeps_its_ends(count: int) -> None:
    rates = [float(number) for number in range(count)]
    found = view.thinned(rates)
    assert (found[0], found[-1], len(found)) == (0.0, count - 1.0, min(240, count))
    assert list(found) == sorted(set(found))


def test_no_curve_is_thinned_to_none() -> None:
    assert view.thinned(()) == ()


def test_the_rate_is_shown_with_the_curve_of_its_attempt_and_how_much_is_behind() -> None:
    planned = [1e-4 * (60 - number) / 60 for number in range(61)]
    back = attempt(number=2, why="rollback", base_step=40, from_step=40)
    found = seen((0, back), (1, step(55, learning_rate=7.5e-5)), about=facts(planned=planned)).rate
    assert (found.now, found.share, found.planned) == (7.5e-5, 15 / 60, tuple(planned))
    assert seen((0, back), about=facts(planned=planned)).rate.share == 0
    assert seen((0, back), (1, step(200)), about=facts(planned=planned)).rate.share == 1
    assert seen((0, back), (1, step(41))).rate == view.Rate(1e-4, (), 0.0)


# Money


def money(*timed: Timed, about: Facts = FACTS, **changes: Any) -> view.Money:
    return seen(*timed, about=about, **changes).money


def test_hours_are_spent_up_to_this_moment_while_the_trainer_runs() -> None:
    timed: tuple[Timed, ...] = ((0, attempt()), (100, step(1)))
    assert money(*timed, about=facts(now=moment(460))).spent_h == pytest.approx(460 / 3600)
    assert money(*timed, about=facts(now=moment(460), has_trainer=False)).spent_h == pytest.approx(100 / 3600)
    over = (*timed, (190.0, Exit("stopped", -15, "", 1)))
    assert money(*over, about=facts(now=moment(460))).spent_h == pytest.approx(190 / 3600)
    assert money(about=facts(now=moment(460))).spent_h == 0


def test_dollars_are_hours_times_the_price() -> None:
    timed: tuple[Timed, ...] = ((0, attempt()), (3600, step(1)), (7200, step(11)))
    limits = Guard(max_hours=20, max_usd=30)
    found = money(*timed, about=facts(now=moment(7200)), usd_per_hour=1.5, price_source="Lambda", guard=limits)
    assert (found.spent_h, found.spent_usd) == (2.0, 3.0)
    assert found.left_h == pytest.approx(8.9)
    assert found.left_usd == pytest.approx(13.35)
    assert (found.usd_per_hour, found.price_source, found.max_hours, found.max_usd) == (1.5, "Lambda", 20, 30)


def test_without_a_price_or_a_pace_there_are_no_dollars() -> None:
    assert money((0, attempt())).spent_usd is None
    found = money((0, attempt()), usd_per_hour=2.0)
    assert (found.left_h, found.left_usd) == (None, None)
    assert found.spent_usd == pytest.approx(2.0 * 1000 / 3600)


# All else


def test_what_was_made_is_shown_with_the_room_for_more() -> None:
    found = seen((0, attempt()), (1, checkpoint(4, 2048)), (2, checkpoint(8, 4096)), (3, picture(8))).made
    assert (found.checkpoint, found.checkpoints, found.checkpoint_bytes) == (checkpoint(8, 4096), 2, 4096)
    assert (found.validation, found.free_bytes) == (picture(8), 10**11)
    assert seen((0, attempt()), checkpoint_bytes=77).made.checkpoint_bytes == 77


def test_the_latest_alerts_are_shown_and_all_are_counted() -> None:
    alerts = [Alert("spike", "note", number, "high", number) for number in range(1, 9)]
    found = seen((0, attempt()), *((1.0, alert) for alert in alerts))
    assert (found.alerts, found.alert_count) == (tuple(alerts[3:]), 8)


def test_the_sign_of_life_has_its_age() -> None:
    assert seen((0, attempt())).beat_age_s == 3
    assert seen((0, attempt()), about=replace(FACTS, pulse=None)).beat_age_s is None


def test_what_was_looked_up_is_passed_on() -> None:
    found = seen((0, attempt()), about=facts(log=("oh no",)))
    assert (found.run, found.log, found.gpus, found.unreadable) == ("/runs/mine", ("oh no",), (), 0)
