from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import reference, reporting
from kanjiprep.evaluation.judging import Ways
from kanjiprep.progress import silent
from kanjiprep.training.running import files
from kanjiprep.training.running.events import Exit
from tests import painted_run


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "LEAST", 12)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted_run.small(tmp_path_factory.mktemp("original"))


@pytest.fixture
def mine(original: Path, tmp_path: Path) -> Path:
    return painted_run.copied(original, tmp_path)


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(None, "off", False, tmp_path / "cache", tmp_path / "judges")


def test_a_report_of_one_run_stands_in_its_folder(mine: Path, ways: Ways) -> None:
    made = reporting.report([str(mine)], ways, None, silent)
    names = {"report.html", "strip.png", "strip.json", "grid.png", "grid.json"}
    assert {path.name for path in made.written} == names
    assert {path.name for path in (mine / "report").iterdir()} == names | {"scores.csv", "scores.json"}
    for name in ("strip", "grid"):
        told = json.loads((mine / "report" / f"{name}.json").read_text("utf-8"))
        with Image.open(mine / "report" / f"{name}.png") as drawn:
            assert (told["width"], told["height"]) == drawn.size
    page = made.page.read_text("utf-8")
    assert f"Step {made.runs[0].verdict.step}" in page
    assert str(mine.parent) not in page
    assert reporting.document(made)["written"] == [str(path) for path in made.written]
    (line,) = reporting.lines(made)
    assert line.startswith("mine: step ")


def test_a_report_of_several_runs_compares_them(
    mine: Path, ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "mine"
    shutil.copytree(mine, other, symlinks=True)
    third = tmp_path / "runs" / "third"
    shutil.copytree(mine, third, symlinks=True)
    monkeypatch.chdir(tmp_path)
    made = reporting.report([str(mine), str(other), "third"], ways, None, silent)
    assert made.page == Path("report/report.html")
    assert [run.name for run in made.runs] == ["mine", "mine (2)", "third"]
    assert {"strip-mine (2).png", "strip-third.json", "grid.png"} <= {path.name for path in made.written}
    assert made.comparison is not None
    assert list(reporting.lines(made))[-1].startswith("together: ")
    assert reporting.document(made)["comparison"]["why"] == made.comparison.why


def test_a_run_given_twice_is_refused(mine: Path, ways: Ways) -> None:
    with pytest.raises(UsageError, match="mine: is given twice; give each run once"):
        reporting.report([str(mine), str(mine)], ways, None, silent)


def test_a_report_that_cannot_be_written_is_told(mine: Path, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(TrainerError, match="out: is no folder; give --out another folder"):
        reporting.report([str(mine)], ways, tmp_path / "out", silent)


@pytest.mark.parametrize("checkpoints", [0, 1])
def test_a_run_that_has_hardly_begun_or_crashed_is_reported(tmp_path: Path, ways: Ways, checkpoints: int) -> None:
    painting = replace(painted_run.SMALL, checkpoints=checkpoints, exploded=(), best=1)
    run = painted_run.small(tmp_path, painting, ends=False)
    made = reporting.report([str(run)], ways, None, silent)
    assert made.page.is_file()
    assert made.runs[0].status in ("lost", "copy")
    assert made.runs[0].verdict.status == ("chosen" if checkpoints else "none")


def test_a_failed_run_is_reported_with_its_reason(mine: Path, ways: Ways) -> None:
    lines = (mine / files.EVENTS).read_text("utf-8").splitlines()
    ended = json.loads(lines[-1]) | {"status": "failed", "reason": "out of memory"}
    assert ended["kind"] == Exit.kind
    (mine / files.EVENTS).write_text("\n".join([*lines[:-1], json.dumps(ended)]) + "\n", "utf-8")
    made = reporting.report([str(mine)], ways, None, silent)
    assert "out of memory" in made.page.read_text("utf-8")
