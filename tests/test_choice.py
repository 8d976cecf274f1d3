from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.score_table import Score, Scores
from kanjiprep.publishing import choice
from kanjiprep.publishing.choice import Chosen
from kanjiprep.training import presets
from kanjiprep.training.running import run_source
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.events import Checkpoint, Event, Exit
from kanjiprep.training.running.record import Record
from tests.run_folders import calm, explosion, keep, prepared, trained
from tests.test_attempts import record
from tests.test_events import attempt, step

FOUR_IS_BEST: Final = Scores((Score(4, 0.9, {}), Score(8, 0.2, {})), 4)
A_TIE: Final = Scores((Score(4, 0.9, {}), Score(8, 0.9, {})), None)
FULL: Final = presets.load(
    "tiny-cpu", ("training.steps=100", "checkpoints.every_steps=4", "model.train=full", "guard.policy=stop")
)


def choose(run: Path, wanted: str | None = None, found: Scores | None = None) -> Chosen:
    return choice.choose(run, Record(run).state, wanted, found)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return trained(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "found", "number", "how"),
    [
        (None, None, 8, "the last one, since report/scores.csv is not there"),
        (None, A_TIE, 8, "the last one, since report/scores.csv chooses none"),
        (None, FOUR_IS_BEST, 4, "the best by report/scores.csv"),
        ("best", FOUR_IS_BEST, 4, "the best by report/scores.csv"),
        ("last", FOUR_IS_BEST, 8, "the last one, as asked for"),
        ("latest", None, 8, "the last one, as asked for"),
        ("4", None, 4, "as asked for"),
        ("0008", FOUR_IS_BEST, 8, "as asked for"),
    ],
)
def test_the_checkpoint_that_is_wanted_is_chosen_and_why(
    mine: Path, wanted: str | None, found: Scores | None, number: int, how: str
) -> None:
    folder = mine / "output" / f"checkpoint-{number}"
    assert choose(mine, wanted, found) == Chosen(number, folder, how, ())
    assert choose(mine, wanted, found).weights == folder / WEIGHTS


def test_nobody_says_what_is_best_without_scores(mine: Path) -> None:
    where = f"^{mine}/report/scores.csv: "
    with pytest.raises(
        TrainerError, match=f"{where}is not there, so nobody can tell .*; give --checkpoint with a st"
    ):
        choose(mine, "best")
    with pytest.raises(
        TrainerError, match=f"{where}cannot tell which checkpoint is best: it chooses none; give --ch"
    ):
        choose(mine, "best", A_TIE)


@pytest.mark.parametrize("wanted", [None, "best"])
def test_scores_of_a_checkpoint_that_is_not_there_choose_nothing(mine: Path, wanted: str | None) -> None:
    with pytest.raises(TrainerError, match="scores.csv: chooses step 6, of which the run has no .* one of 4, 8$"):
        choose(mine, wanted, Scores((Score(6, 1.0, {}),), 6))


def test_a_step_without_a_checkpoint_is_told_with_those_that_have_one(mine: Path) -> None:
    with pytest.raises(
        TrainerError, match=f"^{mine}: has no checkpoint of step 5; give --checkpoint with one of 4, 8$"
    ):
        choose(mine, "5")
    for number in range(9, 20):
        Record(mine).add(keep(mine, number))
    with pytest.raises(TrainerError, match="one of 4, 8, 9, 10, 11, ..., 15, 16, 17, 18, 19$"):
        choose(mine, "20")


@pytest.mark.parametrize("wanted", ["", "Best", "-4", "4.0", "１", "checkpoint-4", "9" * 40])
def test_what_is_no_checkpoint_at_all_is_refused(mine: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match="^--checkpoint: '.* is no checkpoint; give a step, best or last$"):
        choose(mine, wanted)


def test_a_run_without_a_whole_checkpoint_has_nothing_to_publish(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), step(1), Exit("failed", 1, "", 1))
    with pytest.raises(TrainerError, match=f"^{run}: has no whole checkpoint; let it train until its first one"):
        choose(run)


@pytest.mark.parametrize("kept", [True, False])
def test_a_full_fine_tune_is_left_to_hf_upload(tmp_path: Path, kept: bool) -> None:
    run = prepared(tmp_path / "my runs", FULL, can_roll_back=False)
    record(run, attempt(), step(1), *([keep(run, 4)] if kept else []))
    folder = f"'{run}/output/checkpoint-4'" if kept else "CHECKPOINT"
    with pytest.raises(UsageError, match=f"is a full fine-tune, and .*: hf upload REPO_ID {folder}$"):
        choose(run)


# Files that are not there


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("output/checkpoint-8", "output/checkpoint-8 is not there; give --checkpoint with one of 4$"),
        (f"output/checkpoint-8/{WEIGHTS}", f"output/checkpoint-8/{WEIGHTS} is not there; give .* of 4$"),
    ],
)
def test_a_checkpoint_of_which_something_is_gone_is_told(mine: Path, gone: str, says: str) -> None:
    path = mine / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(TrainerError, match=f"^{mine}: the checkpoint of step 8 cannot be used: {says}"):
        choose(mine)


def test_a_run_of_which_all_weights_are_gone_says_so(mine: Path) -> None:
    shutil.rmtree(mine / "output")
    with pytest.raises(TrainerError, match="8 is not there; none has its weights; copy the run folder anew"):
        choose(mine)


def test_weights_that_are_a_folder_are_none(mine: Path) -> None:
    weights = mine / "output" / "checkpoint-8" / WEIGHTS
    weights.unlink()
    weights.mkdir()
    with pytest.raises(TrainerError, match=f"cannot be used: {WEIGHTS} is no file; give --checkpoint with one of 4$"):
        choose(mine)


@pytest.mark.parametrize("what", ["output/checkpoint-8", f"output/checkpoint-8/{WEIGHTS}"])
def test_a_checkpoint_that_a_link_leads_out_of_the_run_is_refused(mine: Path, what: str) -> None:
    elsewhere = mine.parent.parent / "elsewhere"
    (mine / what).rename(elsewhere)
    (mine / what).symlink_to(elsewhere)
    with pytest.raises(TrainerError, match=f"cannot be used: {what} leads out of the run folder; give --ch.* of 4$"):
        choose(mine)


@pytest.mark.parametrize("path", ["../other/output/checkpoint-9", "/etc"])
def test_a_record_that_names_another_place_is_not_followed(mine: Path, path: str) -> None:
    keep(mine.with_name("other"), 9)
    Record(mine).add(Checkpoint(9, path, 7))
    with pytest.raises(TrainerError, match=f"cannot be used: {path} leads out of the run folder"):
        choose(mine)


# Other places, other attempts


def test_a_run_that_was_copied_from_elsewhere_is_published_from_there(mine: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(mine, copy, symlinks=True)
    shutil.rmtree(mine)
    assert choose(copy) == Chosen(
        8, copy / "output/checkpoint-8", "the last one, since report/scores.csv is not there"
    )


def test_a_path_from_the_working_folder_gives_a_whole_one(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    assert choose(Path("mine"), "4").path == mine / "output" / "checkpoint-4"


def rolled_back(run: Path) -> None:
    """Step 8 came after an explosion; the run went back to step 4 and made step 8 anew."""
    again = attempt(number=2, why="rollback", base_step=4, from_step=4, output="attempt-2/output")
    first: list[Event] = [attempt(), keep(run, 4), *map(step, range(1, 9)), keep(run, 8), explosion(6, 8)]
    second: list[Event] = [again, *map(step, range(5, 9)), keep(run, 4, base=4, output="attempt-2/output")]
    record(run, *first, Exit("rolled back", -15, "", 8), *second)


def test_a_checkpoint_of_a_later_attempt_is_found_where_it_is(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    rolled_back(run)
    assert choose(run).path == run / "attempt-2/output/checkpoint-4"
    assert choose(run, "8") == Chosen(8, run / "attempt-2/output/checkpoint-4", "as asked for", ())
    assert choose(run, "4") == Chosen(4, run / "output/checkpoint-4", "as asked for", ())


# Explosions

TEXT: Final = "the gradient is up to 30.0 times its usual level since step 50"


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (49, None),
        (50, "within"),
        (60, "within"),
        (90, "within"),
        (91, "1 step after"),
        (290, "200 steps after"),
        (291, None),
        (1300, None),
    ],
)
def test_a_checkpoint_in_or_soon_after_an_explosion_is_warned_of(
    tmp_path: Path, number: int, where: str | None
) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), keep(run, number), explosion(50, 63), calm(90, 50))
    told = f"the checkpoint of step {number} is {where} an explosion ({TEXT}); look at its pictures first"
    assert choose(run).warnings == (() if where is None else (told,))


def test_an_explosion_that_was_never_over_goes_on_to_the_end(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), explosion(50, 63), keep(run, 70), Exit("guard", -15, "", 70))
    assert [one.split(" an ")[0] for one in choose(run).warnings] == ["the checkpoint of step 70 is within"]


def test_every_explosion_before_is_told(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), explosion(50, 63), calm(90, 50), explosion(150, 163), keep(run, 1170))
    assert len(choose(run).warnings) == 1
    Record(run).add(keep(run, 170))
    assert len(choose(run, "170").warnings) == 2


# What the judge says


@pytest.mark.parametrize("wanted", [None, "8"])
def test_what_the_scores_hold_against_a_checkpoint_is_told(mine: Path, wanted: str | None) -> None:
    rows = (Score(4, 80.0, {"flags": ""}), Score(8, 3.0, {"flags": "pictures, weights"}))
    told = "report/scores.csv flags the checkpoint of step 8 for its pictures, weights; look at its pictures first"
    assert choose(mine, wanted, Scores(rows, None)).warnings == (told,)
    assert choose(mine, "4", Scores(rows, None)).warnings == ()


@pytest.mark.parametrize("wanted", [None, "4", "best", "last"])
def test_scores_older_than_the_last_checkpoint_are_told(mine: Path, wanted: str | None) -> None:
    told = "report/scores.csv says nothing of checkpoints after step 4, and the last is of step 8"
    old = Scores((Score(4, 80.0, {}),), 4)
    assert choose(mine, wanted, old).warnings == (told,)
    assert choose(mine, wanted, FOUR_IS_BEST).warnings == ()
    Record(mine).add(keep(mine, 1200))
    assert choose(mine, "1200", FOUR_IS_BEST).warnings == (
        "report/scores.csv says nothing of checkpoints after step 8, and the last is of step 1,200",
    )


def test_scores_of_steps_without_a_checkpoint_are_not_old(mine: Path) -> None:
    later = Scores((Score(4, 80.0, {}), Score(12, 3.0, {})), 4)
    assert choose(mine, None, later).warnings == ()


def test_what_nobody_watched_is_published_all_the_same(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), step(1))
    keep(run, 4)
    assert choice.choose(run, run_source.state(run), None, None).step == 4
