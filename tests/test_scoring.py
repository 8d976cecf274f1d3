from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep.errors import InputError, KanjiprepError, TrainerError, UsageError
from kanjiprep.evaluation import score_table, scoring
from kanjiprep.evaluation.choose import Verdict
from kanjiprep.evaluation.judged import WeightPoint
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.scoring import Scored, Source
from kanjiprep.progress import silent
from kanjiprep.publishing import choice
from kanjiprep.training.running import files, run_source
from tests import painted_run
from tests.painted_run import SMALL, forget, picture_of, small

STEPS = tuple(range(10, 90, 10))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def done(original: Path, tmp_path_factory: pytest.TempPathFactory, ways: Ways) -> Scored:
    """A run that was scored; it is only read."""
    return scored(painted_run.copied(original, tmp_path_factory.mktemp("scored")), ways)


@pytest.fixture
def mine(original: Path, tmp_path: Path) -> Path:
    return painted_run.copied(original, tmp_path)


@pytest.fixture
def given(ways: Ways, original: Path) -> Ways:
    """With the dataset, as pictures need it that no run tells of."""
    return replace(ways, dataset=original.parents[1])


def scored(run: Path, ways: Ways) -> Scored:
    return scoring.score(Source(str(run)), ways, silent)


def document_of(found: Scored) -> dict[str, Any]:
    """scores.json, in which only JSON's own numbers are."""
    text = (found.judged.folder / "report/scores.json").read_text("utf-8")
    return json.loads(text, parse_constant=pytest.fail)  # type: ignore[no-any-return]


# A run


def test_a_run_is_judged_and_publishing_takes_what_was_chosen(done: Scored) -> None:
    run, verdict = done.judged.folder, done.judged.verdict
    assert verdict.status == "chosen"
    kept = score_table.read(run)
    assert kept is not None
    assert kept.chosen == verdict.step
    chosen = choice.choose(run, run_source.state(run), None, kept)
    assert (chosen.step, chosen.how, chosen.warnings) == (verdict.step, "the best by report/scores.csv", ())
    dropped = choice.choose(run, run_source.state(run), "30", kept)
    assert [one.startswith("report/scores.csv flags the checkpoint of step 30") for one in dropped.warnings] == [True]


def test_the_table_has_a_row_a_checkpoint_and_these_columns(done: Scored) -> None:
    (table, document) = done.written
    assert [path.relative_to(done.judged.folder) for path in done.written] == [
        Path("report/scores.csv"),
        Path("report/scores.json"),
    ]
    header, *rows = table.read_text("utf-8").splitlines()
    assert header == "step,score,low,high,chosen,tied,style,shape,pictures,flags"
    assert [int(row.split(",")[0]) for row in rows] == list(STEPS)
    assert [row.split(",")[4] for row in rows].count("yes") == 1
    assert rows[2].endswith(",3,pictures")
    assert sorted(path.name for path in document.parent.iterdir()) == ["scores.csv", "scores.json"]


def test_the_document_has_the_verdict_and_every_picture(done: Scored) -> None:
    found, judged = document_of(done), done.judged
    assert list(found) == [
        *("tool", "run", "status", "verdict", "checkpoints", "ranked", "pictures", "phases", "weights"),
        *("warnings", "facts"),
    ]
    assert found["verdict"] == {
        "status": "chosen",
        "step": judged.verdict.step,
        "why": judged.verdict.why,
        "tied": list(judged.verdict.tied),
    }
    assert [one["path"] for one in found["checkpoints"]] == [f"output/checkpoint-{step}" for step in STEPS]
    assert len(found["pictures"]) == 24
    first = found["pictures"][0]
    assert (first["step"], first["prompt"], first["seed"], first["is_base"]) == (10, "a", 0, False)
    assert first["path"] == "output/validation_images/step_10_a_0_128x128.png"
    assert first["score"] == judged.pictures[0].score
    assert json.loads(json.dumps(scoring.document(judged))) == found


def test_what_is_kept_tells_nothing_of_this_machine(done: Scored) -> None:
    said = "".join(path.read_text("utf-8") for path in done.written)
    for root in (str(done.judged.folder.parent), str(Path.home()), "/tmp", "/home"):  # noqa: S108
        assert root not in said


def test_what_is_told_with_a_path_is_kept_without_it(done: Scored) -> None:
    told = replace(done.judged, warnings=("/home/alice/secret/a.png leads out, hf_abcdefghijklmnopqrstu",))
    assert scoring.document(told)["warnings"] == ["… leads out, …"]


def test_numbers_that_json_has_not_become_null(done: Scored) -> None:
    point = WeightPoint(10, math.nan, math.inf, 1.0, "", 0, "NaN in a")
    odd = replace(done.judged.pictures[0], statistics={"ink": math.nan})
    found = scoring.document(replace(done.judged, weights=(point,), pictures=(odd,)))
    assert (found["weights"][0]["frobenius"], found["weights"][0]["spectral"]) == (None, None)
    assert found["pictures"][0]["statistics"] == {"ink": None}
    json.dumps(found, allow_nan=False)


def test_names_that_are_no_unicode_are_kept(done: Scored, tmp_path: Path) -> None:
    odd = replace(done.judged, folder=tmp_path, name=os.fsdecode(b"mine\xff"))
    scoring.write(odd)
    assert json.loads((tmp_path / "report/scores.json").read_bytes())["run"] == "mine\udcff"


def test_scoring_twice_gives_the_same_bytes(mine: Path, ways: Ways) -> None:
    before = [path.read_bytes() for path in scored(mine, ways).written]
    assert [path.read_bytes() for path in scored(mine, ways).written] == before


def test_a_run_that_went_on_is_scored_anew(original: Path, mine: Path, ways: Ways) -> None:
    record = mine / files.EVENTS
    all_of_it = record.read_text("utf-8")
    early = [one for one in all_of_it.splitlines(keepends=True) if json.loads(one).get("step", 0) <= 50]
    record.write_text("".join(early), "utf-8")
    for step in STEPS[5:]:
        shutil.rmtree(mine / f"output/checkpoint-{step}")
        for prompt in SMALL.prompts:
            picture_of(mine, step, prompt).unlink()
    scored(mine, ways)
    before = score_table.read(mine)
    assert before is not None
    assert [row.step for row in before.rows] == [10, 20, 30, 40, 50]
    shutil.rmtree(mine / "output")
    shutil.copytree(original / "output", mine / "output")
    record.write_text(all_of_it, "utf-8")
    (late,) = choice.choose(mine, run_source.state(mine), None, before).warnings
    assert late == "report/scores.csv says nothing of checkpoints after step 50, and the last is of step 80"
    scored(mine, ways)
    after = score_table.read(mine)
    assert after is not None
    assert [row.step for row in after.rows] == list(STEPS)
    assert choice.choose(mine, run_source.state(mine), None, after).warnings == ()


def test_a_run_of_noise_alone_is_kept_with_nothing_chosen(tmp_path: Path, ways: Ways) -> None:
    run = small(tmp_path, replace(SMALL, checkpoints=2, exploded=(1, 2)))
    found = scored(run, ways)
    assert found.judged.verdict.status == "none"
    assert document_of(found)["verdict"]["status"] == "none"
    kept, state = score_table.read(run), run_source.state(run)
    assert kept is not None
    assert kept.chosen is None
    assert [(row.more["tied"], row.more["flags"]) for row in kept.rows] == [("no", "pictures")] * 2
    with pytest.raises(TrainerError, match="cannot tell which checkpoint is best: it chooses none"):
        choice.choose(run, state, "best", kept)
    last = choice.choose(run, state, None, kept)
    assert last.how == "the last one, since report/scores.csv chooses none"
    assert len(last.warnings) == 1


def test_a_run_without_pictures_is_told_and_its_scores_are_left(mine: Path, ways: Ways) -> None:
    forget(mine, '"validation"')
    shutil.rmtree(mine / "output/validation_images")
    says = "has no validation pictures, so nothing can be judged; let it train until its first validation"
    with pytest.raises(InputError, match=f"^{mine}: {says}"):
        scored(mine, ways)
    assert not (mine / "report").exists()


def test_a_run_whose_pictures_cannot_be_read_is_told(mine: Path, ways: Ways) -> None:
    for picture in (mine / "output/validation_images").iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read as a picture.* none of the 24 pictures on record"):
        scored(mine, ways)
    assert not (mine / "report").exists()


def test_pictures_of_several_sizes_are_told(mine: Path, ways: Ways) -> None:
    Image.new("RGB", (96, 96 + painted_run.STRIP_PX), "white").save(picture_of(mine, 10))
    picture_of(mine, 10).rename(picture_of(mine, 10, side_px=96))
    record = mine / files.EVENTS
    record.write_text(record.read_text("utf-8").replace("step_10_a_0_128x128", "step_10_a_0_96x96"), "utf-8")
    with pytest.raises(InputError, match="pictures of a are 96 x 96 and 128 x 128 px, which cannot be compared"):
        scored(mine, ways)


# What cannot be written


def test_a_report_folder_that_cannot_be_made_is_told(mine: Path, ways: Ways) -> None:
    (mine / "report").write_text("in the way")
    with pytest.raises(TrainerError, match=f"^{mine}/report: cannot be made: file exists; fix the permissions$"):
        scored(mine, ways)
    assert (mine / "report").read_text() == "in the way"


@pytest.mark.parametrize("name", ["scores.csv", "scores.json"])
def test_a_file_that_cannot_be_written_is_told(done: Scored, tmp_path: Path, name: str) -> None:
    (tmp_path / "report" / name).mkdir(parents=True)
    with pytest.raises(TrainerError, match=f"report/{name}: cannot be written: is a directory"):
        scoring.write(replace(done.judged, folder=tmp_path))
    assert not list((tmp_path / "report").glob(".*"))


def test_scores_of_what_can_no_longer_be_judged_are_taken_away(done: Scored, tmp_path: Path) -> None:
    empty = replace(done.judged, folder=tmp_path, verdict=Verdict("none", None, "there is no checkpoint", ()))
    scoring.write(replace(done.judged, folder=tmp_path))
    assert score_table.read(tmp_path) is not None
    assert scoring.write(empty) == (tmp_path / "report/scores.json",)
    assert score_table.read(tmp_path) is None
    (tmp_path / score_table.NAME).mkdir()
    with pytest.raises(TrainerError, match=r"scores.csv: cannot be removed: .*; move it away"):
        scoring.write(empty)


# Pictures of no run


def test_a_folder_is_judged_by_a_pattern_and_nothing_is_written(original: Path, done: Scored, given: Ways) -> None:
    before = sorted(original.rglob("*"))
    source = Source(str(original / "output"), "validation_images/step_{step}_{prompt}_*.png")
    found = scoring.score(source, given, silent)
    assert (found.written, found.judged.status, found.judged.name) == ((), "pictures", "output")
    assert found.judged.verdict.step == done.judged.verdict.step
    assert sorted(original.rglob("*")) == before
    first = scoring.document(found.judged)["pictures"][0]
    assert first["path"] == "validation_images/step_10_a_0_128x128.png"


@pytest.mark.parametrize("inside", ["", "validation_images", "output/validation_images"])
def test_a_folder_with_the_trainers_names_needs_no_pattern(
    original: Path, done: Scored, given: Ways, tmp_path: Path, inside: str
) -> None:
    shutil.copytree(original / "output/validation_images", tmp_path / "my.pictures" / inside, dirs_exist_ok=True)
    found = scoring.score(Source(str(tmp_path / "my.pictures")), given, silent)
    assert found.written == ()
    assert (found.judged.name, found.judged.verdict.step) == ("my.pictures", done.judged.verdict.step)


def test_the_folder_that_one_is_in_has_its_name(
    original: Path, given: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 50):
        shutil.copy(picture_of(original, step), tmp_path / f"{step}.png")
    monkeypatch.chdir(tmp_path)
    found = scoring.score(Source(".", "{step}.png"), given, silent).judged
    assert found.name == tmp_path.name
    assert [one["path"] for one in scoring.document(found)["pictures"]] == ["10.png", "50.png"]


def test_a_folder_behind_a_link_keeps_the_paths_in_it(original: Path, given: Ways, tmp_path: Path) -> None:
    (tmp_path / "there").symlink_to(original / "output")
    found = scoring.score(Source(str(tmp_path / "there"), "*/step_{step}_a_*.png"), given, silent).judged
    assert scoring.document(found)["pictures"][0]["path"].startswith("validation_images/step_10_a")


@pytest.fixture(scope="module")
def strip(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows of eight pictures."""
    whole = Image.new("RGB", (8 * 128, 3 * 128), "white")
    for row, prompt in enumerate("abc"):
        for column, step in enumerate(STEPS):
            picture = Image.open(picture_of(original, step, prompt)).crop((0, 0, 128, 128))
            whole.paste(picture, (128 * column, 128 * row))
    path = tmp_path_factory.mktemp("strip") / "strip.png"
    whole.save(path)
    return path


def test_a_strip_is_judged_by_its_columns_and_rows(strip: Path, given: Ways) -> None:
    found = scoring.score(Source(str(strip), columns=8, rows=3, steps=STEPS), given, silent)
    assert found.written == ()
    assert [one.step for one in found.judged.steps] == list(STEPS)
    assert 30 in [one.step for one in found.judged.steps if one.flags]
    assert {one.cell.prompt for one in found.judged.pictures} == {"row 1", "row 2", "row 3"}
    assert found.judged.name == "strip"
    first = scoring.document(found.judged)["pictures"][0]
    assert (first["path"], first["box"]) == ("strip.png", [0, 0, 128, 128])
    assert [path.name for path in strip.parent.iterdir()] == ["strip.png"]


def test_a_strip_whose_steps_are_not_known_says_so(strip: Path, given: Ways) -> None:
    found = scoring.score(Source(str(strip), columns=8, rows=3), given, silent).judged
    assert found.warnings[0] == "the steps of strip.png are not known: its pictures are numbered 1 to 8"
    assert [one.step for one in found.steps] == list(range(1, 9))


def test_the_base_models_column_of_a_strip_is_no_checkpoint(strip: Path, given: Ways) -> None:
    found = scoring.score(Source(str(strip), columns=8, rows=3, steps=(0, *STEPS[1:])), given, silent).judged
    assert [one.step for one in found.steps] == list(STEPS[1:])
    assert sum(one.cell.is_base for one in found.pictures) == 3


@pytest.mark.parametrize(
    ("place", "more", "kind", "says"),
    [
        ("no run", {}, InputError, "no run: is no run; give a folder in which a run was launched, or --pattern"),
        ("nowhere", {}, UsageError, "no run 'nowhere'"),
        ("x" * 300, {}, UsageError, "no run 'xxx"),
        ("nowhere", {"pattern": "{step}.png"}, InputError, "nowhere: is not there; give a run, a folder of"),
        ("x" * 300, {"columns": 3}, InputError, "xxx: is not there"),
        ("no run", {"columns": 3}, UsageError, "is a folder; --columns is for one picture with many in it"),
        ("no run", {"pattern": "{step}.png"}, InputError, "no run: has no picture that {step}.png fits; it has"),
        ("no run", {"pattern": "{stop}.png"}, UsageError, "{stop}"),
        ("a.png", {"pattern": "{step}.png"}, UsageError, "a.png: is a file; --pattern is for a folder"),
        ("a.png", {}, UsageError, "a.png: is a file; say with --columns how many pictures"),
        ("a.png", {"columns": 2}, InputError, "a.png: cannot be read as a picture"),
        ("b.png", {"columns": 2, "steps": (3, 2)}, UsageError, "the steps do not ascend"),
        ("b.png", {"columns": 2, "steps": (3,)}, UsageError, "1 steps for 2 columns"),
        ("b.png", {"columns": 40}, InputError, "b.png: is 256 x 128 px: 40 columns"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    given: Ways,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    more: dict[str, Any],
    kind: type[KanjiprepError],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"no picture")
    Image.new("RGB", (256, 128), "white").save("b.png")
    Path("no run").mkdir()
    with pytest.raises(kind) as caught:
        scoring.score(Source(place, **more), given, silent)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "no run"]
