from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.errors import InputError, TrainerError, UsageError
from kanjiprep.evaluation import reporting, score_table
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.reporting import Made
from kanjiprep.progress import silent
from kanjiprep.publishing.extras import extras
from kanjiprep.training.running import files
from kanjiprep.training.running.events import Exit
from tests import painted_run
from tests.painted_run import SMALL, forget, small

FEW = replace(SMALL, checkpoints=2, exploded=(2,), best=1, prompts=("a", "b"))
NAMES = {"report.html", "strip.png", "strip.json", "grid.png", "grid.json"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("painted"), FEW)


@pytest.fixture
def mine(original: Path, tmp_path: Path) -> Path:
    return painted_run.copied(original, tmp_path)


def report(ways: Ways, *runs: Path, out: Path | None = None) -> Made:
    return reporting.report([str(run) for run in runs], ways, out, silent)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def told_beside(picture: Path) -> tuple[int, int]:
    """The size that the document beside ``picture`` tells, in which only JSON's own numbers are."""
    told = json.loads(picture.with_suffix(".json").read_text("utf-8"), parse_constant=pytest.fail)
    return told["width"], told["height"]


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_a_report_of_one_run_stands_in_its_folder(mine: Path, ways: Ways) -> None:
    made = report(ways, mine)
    assert {path.name for path in made.written} == NAMES
    assert names_in(mine / "report") == NAMES | {"scores.csv", "scores.json"}
    assert made.comparison is None
    for name in ("strip.png", "grid.png"):
        assert told_beside(mine / "report" / name) == size_of(mine / "report" / name)
    page = made.page.read_text("utf-8")
    assert "the only sound one of 2 checkpoints" in page
    assert str(mine.parent) not in page
    assert not re.search(r"(?:src|href)=.?(?:https?:|//)", page)
    (line,) = reporting.lines(made)
    assert line.startswith("mine: step 10 scores ")
    assert {name for _, name in extras(mine)} == {f"report/{name}" for name in NAMES | {"scores.csv"}}


def test_the_document_names_what_was_written_and_all_that_was_judged(mine: Path, ways: Ways) -> None:
    made = report(ways, mine)
    found = reporting.document(made)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["page"] == str(mine / "report" / "report.html")
    assert {Path(path).name for path in found["written"]} == NAMES
    assert all(Path(path).is_file() for path in found["written"])
    assert found["comparison"] is None
    assert [run["run"] for run in found["runs"]] == ["mine"]


def test_a_report_made_twice_is_the_same(mine: Path, ways: Ways) -> None:
    first = {path: path.read_bytes() for path in report(ways, mine).written}
    assert {path: path.read_bytes() for path in report(ways, mine).written} == first


def test_several_runs_are_compared_and_stand_in_a_folder_of_their_own(
    original: Path, ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = painted_run.copied(original, tmp_path)
    second = painted_run.copied(original, tmp_path / "elsewhere")
    third = painted_run.copied(original, tmp_path, "mine (2)")
    forget(third, '"validation"', '"step": 20')
    monkeypatch.chdir(tmp_path)
    made = reporting.report(["mine", str(second), "mine (2)"], ways, None, silent)
    assert made.page == Path("report/report.html")
    assert [run.name for run in made.runs] == ["mine", "mine (2)", "mine (2) (2)"]
    strips = {f"strip-{run.name}.{kind}" for run in made.runs for kind in ("png", "json")}
    assert names_in(tmp_path / "report") == strips | {"report.html", "grid.png", "grid.json"}
    assert {path.name for path in made.written} == names_in(tmp_path / "report")
    assert all(told_beside(path) == size_of(path) for path in made.written if path.suffix == ".png")
    assert made.comparison is not None
    assert list(reporting.lines(made))[-1] == f"together: {made.comparison.why}"
    found = reporting.document(made)
    assert found["comparison"] == {"best": made.comparison.run, "why": made.comparison.why}
    assert all(names_in(run / "report") == {"scores.csv", "scores.json"} for run in (first, second, third))


def test_three_times_the_same_name_is_told_apart(original: Path, ways: Ways, tmp_path: Path) -> None:
    runs = [painted_run.copied(original, tmp_path / name) for name in "abc"]
    for run in runs:
        forget(run, '"validation"')
        shutil.rmtree(run / "output/validation_images")
    made = report(ways, *runs, out=tmp_path / "out")
    assert [run.name for run in made.runs] == ["mine", "mine (2)", "mine (3)"]
    assert names_in(tmp_path / "out") == {"report.html"}


# Runs of which there is little to show


def test_a_run_that_has_no_checkpoint_yet_is_reported(tmp_path: Path, ways: Ways) -> None:
    run = small(tmp_path, replace(FEW, checkpoints=0), ends=False)
    made = report(ways, run)
    assert made.runs[0].verdict.status == "none"
    assert [path.name for path in made.written] == ["report.html"]
    assert names_in(run / "report") == {"report.html", "scores.json"}
    assert next(reporting.lines(made)) == "mine: none: there is no checkpoint"


def test_a_run_that_crashed_after_one_checkpoint_is_reported(tmp_path: Path, ways: Ways) -> None:
    run = small(tmp_path, replace(FEW, checkpoints=1, exploded=()), ends=False)
    made = report(ways, run)
    assert {path.name for path in made.written} == NAMES
    assert (made.runs[0].verdict.step, made.runs[0].status) == (10, "lost")
    assert next(reporting.lines(made)).startswith("mine: step 10 scores ")


def test_a_copy_without_its_checkpoints_is_reported(mine: Path, ways: Ways) -> None:
    for folder in (mine / "output").glob("checkpoint-*"):
        shutil.rmtree(folder)
    made = report(ways, mine)
    assert {path.name for path in made.written} == NAMES
    assert "o checkpoint is in the run folder" in made.page.read_text("utf-8")


@pytest.mark.parametrize("how", ["never painted", "not copied"])
def test_a_run_without_pictures_is_reported_by_its_curves(mine: Path, ways: Ways, how: str) -> None:
    score_table_before = mine / score_table.NAME
    score_table_before.parent.mkdir()
    score_table_before.write_text("step,score\n10,3\n")
    if how == "never painted":
        forget(mine, '"validation"')
    shutil.rmtree(mine / "output/validation_images")
    made = report(ways, mine)
    assert [path.name for path in made.written] == ["report.html"]
    assert "none of its 2 checkpoints has a validation picture" in made.runs[0].verdict.why
    assert "one of its 2 checkpoints has a validation picture" in made.page.read_text("utf-8")
    assert not score_table_before.exists(), "scores of pictures that are gone"
    assert any("none of the 4 pictures" in one for one in made.runs[0].warnings) == (how == "not copied")


def test_a_failed_run_is_reported_with_its_reason(mine: Path, ways: Ways) -> None:
    lines = (mine / files.EVENTS).read_text("utf-8").splitlines()
    ended = json.loads(lines[-1]) | {"status": "failed", "reason": "out of memory"}
    assert ended["kind"] == Exit.kind
    (mine / files.EVENTS).write_text("\n".join([*lines[:-1], json.dumps(ended)]) + "\n", "utf-8")
    assert "out of memory" in report(ways, mine).page.read_text("utf-8")


def test_a_run_of_noise_says_so_on_its_page(tmp_path: Path, ways: Ways) -> None:
    run = small(tmp_path, replace(FEW, exploded=(1, 2)))
    made = report(ways, run)
    assert "exploded pictures: 4 of 4" in made.page.read_text("utf-8")
    told = json.loads((run / "report/grid.json").read_text("utf-8"))
    assert [one["status"] for one in told["runs"]] == ["none"]


# What cannot be done


def test_a_run_given_twice_is_refused(mine: Path, ways: Ways) -> None:
    with pytest.raises(UsageError, match=f"^{mine}: is given twice; give each run once$"):
        report(ways, mine, mine.parent / "." / "mine")
    assert not (mine / "report").exists()


def test_one_run_that_is_none_keeps_the_others_from_being_reported(mine: Path, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: is no run"):
        report(ways, mine, tmp_path / "empty", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (mine / "report").exists()


@pytest.mark.parametrize("inside", [".", "a", "a/b"])
def test_a_file_where_the_report_should_be_is_told_before_anything_is_judged(
    mine: Path, ways: Ways, tmp_path: Path, inside: str
) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(TrainerError, match=f"^{tmp_path}/out: is no folder; give --out another folder$"):
        report(ways, mine, out=tmp_path / "out" / inside)
    assert not (mine / "report").exists()


def test_a_folder_that_cannot_be_made_is_told(mine: Path, ways: Ways, tmp_path: Path) -> None:
    forget(mine, '"validation"')
    shutil.rmtree(mine / "output/validation_images")
    with pytest.raises(TrainerError, match="xxx: cannot be made: file name too long; give --out another folder"):
        report(ways, mine, out=tmp_path / ("x" * 300))


def test_a_relative_folder_is_made_with_those_above_it(
    mine: Path, ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = report(ways, mine, out=Path("a/b"))
    assert made.page == Path("a/b/report.html")
    assert names_in(tmp_path / "a/b") == NAMES


def test_a_page_that_cannot_be_written_is_told(mine: Path, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(TrainerError, match="report.html: cannot be written: is a directory"):
        report(ways, mine, out=tmp_path / "out")
    assert names_in(tmp_path / "out") == {"report.html"}
