from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running.events import Alert, Checkpoint, Entry, Event, Exit, Stage, Validation
from kanjiprep.training.running.run_state import Fold, RunState
from tests.test_events import attempt, moment, step

Timed = tuple[float, Event]


def checkpoint(number: int, count: int = 1024) -> Checkpoint:
    return Checkpoint(number, f"output/checkpoint-{number}", count)


def picture(number: int, prompt: str = "mountains") -> Validation:
    return Validation(number, prompt, f"output/validation_images/step_{number}_{prompt}_0_256x256.png", ())


def state_of(*timed: Timed, boot: str = "0a1b2c3d") -> RunState:
    fold = Fold()
    fold.add(Entry(moment(at_s, boot), event) for at_s, event in timed)
    return fold.state()


def steps_of(state: RunState) -> list[int]:
    return [one.step for one in state.steps]


def test_nothing_has_happened_at_first() -> None:
    state = state_of()
    assert (state.attempt, state.began, state.seen, state.exit, state.pace_s) == (None,) * 5
    assert (state.step, state.spent_s, state.rollbacks, state.unreadable) == (0, 0.0, 0, 0)


def test_what_happened_is_kept_in_its_order() -> None:
    alert = Alert("spike", "note", 2, "high", 2)
    state = state_of(
        (0, attempt()), (1, Stage("training", None, None)), (2, step(1)), (3, step(2)), (3, checkpoint(2)),
        (3, picture(2, "a")), (4, picture(2, "b")), (5, alert), (9, Exit("stopped", -15, "asked", 2)),
    )  # fmt: skip
    assert (state.attempt, state.stage) == (attempt(), Stage("training", None, None))
    assert (steps_of(state), state.step) == ([1, 2], 2)
    assert (state.checkpoints, state.alerts) == ((checkpoint(2),), (alert,))
    assert [one.prompt for one in state.validations] == ["a", "b"]
    assert state.exit == Exit("stopped", -15, "asked", 2)
    assert (state.began, state.seen) == (moment(0), moment(9))


def test_lines_that_could_not_be_understood_are_counted() -> None:
    fold = Fold()
    fold.add([None, Entry(moment(), attempt()), None])
    assert fold.state().unreadable == 2


def test_a_run_that_has_not_stepped_yet_is_where_its_attempt_goes_on() -> None:
    assert state_of((0, attempt(number=2, why="resume", from_step=40))).step == 40
    assert state_of((0, attempt(number=2, why="resume", from_step=40)), (1, step(41))).step == 41


def test_steps_that_are_repeated_after_a_resume_count_once_and_with_what_they_are_now() -> None:
    before = [(float(number), step(number, loss=1.0)) for number in range(1, 8)]
    again = [(20.0 + number, step(number, loss=2.0)) for number in range(5, 7)]
    state = state_of((0, attempt()), *before, (20, attempt(number=2, why="resume", from_step=4)), *again)
    assert steps_of(state) == [1, 2, 3, 4, 5, 6]
    assert [one.loss for one in state.steps] == [1.0] * 4 + [2.0] * 2


def test_a_step_that_is_told_again_without_a_word_undoes_what_came_after_it() -> None:
    state = state_of((0, attempt()), *((number, step(number)) for number in range(1, 8)), (9, step(4, loss=3.0)))
    assert steps_of(state) == [1, 2, 3, 4]
    assert state.steps[-1].loss == 3.0


@pytest.mark.parametrize("why", ["resume", "rollback"])
def test_what_a_new_attempt_does_again_is_dropped(why: str) -> None:
    alert = Alert("explosion", "error", 9, "high", 5)
    state = state_of(
        (0, attempt()), *((number, step(number)) for number in range(1, 10)),
        *((10, checkpoint(number)) for number in (2, 4, 8)), *((10, picture(number)) for number in (0, 4, 8)),
        (11, alert), (12, Stage("training", None, None)), (13, Exit("rolled back", -15, "high", 9)),
        (14, attempt(number=2, why=why, base_step=4, from_step=4, output="attempt-2/output")),
    )  # fmt: skip
    assert (steps_of(state), state.step) == ([1, 2, 3, 4], 4)
    assert [one.step for one in state.checkpoints] == [2, 4]
    assert [one.step for one in state.validations] == [0, 4]
    assert (state.alerts, state.stage, state.exit) == ((alert,), None, None)
    assert state.rollbacks == (why == "rollback")


def test_a_checkpoint_that_is_made_again_stands_there_once() -> None:
    state = state_of((0, attempt()), (1, checkpoint(4)), (2, checkpoint(8)), (3, checkpoint(8, 2048)))
    assert state.checkpoints == (checkpoint(4), checkpoint(8, 2048))


# Time


def test_time_is_spent_from_the_beginning_to_the_last_event_or_the_end() -> None:
    assert state_of((5, attempt())).spent_s == 0
    assert state_of((5, attempt()), (65, step(1))).spent_s == 60
    assert state_of((5, attempt()), (65, step(1)), (75, Exit("stopped", 0, "", 1))).spent_s == 70


def test_time_between_attempts_is_not_spent() -> None:
    ended = state_of((0, attempt()), (100, Exit("stopped", 0, "", 0)), (500, attempt(number=2)), (560, step(1)))
    assert ended.spent_s == 160
    killed = state_of((0, attempt()), (90, step(1)), (500, attempt(number=2)), (520, step(1)))
    assert killed.spent_s == 110
    assert killed.began == moment(0)


def test_time_is_spent_across_boots_by_the_calendar() -> None:
    fold = Fold()
    fold.add(
        Entry(when, event)
        for when, event in (
            (moment(9_000, "first", 0), attempt()),
            (moment(9_100, "first", 7_000), step(1)),
            (moment(50, "second", 8_000), attempt(number=2, why="resume")),
            (moment(80, "second", 90_000), step(1)),
            (moment(10, "third", 90_600), step(2)),
        )
    )
    assert fold.state().spent_s == 100 + (90_600 - 8_000)


def test_a_trainer_that_is_taken_over_has_run_all_the_time() -> None:
    first: list[Timed] = [(0.0, attempt()), (10.0, Stage("training", None, None)), (50.0, step(1)), (60.0, step(2))]
    state = state_of(*first, (500, attempt(why="adopt")), (510, step(3)), (600, Exit("completed", 0, "", 3)))
    assert (state.spent_s, state.began, state.rollbacks) == (600, moment(0), 0)
    assert (steps_of(state), state.stage) == ([1, 2, 3], Stage("training", None, None))
    assert state.attempt is not None
    assert state.attempt.why == "adopt"


def test_a_trainer_that_is_taken_over_after_its_end_was_told_is_not_counted_twice() -> None:
    state = state_of((0, attempt()), (100, Exit("failed", None, "", 0)), (500, attempt(why="adopt")), (510, step(1)))
    assert (state.spent_s, state.exit) == (110, None)


def test_the_pace_has_all_in_it_that_is_done_between_steps_of_this_attempt() -> None:
    assert state_of((0, attempt()), (100, step(1))).pace_s is None
    assert state_of((0, attempt()), (100, step(1)), (104, step(2)), (110, step(3))).pace_s == 5
    again = ((0, attempt()), (100, step(1)), (104, step(2)), (200, attempt(number=2, why="resume", from_step=1)))
    assert state_of(*again).pace_s is None
    assert state_of(*again, (300, step(2))).pace_s is None
    assert state_of(*again, (300, step(2)), (330, step(5))).pace_s == 10


_EVENTS = st.one_of(
    st.builds(step, st.integers(1, 30)),
    st.builds(checkpoint, st.integers(1, 30)),
    st.builds(picture, st.integers(0, 30)),
    st.integers(0, 20).map(lambda number: attempt(why="resume", from_step=number)),
    st.integers(0, 20).map(lambda number: attempt(why="rollback", base_step=number, from_step=number)),
    st.just(attempt(why="adopt")),
    st.just(Exit("failed", 1, "", 0)),
)


@given(st.lists(_EVENTS), st.integers(0, 50))
def test_any_order_of_events_gives_ascending_steps_and_less_time_than_has_passed(
    found: list[Event], cut: int
) -> None:
    entries = [Entry(moment(10.0 * index), event) for index, event in enumerate([attempt(), *found])]
    state = state_of(*((entry.moment.up_s, entry.event) for entry in entries))
    assert steps_of(state) == sorted(set(steps_of(state)))
    assert [one.step for one in state.checkpoints] == sorted({one.step for one in state.checkpoints})
    assert 0 <= state.spent_s <= 10.0 * len(found)
    fold = Fold()
    fold.add(entries[:cut])
    fold.state()
    fold.add(entries[cut:])
    assert fold.state() == state
