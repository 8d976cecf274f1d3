from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.training.running import ending, files
from kanjiprep.training.running.ending import Ending
from kanjiprep.training.running.events import Event, Exit
from kanjiprep.training.running.run_state import RunState
from tests.test_events import attempt, step
from tests.test_run_state import checkpoint, state_of

ANSWERED = 0.0
"""A deadline that is over."""


def state(*found: Event) -> RunState:
    return state_of(*((float(index), event) for index, event in enumerate((attempt(), *found))))


def asked(run: Path) -> int:
    return int(json.loads((run / files.SIGNAL).read_bytes())["manual_checkpoint"])


def begin(run: Path, *found: Event, with_checkpoint: bool = True) -> Ending:
    return ending.begin(run, state(*found), "as asked", "stopped", with_checkpoint=with_checkpoint)


def log(run: Path, text: str) -> None:
    (run / files.LOG).write_text(text, "utf-8")


def manifest(run: Path, **told: Any) -> None:
    (run / "output").mkdir(exist_ok=True)
    (run / "output" / files.MANIFEST).write_text(json.dumps(told), "utf-8")


# A checkpoint first


def test_a_trainer_that_has_stepped_is_asked_for_a_checkpoint(tmp_path: Path) -> None:
    found = begin(tmp_path, step(1), checkpoint(1))
    assert (found.status, found.why) == ("stopped", "as asked")
    assert found.known == frozenset({("output/checkpoint-1", 1)})
    assert asked(tmp_path) == 1
    begin(tmp_path, step(1))
    assert asked(tmp_path) == 2
    assert json.loads((tmp_path / files.SIGNAL).read_bytes())["manual_validation"] == 0


@pytest.mark.parametrize(
    ("found", "with_checkpoint"),
    [
        ((), True),
        ((step(1),), False),
        ((step(4), attempt(number=2, why="resume", from_step=4)), True),
        ((step(4), attempt(number=2, why="resume", from_step=2)), True),
    ],
    ids=["before the first step", "not wanted", "before the next step", "before it is done again"],
)
def test_no_checkpoint_is_waited_for_where_none_is_to_be_had(
    tmp_path: Path, found: tuple[Event, ...], with_checkpoint: bool
) -> None:
    how = begin(tmp_path, *found, with_checkpoint=with_checkpoint)
    assert how.known is None
    assert ending.is_due(how, state(*found))
    assert not (tmp_path / files.SIGNAL).exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"[" * 100_000,
        *(b'{"manual_checkpoint": %s}' % one for one in (b'"many"', b"Infinity")),
    ],
)
def test_a_file_of_wishes_that_cannot_be_read_is_begun_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / files.SIGNAL).write_bytes(data)
    begin(tmp_path, step(1))
    assert asked(tmp_path) == 1


@pytest.mark.parametrize("ahead_s", [-100, 0, 86_400])
def test_the_trainer_sees_a_younger_file_even_if_the_clock_was_set_back(tmp_path: Path, ahead_s: int) -> None:
    path = tmp_path / files.SIGNAL
    path.write_bytes(b'{"manual_checkpoint": 0}')
    before_ns = time.time_ns() + ahead_s * 10**9
    os.utime(path, ns=(before_ns, before_ns))
    begin(tmp_path, step(1))
    assert path.stat().st_mtime_ns >= before_ns + 10**9


def test_a_wish_that_cannot_be_written_keeps_no_run_from_ending(tmp_path: Path) -> None:
    found = begin(tmp_path / "gone", step(1))
    assert (found.status, found.known) == ("stopped", None)
    assert found.why == "as asked; the trainer could not be asked for a checkpoint"


@pytest.mark.parametrize(
    ("seconds", "patience_s"),
    [([2.0], 300), ([None], 300), ([40.0], 400), ([1.0, 1.0, *[90.0] * 20], 900), ([None, 50.0, 70.0], 600)],
)
def test_a_checkpoint_is_waited_for_as_long_as_some_steps_take(
    tmp_path: Path, seconds: list[float | None], patience_s: float
) -> None:
    before = time.monotonic()
    found = begin(tmp_path, *(step(number, seconds=one) for number, one in enumerate(seconds, 1)))
    assert before + patience_s <= found.deadline <= time.monotonic() + patience_s


def test_the_end_is_due_with_a_further_checkpoint_or_when_patience_is_over(tmp_path: Path) -> None:
    how = begin(tmp_path, step(4), checkpoint(4))
    assert not ending.is_due(how, state(step(4), checkpoint(4)))
    assert not ending.is_due(how, state(step(5), checkpoint(4)))
    assert ending.is_due(how, state(step(5), checkpoint(4), checkpoint(5)))
    assert ending.is_due(Ending("stopped", "", how.known, ANSWERED), state(step(4), checkpoint(4)))


@pytest.mark.parametrize(
    ("known", "found", "says"),
    [
        (None, (), "as asked; there is no checkpoint"),
        (None, (checkpoint(1200),), "as asked; the last checkpoint is of step 1,200"),
        (frozenset(), (checkpoint(4),), "as asked; the last checkpoint is of step 4"),
        (frozenset(), (), "as asked; the trainer made no further checkpoint in time"),
        (
            frozenset({("output/checkpoint-4", 4)}),
            (checkpoint(4),),
            "as asked; the trainer made no further checkpoint in time",
        ),
    ],
)
def test_the_reason_says_what_is_left(known: Any, found: tuple[Event, ...], says: str) -> None:
    assert ending.reason(Ending("stopped", "as asked", known, ANSWERED), state(*found)) == says


# The truth about it


@pytest.mark.parametrize(
    ("told", "is_complete"),
    [
        ({"status": "completed", "last_step": 100}, True),
        ({"status": "completed", "last_step": 101}, True),
        ({"status": "completed", "last_step": 99}, False),
        ({"status": "running", "last_step": 100}, False),
        ({"status": "completed"}, False),
        ({"status": "completed", "last_step": None}, False),
        ({"last_step": 100}, False),
    ],
)
def test_a_run_is_complete_if_the_trainer_says_so_after_its_last_step(
    tmp_path: Path, told: dict[str, Any], is_complete: bool
) -> None:
    manifest(tmp_path, **told)
    assert ending.is_complete(tmp_path, attempt()) is is_complete


def test_a_run_that_says_nothing_is_not_complete(tmp_path: Path) -> None:
    assert not ending.is_complete(tmp_path, attempt())
    (tmp_path / "output").mkdir()
    for data in (b"", b"[]", b'{"status": "comp', b'"completed"', b"\xff"):
        (tmp_path / "output" / files.MANIFEST).write_bytes(data)
        assert not ending.is_complete(tmp_path, attempt())


def test_the_last_step_of_a_rolled_back_run_is_put_on_the_runs(tmp_path: Path) -> None:
    manifest(tmp_path, status="completed", last_step=60)
    assert ending.is_complete(tmp_path, attempt(base_step=40))
    assert not ending.is_complete(tmp_path, attempt(base_step=39))


@pytest.mark.parametrize("code", [0, None])
@pytest.mark.parametrize("how", [None, Ending("stopped", "as asked", None, ANSWERED)])
def test_what_is_complete_is_done_whatever_was_asked_of_it(tmp_path: Path, code: int | None, how: Any) -> None:
    manifest(tmp_path, status="completed", last_step=100)
    assert ending.judge(tmp_path, state(step(100)), code, how) == Exit("completed", code, "", 100)


def test_an_exit_code_goes_before_what_the_trainer_says(tmp_path: Path) -> None:
    manifest(tmp_path, status="completed", last_step=100)
    assert ending.judge(tmp_path, state(step(100)), 1, None).status == "failed"


def test_a_trainer_that_goes_when_it_was_asked_to_has_ended_so(tmp_path: Path) -> None:
    how = Ending("guard", "it explodes", frozenset(), 1e12)
    found = ending.judge(tmp_path, state(step(9), checkpoint(8)), -15, how)
    assert found == Exit("guard", -15, "it explodes; the last checkpoint is of step 8", 9)


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (0, "", "the trainer left with code 0 before its last step"),
        (0, "oh no\n", "the trainer left with code 0 before its last step; last: oh no"),
        (1, "", "the trainer left with code 1, without a word"),
        (1, "Traceback (most recent call last):\n  File \"a.py\"\nValueError: Optimizer nope not found.\n",
         "Optimizer nope not found."),
        (-9, "", "the trainer was ended by SIGKILL"),
        (-15, "oh no\n", "the trainer was ended by SIGTERM; last: oh no"),
        (-100, "", "the trainer was ended by signal 100"),
        (None, "oh no\n", "oh no"),
    ],
)  # fmt: skip
def test_a_trainer_that_goes_by_itself_has_failed_with_its_reason(
    tmp_path: Path, code: int | None, said: str, reason: str
) -> None:
    log(tmp_path, said)
    assert ending.judge(tmp_path, state(step(9)), code, None) == Exit("failed", code, reason, 9)


def test_a_trainer_that_nobody_saw_go_has_failed_too(tmp_path: Path) -> None:
    found = ending.judge(tmp_path, state_of(), None, None)
    assert (found.status, found.code, found.step) == ("failed", None, 0)
    assert found.reason.startswith("the trainer is gone")


# The log


def test_only_the_log_of_the_attempt_counts(tmp_path: Path) -> None:
    log(tmp_path, "of before\n")
    before = (tmp_path / files.LOG).stat().st_size
    log(tmp_path, "of before\nof now\n")
    assert ending.log_tail(tmp_path, before) == "of now\n"
    assert ending.log_tail(tmp_path) == "of before\nof now\n"
    assert ending.log_tail(tmp_path, 10**9) == ""
    found = state_of((0, attempt(log_from=before)), (1, step(1)))
    assert ending.judge(tmp_path, found, 1, None).reason == "of now"


def test_a_long_log_is_read_from_near_its_end(tmp_path: Path) -> None:
    log(tmp_path, "x" * 1_000_000 + "\nend\n")
    assert len(ending.log_tail(tmp_path)) == 200_000
    assert ending.last_lines(tmp_path, 1, 0) == ["end"]


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert (ending.log_tail(tmp_path), ending.last_lines(tmp_path, 8, 0)) == ("", [])


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "LAMBDA_API_KEY", "COMET_API_KEY"]
)
def test_no_secret_of_ours_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "thesecretofsomebody")
    log(tmp_path, "the key thesecretofsomebody is refused\n")
    shown = [ending.judge(tmp_path, state(step(1)), 1, None).reason, *ending.last_lines(tmp_path, 8, 0)]
    assert shown == ["the key *** is refused"] * 2
