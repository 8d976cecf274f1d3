from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from kanjiprep.training.running import monitor
from kanjiprep.training.running.events import Alert, Event, Exit, Stage
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.monitor import Lines
from kanjiprep.training.running.standing import Facts
from kanjiprep.training.running.view import View
from tests.test_events import attempt, step
from tests.test_run_state import checkpoint, picture
from tests.test_view import FACTS, GONE, facts, seen

BEGUN = (0.0, attempt())


class Views:
    """A window that shows certain views in turn."""

    def __init__(self, *views: View) -> None:
        self._views: Iterator[View] = iter(views)

    def look(self) -> View:
        return next(self._views)


def watched(*views: View) -> tuple[View, list[View]]:
    shown: list[View] = []

    def screen(seen: View) -> None:
        shown.append(seen)

    return monitor.watch(cast(Window, Views(*views)), screen, every_s=0.0), shown


def going_on(*events: Event, about: Facts = FACTS, **changes: Any) -> View:
    return seen(BEGUN, *((float(number), event) for number, event in enumerate(events, 1)), about=about, **changes)


@pytest.mark.parametrize(
    "last",
    [
        *(going_on(Exit(status, 0, "", 0), about=facts("over")) for status in ("completed", "stopped", "failed")),
        *(going_on(Exit(status, 0, "", 0), about=facts(**GONE)) for status in ("guard", "limit")),
        going_on(about=facts(is_held=False)),
        going_on(about=facts(**GONE)),
        going_on(about=facts(**GONE, is_copy=True)),
        seen(about=replace(FACTS, is_held=False, has_trainer=False, pulse=None)),
    ],
    ids=lambda view: view.status,
)
def test_a_run_is_watched_until_nobody_is_left_who_could_tell_of_an_end(last: View) -> None:
    views = [seen(about=facts("starting")), going_on(), going_on(about=facts("stopping"))]
    assert watched(*views, last, going_on()) == (last, [*views, last])


def test_a_run_that_is_rolled_back_is_watched_on() -> None:
    views = [going_on(Exit("rolled back", -15, "", 9)), going_on(Exit("completed", 0, "", 100), about=facts("over"))]
    assert watched(*views)[1] == views


# Plain lines


class Said:
    """A screen of lines, and what it said since the last question."""

    def __init__(self) -> None:
        self.clock_s = 0.0
        self._lines: list[str] = []
        self._screen = Lines(self._lines.append, lambda: self.clock_s)

    def __call__(self, view: View, after_s: float = 2.0) -> list[str]:
        self.clock_s += after_s
        self._screen(view)
        found = list(self._lines)
        self._lines.clear()
        return found


@pytest.fixture
def said() -> Said:
    return Said()


def test_what_is_new_is_said_once(said: Said) -> None:
    found: list[Event] = [Stage("training", None, None)]
    assert said(seen(about=facts("starting"))) == ["starting /runs/mine"]
    assert said(going_on(*found)) == ["attempt 1 (start) of /runs/mine", "stage: training"]
    assert said(going_on(*found)) == []
    found += [step(1)]
    assert [line.split(",")[0] for line in said(going_on(*found))] == ["1 of 100 steps (1.0%)"]
    found += [checkpoint(1), picture(1)]
    assert said(going_on(*found)) == [
        "checkpoint: output/checkpoint-1",
        "picture: output/validation_images/step_1_mountains_0_256x256.png",
    ]
    found += [Alert("spike", "note", 1, "high", 1), Alert("disk", "error", 1, "full", 1)]
    assert said(going_on(*found)) == ["note: spike at step 1: high", "error: disk at step 1: full"]
    assert said(going_on(*found)) == []


def test_a_run_that_is_joined_late_is_told_with_where_it_stands(said: Said) -> None:
    found = (Stage("training", None, None), step(40), checkpoint(40), Alert("spike", "note", 40, "high", 40))
    assert [line.split(",")[0] for line in said(going_on(*found))] == [
        "note: spike at step 40: high", "attempt 1 (start) of /runs/mine", "stage: training",
        "checkpoint: output/checkpoint-40", "40 of 100 steps (40.0%)",
    ]  # fmt: skip


def test_the_progress_is_said_about_once_a_minute_and_at_the_end(said: Said) -> None:
    assert len(said(going_on(step(1)))) == 2
    assert said(going_on(step(1), step(2)), after_s=59) == []
    assert len(said(going_on(step(1), step(3)), after_s=1)) == 1
    assert said(going_on(step(1), step(3)), after_s=1000) == []
    assert len(said(going_on(step(1), step(4)), after_s=0)) == 1
    assert said(going_on(step(1), step(5)), after_s=1) == []
    assert len(said(going_on(step(1), step(100)), after_s=1)) == 1


def test_a_further_attempt_is_said_with_its_reason(said: Said) -> None:
    said(going_on(step(1)))
    back = attempt(number=2, why="rollback")
    assert said(going_on(step(1), back)) == ["attempt 2 (rollback) of /runs/mine"]


def test_more_alerts_than_are_shown_are_no_trouble(said: Said) -> None:
    said(going_on())
    alerts = [Alert("spike", "note", number, "high", number) for number in range(1, 9)]
    assert said(going_on(*alerts)) == [f"note: spike at step {number}: high" for number in range(4, 9)]


def test_what_ended_an_earlier_attempt_is_said_though_the_next_has_begun_and_once() -> None:
    said: list[str] = []
    screen = Lines(said.append)
    found = seen(
        (0, attempt()),
        (1, Alert("non-finite", "error", 2, "the loss is not finite", 3)),
        (2, Exit("rolled back", 1, "", 2)),
        (3, attempt(number=2, why="rollback")),
    )
    screen(found)
    screen(found)
    assert [line for line in said if line.startswith("error")] == [
        "error: non-finite at step 2: the loss is not finite"
    ]
