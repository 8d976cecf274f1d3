from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kanjiprep.errors import DatasetError, InputError, KanjiprepError, TrainerError, UsageError
from kanjiprep.evaluation import reference, reporting, score_table, score_text, scoring
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.proof.corruptions import draw_sound
from kanjiprep.evaluation.scoring import Scored, Source
from kanjiprep.progress import silent
from kanjiprep.publishing import choice
from kanjiprep.training.running import files, run_source
from kanjiprep.training.running.events import Exit
from tests import painted_run
from tests.painted_run import Painting
from tests.test_corruptions import CROSS, KANJI, LADDER, OTHERS, glyph

GLYPHS = [KANJI, *OTHERS]
PAINTING = Painting(checkpoints=8, every_steps=10, prompts=("a", "b", "c"), best=5, exploded=(3,), size_px=128)
assert glyph("十", CROSS) in OTHERS
assert glyph("目", LADDER) in OTHERS


def paint(folder: Path, painting: Painting = PAINTING, **more: Any) -> Path:
    """A painted run with its twelve training pictures beside it."""
    for number in range(12):
        picture = draw_sound(GLYPHS[number % 4], np.random.default_rng(number), 128)
        Image.fromarray(picture).convert("L").save(folder / f"{number}.png")
    return painted_run.painted(folder, GLYPHS, painting, **more)


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "LEAST", 12)
        yield


@pytest.fixture(scope="module")
def _painted(tmp_path_factory: pytest.TempPathFactory, _few: None) -> Path:
    return paint(tmp_path_factory.mktemp("painted"))


@pytest.fixture
def mine(_painted: Path, tmp_path: Path) -> Path:
    shutil.copytree(_painted.parents[1], tmp_path, symlinks=True, dirs_exist_ok=True)
    run = tmp_path / "runs" / "mine"
    shutil.rmtree(run / "pictures")
    (run / "pictures").mkdir()
    for number in range(12):
        (run / "pictures" / f"{number}.png").symlink_to(tmp_path / f"{number}.png")
    return run


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(None, "off", False, tmp_path / "cache", tmp_path / "judges")


def scored(run: Path, ways: Ways) -> Scored:
    return scoring.score(Source(str(run)), ways, silent)


def dataset(folder: Path) -> Path:
    """The training pictures as a dataset of their own."""
    rows = "".join(f'{number}.png,"a"\n' for number in range(12))
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}")
    return folder


def test_a_run_is_judged_and_publishing_takes_what_was_chosen(mine: Path, ways: Ways) -> None:
    found = scored(mine, ways)
    verdict = found.judged.verdict
    assert verdict.status == "chosen"
    assert verdict.step in (50, 60, 70, 80)
    kept = score_table.read(mine)
    assert kept is not None
    assert kept.chosen == verdict.step
    assert [row.step for row in kept.rows] == [10 * number for number in range(1, 9)]
    assert list(kept.rows[0].more) == ["low", "high", "tied", "style", "shape", "pictures", "flags"]
    chosen = choice.choose(mine, run_source.state(mine), None, kept)
    assert (chosen.step, chosen.how) == (verdict.step, "the best by report/scores.csv")


def test_an_exploded_checkpoint_is_dropped_by_its_pictures(mine: Path, ways: Ways) -> None:
    found = scored(mine, ways).judged
    (bad,) = [one for one in found.steps if one.flags]
    assert bad.step == 30
    assert "pictures" in {flag.about for flag in bad.flags}
    assert {row.step: row.more["flags"] for row in score_table.read(mine).rows}[30].startswith("pictures")  # type: ignore[union-attr]


def test_what_is_kept_has_no_path_of_this_machine_and_is_the_same_again(mine: Path, ways: Ways) -> None:
    written = scored(mine, ways).written
    assert [path.name for path in written] == ["scores.csv", "scores.json"]
    before = [path.read_bytes() for path in written]
    assert not any(str(mine.parent).encode() in data or b"NaN" in data for data in before)
    assert [path.read_bytes() for path in scored(mine, ways).written] == before
    document = json.loads(before[1])
    assert document["verdict"]["status"] == "chosen"
    assert document["pictures"][0]["path"].startswith("output/validation_images/step_10_a_0")
    assert len(document["pictures"]) == 24
    assert not list((mine / "report").glob(".*"))


def test_a_run_of_noise_alone_has_no_checkpoint_to_choose(tmp_path: Path, ways: Ways) -> None:
    run = paint(tmp_path, replace(PAINTING, checkpoints=2, exploded=(1, 2)))
    found = scored(run, ways)
    assert found.judged.verdict.status == "none"
    assert next(iter(score_table.read(run).rows)).more["tied"] == "no"  # type: ignore[union-attr]
    assert list(score_text.lines(found.judged))[-1].startswith("verdict    none: none of 2 checkpoints is sound")


def test_the_table_says_what_was_dropped_and_why(mine: Path, ways: Ways) -> None:
    text = list(score_text.lines(scored(mine, ways).judged))
    assert text[0].split() == ["step", "score", "95", "%", "style", "shape", "pictures"]
    assert "dropped for its pictures" in text[3]
    assert any(line.startswith("pictures   step 30: 3 of 3 pictures have exploded") for line in text)
    assert text[-1].startswith("verdict    step ")
    assert all(len(line) <= 118 for line in text[:-1] if not line.startswith("explosion"))


def test_the_base_model_is_shown_and_takes_no_part(tmp_path: Path, ways: Ways) -> None:
    run = paint(tmp_path, replace(PAINTING, checkpoints=2, exploded=(), has_base=True))
    found = scored(run, ways).judged
    assert [one.step for one in found.steps] == [10, 20]
    assert any(line.startswith("base model ") for line in score_text.lines(found))


def test_checkpoints_that_are_gone_are_not_chosen(mine: Path, ways: Ways) -> None:
    before = scored(mine, ways).judged.verdict.step
    shutil.rmtree(mine / f"output/checkpoint-{before}")
    found = scored(mine, ways).judged
    assert found.verdict.step != before
    assert "1 of 8 checkpoints are no longer there, and are not chosen" in found.warnings


def test_a_copy_without_any_checkpoint_is_judged_by_its_pictures(mine: Path, ways: Ways) -> None:
    for folder in (mine / "output").glob("checkpoint-*"):
        shutil.rmtree(folder)
    found = scored(mine, ways).judged
    assert found.verdict.status == "chosen"
    assert "no checkpoint is in the run folder; the choice is by their pictures alone" in found.warnings


def test_checkpoints_without_pictures_are_told(mine: Path, ways: Ways) -> None:
    with (mine / "events.jsonl").open("rb") as stream:
        lines = stream.readlines()
    kept = [line for line in lines if not (b'"validation"' in line and b'"step": 80' in line)]
    (mine / "events.jsonl").write_bytes(b"".join(kept))
    assert "1 of 8 checkpoints have no pictures, and are not judged" in scored(mine, ways).judged.warnings


def test_no_pictures_at_all_is_an_error_for_score_and_a_page_for_report(mine: Path, ways: Ways) -> None:
    with (mine / "events.jsonl").open("rb") as stream:
        lines = stream.readlines()
    (mine / "events.jsonl").write_bytes(b"".join(line for line in lines if b'"validation"' not in line))
    shutil.rmtree(mine / "output" / "validation_images")
    scored_before = mine / score_table.NAME
    with pytest.raises(InputError, match="has no validation pictures, so nothing can be judged"):
        scored(mine, ways)
    assert not scored_before.exists()
    made = reporting.report([str(mine)], ways, None, silent)
    assert [path.name for path in made.written] == ["report.html"]
    assert "none of its 8 checkpoints has a validation picture" in made.runs[0].verdict.why


def test_weights_that_cannot_be_read_are_a_warning_without_a_path(mine: Path, ways: Ways) -> None:
    (warning,) = [one for one in scored(mine, replace(ways, effort="some")).judged.warnings if "weights" in one]
    assert warning.startswith(
        "the weights were not looked at: output/checkpoint-10/pytorch_lora_weights.safetensors no"
    )


def test_few_training_pictures_are_told(mine: Path, ways: Ways) -> None:
    assert scored(mine, ways).judged.warnings[0].startswith("the bands rest on 12 training pictures")


def test_another_dataset_can_be_given(mine: Path, ways: Ways, tmp_path: Path) -> None:
    for link in (mine / "pictures").iterdir():
        link.unlink()
    with pytest.raises(DatasetError, match=r"give --dataset"):
        scored(mine, ways)
    found = scored(mine, replace(ways, dataset=dataset(tmp_path)))
    assert found.judged.verdict.status == "chosen"


def test_pictures_of_a_folder_are_judged_and_nothing_is_written(mine: Path, ways: Ways, tmp_path: Path) -> None:
    given = replace(ways, dataset=dataset(tmp_path))
    folder = mine / "output" / "validation_images"
    found = scoring.score(Source(str(folder), "step_{step}_{prompt}_*.png"), given, silent)
    assert found.written == ()
    assert found.judged.status == "pictures"
    assert found.judged.verdict.status == "chosen"
    assert not (folder / "report").exists()


def test_a_strip_is_judged_by_its_columns(mine: Path, ways: Ways, tmp_path: Path) -> None:
    strip = Image.new("RGB", (8 * 128, 128), "white")
    for number in range(1, 9):
        path = mine / f"output/validation_images/step_{10 * number}_a_0_128x128.png"
        with Image.open(path) as painted:
            strip.paste(painted.crop((0, 0, 128, 128)), (128 * (number - 1), 0))
    strip.save(tmp_path / "strip.png")
    given = replace(ways, dataset=dataset(tmp_path))
    source = Source(str(tmp_path / "strip.png"), columns=8, steps=tuple(range(10, 90, 10)))
    found = scoring.score(source, given, silent).judged
    assert [one.step for one in found.steps] == list(range(10, 90, 10))
    assert [one.step for one in found.steps if one.flags] == [30]
    assert scoring.document(found)["pictures"][0]["path"] == "strip.png"
    bare = scoring.score(replace(source, steps=None), given, silent).judged
    assert bare.warnings[0] == "the steps of strip.png are not known: its pictures are numbered 1 to 8"


def test_what_does_not_fit_together_is_refused(mine: Path, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "no run").mkdir()
    cases: list[tuple[Source, type[KanjiprepError], str]] = [
        (
            Source(str(tmp_path / "no run")),
            InputError,
            "is no run; give a folder in which a run was launched, or --pat",
        ),
        (Source("nowhere"), UsageError, "no run 'nowhere'"),
        (Source("nowhere", pattern="{step}.png"), InputError, "nowhere: is not there"),
        (Source(str(mine), columns=3), UsageError, "is a folder; --columns is for one picture"),
        (Source(str(tmp_path / "a.png"), pattern="{step}.png"), UsageError, "is a file; --pattern is for a folder"),
        (Source(str(tmp_path / "a.png")), UsageError, "is a file; say with --columns"),
        (Source(str(tmp_path / "a.png"), columns=2), InputError, "a.png: cannot be read"),
    ]
    for source, kind, says in cases:
        with pytest.raises(kind, match=says):
            scoring.score(source, replace(ways, dataset=dataset(tmp_path)), silent)


def test_scores_that_cannot_be_written_are_told(mine: Path, ways: Ways) -> None:
    (mine / "report").write_text("in the way")
    with pytest.raises(TrainerError, match="report: cannot be made: file exists; fix the permissions"):
        scored(mine, ways)


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
    with pytest.raises(TrainerError, match="out: cannot be made: file exists; give --out another folder"):
        reporting.report([str(mine)], ways, tmp_path / "out", silent)


@pytest.mark.parametrize("checkpoints", [0, 1])
def test_a_run_that_has_hardly_begun_or_crashed_is_reported(tmp_path: Path, ways: Ways, checkpoints: int) -> None:
    run = paint(tmp_path, replace(PAINTING, checkpoints=checkpoints, exploded=(), best=1), ends=False)
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
