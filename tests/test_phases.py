from __future__ import annotations

import pytest

from kanjiprep.training.running import phases
from kanjiprep.training.running.events import Alert, Event
from kanjiprep.training.running.phases import Phase
from tests.run_folders import calm, explosion
from tests.test_events import attempt

TEXT = explosion(50, 63).text
SPIKE = Alert("spike", "note", 10, "the gradient was 9.0 times its usual level for a step", 10)
GOES_ON = Alert("explosion", "error", 70, "the explosion since step 50 goes on", 50)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([], ()),
        ([attempt(), SPIKE, calm(10, 1)], ()),
        ([attempt(), explosion(50, 63)], (Phase(50, None, TEXT),)),
        ([attempt(), explosion(50, 63), calm(90, 50), calm(95, 50)], (Phase(50, 90, TEXT),)),
        (
            [attempt(), explosion(50, 63), calm(90, 50), explosion(200, 213)],
            (Phase(50, 90, TEXT), Phase(200, None, explosion(200, 213).text)),
        ),
    ],
    ids=["none", "a spike", "to the end", "over", "two"],
)
def test_a_phase_is_from_its_first_step_until_it_is_told_to_be_over(
    events: list[Event], found: tuple[Phase, ...]
) -> None:
    assert phases.phases(events) == found


def test_a_supervisor_that_takes_over_tells_the_same_phase_again() -> None:
    told: list[Event] = [attempt(), explosion(50, 63), attempt(why="adopt", from_step=70), GOES_ON]
    assert phases.phases(told) == (Phase(50, None, TEXT),)
    assert phases.phases([*told, calm(90, 50)]) == (Phase(50, 90, TEXT),)


def test_what_a_rollback_has_undone_was_no_phase() -> None:
    assert phases.phases([attempt(), explosion(50, 63), attempt(number=2, why="rollback", from_step=40)]) == ()


@pytest.mark.parametrize(("over", "end"), [([], 60), ([calm(55, 50)], 55), ([calm(90, 50)], 60)])
def test_a_phase_lasts_as_far_as_its_steps_stand(over: list[Event], end: int) -> None:
    again = attempt(number=2, why="resume", from_step=60)
    assert phases.phases([attempt(), explosion(50, 63), *over, again]) == (Phase(50, end, TEXT),)


def test_a_phase_that_goes_on_after_a_resume_is_one() -> None:
    again = attempt(number=2, why="resume", from_step=60)
    told = phases.phases([attempt(), explosion(50, 63), again, GOES_ON, calm(80, 50)])
    assert told == (Phase(50, 80, TEXT),)
