from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.score_table import Score, Scores
from tests import judged_runs


def written(run: Path, data: str | bytes) -> Path:
    (run / "report").mkdir(exist_ok=True)
    (run / score_table.NAME).write_bytes(data.encode() if isinstance(data, str) else data)
    return run


def test_a_run_that_was_not_scored_has_no_scores(tmp_path: Path) -> None:
    assert score_table.read(tmp_path) is None


def test_rows_keep_their_order_and_their_further_columns(tmp_path: Path) -> None:
    found = score_table.read(
        written(tmp_path, 'step,style,score,chosen,note\n8,0.1,0.5,no,\n4,,-2e-3,yes,"a, b"\n\n')
    )
    assert found == Scores(
        rows=(Score(8, 0.5, {"style": "0.1", "note": ""}), Score(4, -0.002, {"style": "", "note": "a, b"})), chosen=4
    )


@pytest.mark.parametrize(
    "data", ["step,score\n4,1\n", "step,score,chosen\n4,1,no\n", "score,step,chosen\r\n1,4,\r\n"]
)
def test_scores_may_choose_none(tmp_path: Path, data: str) -> None:
    assert score_table.read(written(tmp_path, "\ufeff" + data)) == Scores((Score(4, 1.0, {}),), None)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "csv:1: has no column 'step'; score the run anew, or move the file away"),
        (b"step\n", "csv:1: has no column 'score'"),
        (b"step,score,step\n", "csv:1: has a column twice"),
        (b"step,score\n", "csv:1: has no rows"),
        (b"step,score\n4,1\n8\n", "csv:3: has 1 fields instead of 2"),
        (b"step,score\n4,1,2\n", "csv:2: has 3 fields instead of 2"),
        (b"step,score\n-4,1\n", "csv:2: step must be a whole number, not '-4'"),
        (b"step,score\n4.0,1\n", "csv:2: step must be a whole number, not '4.0'"),
        ("step,score\n４,1\n".encode(), "csv:2: step must be a whole number, not '４'"),
        (b"step,score\n4,\n", "csv:2: score must be a number, not ''"),
        (b"step,score\n4,nan\n", "csv:2: score must be a number, not 'nan'"),
        (b"step,score\n4,1e999\n", "csv:2: score must be a number, not '1e999'"),
        (b"step,score\n4,1_0\n", "csv:2: score must be a number, not '1_0'"),
        (b"step,score,chosen\n4,1,Yes\n", "csv:2: chosen must be yes or no, not 'Yes'"),
        (b"step,score\n4,1\n8,2\n4,3\n", "csv:4: has step 4 again"),
        (b"step,score,chosen\n4,1,yes\n8,2,yes\n", "csv:3: chooses a second checkpoint"),
        (b'step,score\n4,"1\n', "csv:2: is not CSV: unexpected end of data"),
        (b'step,score\n4,"1"2\n', "csv:2: is not CSV: "),
        (b"step,score\n4,1\n\xff", "csv:3: is not UTF-8 text"),
    ],
)
def test_what_is_no_such_table_is_told_with_its_line(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(TrainerError, match=f"^{tmp_path}/report/scores.{says}"):
        score_table.read(written(tmp_path, data))


# What is written


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "mine", checkpoints=20, prompts=2)
    data = score_table.to_csv(run.steps, run.verdict)
    found = score_table.read(written(run.folder, data))
    assert found is not None
    assert found.chosen == run.verdict.step
    assert [row.step for row in found.rows] == [one.step for one in run.steps]
    assert [row.score for row in found.rows] == [round(one.smooth, 2) for one in run.verdict.ranked]
    flags = {row.step: row.more["flags"] for row in found.rows}
    assert (flags[400], flags[3_200], flags[3_600]) == ("", "pictures", "pictures, gradient")
    assert tuple(row.step for row in found.rows if row.more["tied"] == "yes") == run.verdict.tied
    first = found.rows[0].more
    assert list(first) == ["low", "high", "tied", "style", "shape", "pictures", "flags"]
    assert (first["style"], first["shape"], first["pictures"]) == ("0.030", "0.200", "2")


@pytest.mark.parametrize("kind", [judged_runs.cannot_tell, judged_runs.all_dropped])
def test_nothing_chosen_is_read_back_as_nothing_chosen(tmp_path: Path, kind: Callable[[Path], JudgedRun]) -> None:
    run = kind(tmp_path / "mine")
    found = score_table.read(written(run.folder, score_table.to_csv(run.steps, run.verdict)))
    assert found is not None
    assert (found.chosen, len(found.rows)) == (None, len(run.verdict.ranked))


def test_a_checkpoint_without_pictures_has_no_row(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "mine", checkpoints=3, prompts=1)
    bare = replace(run.steps[0], pictures=0, style=None, shape=None, score=None)
    ranked = replace(run.verdict, ranked=run.verdict.ranked[1:])
    text = score_table.to_csv((bare, *run.steps[1:]), ranked).decode()
    assert [line.split(",")[0] for line in text.splitlines()] == ["step", "800", "1200"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / score_table.NAME).mkdir(parents=True)
    with pytest.raises(TrainerError, match="scores.csv: cannot be read: is a directory; score the run anew"):
        score_table.read(tmp_path)


@given(st.binary(max_size=60) | st.text('step,score\n"0123456789.e- \r', max_size=60).map(str.encode))
def test_no_bytes_are_more_than_one_clear_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    run = written(tmp_path_factory.getbasetemp(), b"step,score\n" + data)
    try:
        found, said = score_table.read(run), ""
    except TrainerError as error:
        found, said = None, str(error)
    assert found or said.startswith(f"{run}/report/scores.csv:")
