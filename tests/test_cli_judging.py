from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.evaluation import reference
from kanjiprep.evaluation.judge import store, train
from kanjiprep.evaluation.proof import selfcheck
from kanjiprep.progress import silent
from tests import judges, painted_run
from tests.conftest import Run
from tests.painted_run import SMALL, forget, picture_of, small
from tests.run_folders import prepared, write_environment
from tests.test_training_judge import drawings, quickly

FEW = replace(SMALL, checkpoints=2, exploded=(2,), best=1, prompts=("a", "b"))
OFF = ("--weights", "off")
TOKEN = "hf_" + "x" * 34


@pytest.fixture(scope="module")
def _few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "LEAST", painted_run.TRAINING)
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("painted"), FEW)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path, _few: None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg data"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mine(original: Path, tmp_path: Path) -> Path:
    return painted_run.copied(original, tmp_path)


# score RUN


def test_score_prints_a_table_and_what_to_do_next(run: Run, mine: Path) -> None:
    code, out, err = run("score", "mine", *OFF)
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["step", "score"]
    assert out.splitlines()[-1].startswith("verdict    step 10 scores ")
    assert "warning: the bands rest on 12 training pictures" in err
    assert "written: runs/mine/report/scores.csv, runs/mine/report/scores.json" in err
    assert err.splitlines()[-1] == "Next: kanjiprep report runs/mine"
    assert TOKEN not in out + err + (mine / "report" / "scores.json").read_text("utf-8")


def test_score_as_json_is_the_document_that_is_kept(run: Run, mine: Path) -> None:
    code, out, err = run("score", mine, *OFF, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out, parse_constant=pytest.fail)
    assert document == json.loads((mine / "report" / "scores.json").read_text("utf-8"))
    assert document["verdict"]["step"] == 10
    assert str(mine.parent) not in out


def test_a_run_of_noise_says_so_and_is_no_failure(run: Run, tmp_path: Path) -> None:
    mine = small(tmp_path, replace(FEW, exploded=(1, 2)))
    code, out, err = run("score", mine, *OFF)
    assert code == 0
    assert out.splitlines()[-1].startswith("verdict    none: none of 2 checkpoints is sound")
    assert out.splitlines()[-1].endswith("exploded pictures: 4 of 4 (no ink on paper)")
    assert out.count("dropped for its pictures") == 2
    assert "Traceback" not in out + err


def test_a_name_with_spaces_is_told_as_it_must_be_typed(run: Run, original: Path, tmp_path: Path) -> None:
    painted_run.copied(original, tmp_path, "my run")
    assert run("score", "my run", *OFF)[2].splitlines()[-1] == "Next: kanjiprep report 'runs/my run'"


def test_a_run_elsewhere_is_told_with_its_whole_path(
    run: Run, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("score", mine, *OFF)[2].splitlines()[-1] == f"Next: kanjiprep report {mine}"


# score FOLDER, score STRIP


def test_a_folder_of_pictures_is_judged_and_nothing_is_written(run: Run, original: Path, mine: Path) -> None:
    before = sorted(mine.rglob("*"))
    dataset = ("--dataset", original.parents[1])
    for words in (
        (mine / "output", "--pattern", "validation_images/step_{step}_{prompt}_*"),
        (mine / "output/validation_images",),
    ):
        code, out, err = run("score", *words, *dataset)
        assert (code, out.splitlines()[-1].split()[:3]) == (0, ["verdict", "step", "10"])
        assert "written" not in err
        assert "Next" not in err
    assert sorted(mine.rglob("*")) == before


def test_a_strip_is_judged_by_its_columns_rows_and_steps(run: Run, original: Path, tmp_path: Path) -> None:
    strip = Image.new("RGB", (2 * 128, 2 * 128), "white")
    for row, prompt in enumerate("ab"):
        for column, step in enumerate((10, 20)):
            picture = Image.open(picture_of(original, step, prompt)).crop((0, 0, 128, 128))
            strip.paste(picture, (128 * column, 128 * row))
    strip.save("strip.png")
    words = ("score", "strip.png", "--columns", 2, "--rows", 2, "--dataset", original.parents[1], "--json")
    code, out, err = run(*words, "--steps", " 1_200, 2400")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert [one["step"] for one in document["checkpoints"]] == [1200, 2400]
    assert [one["prompt"] for one in document["pictures"]] == ["row 1", "row 2"] * 2
    assert [one["step"] for one in json.loads(run(*words)[1])["checkpoints"]] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["strip.png"]


# report


def test_report_says_where_to_look(run: Run, mine: Path) -> None:
    code, out, err = run("report", "mine", *OFF)
    assert (code, out.split(":")[0]) == (0, "mine")
    assert err.splitlines()[-1] == "Open it: runs/mine/report/report.html"
    assert TOKEN not in "".join(path.read_bytes().decode("latin-1") for path in (mine / "report").iterdir())


def test_report_as_json_names_every_file(run: Run, mine: Path, tmp_path: Path) -> None:
    code, out, err = run("report", "mine", *OFF, "--json", "--out", "out")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0, "")
    assert document["page"] == "out/report.html"
    assert sorted(document["written"]) == sorted(f"out/{path.name}" for path in (tmp_path / "out").iterdir())


def test_report_of_several_runs_says_which_is_best(run: Run, mine: Path, original: Path, tmp_path: Path) -> None:
    painted_run.copied(original, tmp_path, "other")
    code, out, err = run("report", "mine", "other", *OFF)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["mine", "other", "together"]
    assert err.splitlines()[-1] == "Open it: report/report.html"


# What does not go


Spoil = Callable[[Path], object]


def no_pictures(mine: Path) -> None:
    forget(mine, '"validation"')
    shutil.rmtree(mine / "output/validation_images")


def other_size(mine: Path) -> None:
    odd = picture_of(mine, 10, side_px=96)
    Image.new("RGB", (96, 96 + painted_run.STRIP_PX), "white").save(odd)
    record = mine / "events.jsonl"
    record.write_text(record.read_text("utf-8").replace(picture_of(mine, 10).name, odd.name), "utf-8")


def no_links(mine: Path) -> None:
    for link in (mine / "pictures").iterdir():
        link.unlink()
        link.symlink_to("/nowhere/0.png")


def one_unreadable(mine: Path) -> None:
    for picture in (mine / "output/validation_images").iterdir():
        picture.write_bytes(b"no picture")


def damaged_judge(mine: Path) -> None:
    store.default_folder().mkdir(parents=True)
    store.path_of(store.default_folder(), "ab" * 32).write_bytes(b"no judge")


def nothing(_: Path) -> None:
    return


@pytest.mark.parametrize(
    ("words", "spoil", "code", "says"),
    [
        (["score"], nothing, 2, "RUN: nothing to judge; give a run, a folder of pictures or a strip; see --help"),
        (["score", ""], nothing, 2, "the name of a run is empty"),
        (["report", ""], nothing, 2, "the name of a run is empty"),
        (["score", "nowhere"], nothing, 2, "no run 'nowhere'; there are mine"),
        (["score", "x" * 300], nothing, 2, "no run 'xxx"),
        (["score", "nowhere", "--pattern", "{step}.png"], nothing, 3, "nowhere: is not there; give a run, a folder"),
        (["score", "empty"], nothing, 3, "empty: is no run; give a folder in which a run was launched, or --pattern"),
        (["score", "empty", "--pattern", "a"], nothing, 2, "pattern 'a': has no {step}"),
        (["score", "empty", "--pattern", "{step}.png"], nothing, 3, "empty: has no picture that {step}.png fits"),
        (["score", "empty", "--columns", "3"], nothing, 2, "empty: is a folder; --columns is for one picture"),
        (["score", "a.png"], nothing, 2, "a.png: is a file; say with --columns"),
        (["score", "a.png", "--pattern", "{step}.png"], nothing, 2, "a.png: is a file; --pattern is for a folder"),
        (["score", "a.png", "--columns", "2"], nothing, 3, "a.png: cannot be read as a picture"),
        (["score", "a.png", "--columns", "0"], nothing, 2, "0 is not in the range"),
        (["score", "a.png", "--columns", "2", "--steps", "1,x"], nothing, 2, "--steps: '1,x' is no list of steps"),
        (["score", "a.png", "--columns", "2", "--steps", ""], nothing, 2, "--steps: '' is no list of steps"),
        (["score", "a.png", "--columns", "2", "--steps", "1,１"], nothing, 2, "is no list of steps; give whole"),
        (["score", "a.png", "--columns", "2", "--steps", "1" * 10], nothing, 2, "is no list of steps"),
        (["score", "a.png", "--columns", "2", "--steps", "1"], nothing, 2, "1 steps for 2 columns"),
        (["score", "a.png", "--columns", "2", "--size-px", "64"], nothing, 2, "--size-px: is only for a run or a"),
        (["score", "mine", "--rows", "2"], nothing, 2, "--rows: is only for a strip, with --columns; leave it out"),
        (["score", "mine", "--steps", "1,2"], nothing, 2, "--steps: is only for a strip, with --columns"),
        (["score", "mine"], no_pictures, 3, "mine: has no validation pictures, so nothing can be judged"),
        (["score", "mine"], other_size, 3, "pictures of a are 96 x 96 and 128 x 128 px, which cannot be compared"),
        (["score", "mine"], one_unreadable, 3, "cannot be read as a picture"),
        (["score", "mine"], no_links, 4, "0.png that the run was trained on cannot be found; give --dataset"),
        (["score", "mine"], damaged_judge, 3, "train it again with kanjiprep score --train-judge"),
        (
            ["score", "mine", "--size-px", "64"],
            nothing,
            3,
            "has no picture that is 64 px wide; there are pictures of 1",
        ),
        (["score", "mine", "--trained"], nothing, 2, "no judge was trained on this dataset; train one with"),
        (["score", "mine", "--dataset", "nowhere"], nothing, 4, "nowhere/metadata.csv: cannot be read"),
        (["score", "mine", "--dataset", "empty"], nothing, 4, "empty/metadata.csv: cannot be read"),
        (["score", "mine/output"], nothing, 3, "mine/output: is no run; give a folder in which a run"),
        (["score", "runs/mine/output"], nothing, 4, "dataset/: is not there; give the training pictures with --dat"),
        (["score", "new"], nothing, 3, "new: has not begun, so there is nothing to judge"),
        (["score", "mine", "--train-judge"], nothing, 2, "'mine' is not needed here; give --dataset alone"),
        (["score", "mine", "--selfcheck"], nothing, 2, "'mine' is not needed here; give --dataset alone"),
        (["score", "--train-judge", "--selfcheck"], nothing, 2, "--train-judge and --selfcheck are two things"),
        (["score", "--train-judge"], nothing, 4, "dataset/: is not there; give the training pictures"),
        (["score", "--weights", "few"], nothing, 2, "'few' is not one of 'off', 'some', 'all'"),
        (["report"], nothing, 2, "Missing argument 'RUN...'"),
        (["report", "empty"], nothing, 3, "empty: is no run"),
        (["report", "new"], nothing, 3, "new: has not begun, so there is nothing to judge"),
        (["report", "mine", "runs/mine"], nothing, 2, "runs/mine: is given twice; give each run once"),
        (["report", "mine", "--out", "a.png"], nothing, 6, "a.png: is no folder; give --out another folder"),
        (["report", "mine"], other_size, 3, "which cannot be compared"),
        (["report", "mine"], no_links, 4, "cannot be found; give --dataset; it was /home/alice/"),
    ],
)
def test_what_does_not_go_is_one_line_and_an_exit_code(
    run: Run, mine: Path, tmp_path: Path, words: list[str], spoil: Spoil, code: int, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(b"no picture")
    prepared(tmp_path / "other").rename(tmp_path / "runs" / "new")
    spoil(mine)
    before = sorted(tmp_path.rglob("*"))
    got, out, err = run(*words, *(OFF if "mine" in words else ()))
    talk, line = err.splitlines()[:-1], err.splitlines()[-1]
    assert (got, out) == (code, "")
    assert line.startswith("error: ")
    assert says in line
    assert not any("error" in one or "Traceback" in one for one in talk)
    assert TOKEN not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_scores_that_cannot_be_written_are_told(run: Run, mine: Path) -> None:
    (mine / "report").write_text("in the way")
    code, out, err = run("score", "mine", *OFF)
    assert (code, out) == (6, "")
    assert err.splitlines()[-1].endswith("runs/mine/report: cannot be made: file exists; fix the permissions")
    code, out, err = run("report", "mine", *OFF)
    assert (code, out, err.count("\n")) == (6, "", 1)


def test_a_picture_that_cannot_be_read_is_left_out_and_told(run: Run, mine: Path) -> None:
    picture_of(mine, 10).write_bytes(b"no picture")
    code, _, err = run("score", "mine", *OFF)
    assert code == 0
    assert "warning: output/validation_images/step_10_a_0_128x128.png cannot be read" in err


# The trained judge


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a judge, trained on a small world of characters."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("judges")
    dataset = judges.write_dataset(folder / "dataset")
    return train.train(dataset, judges.kanjivg_source(), folder, 1, silent, judges.QUICK).path


@pytest.fixture
def known(mine: Path, trained: Path) -> Path:
    """A run on the dataset of that judge, which is where it is looked for."""
    write_environment(mine, digest=trained.stem)
    store.default_folder().mkdir(parents=True)
    shutil.copy(trained, store.default_folder())
    return mine


@pytest.mark.parametrize("words", [(), ("--trained",)])
def test_what_the_trained_judge_saw_is_told_beside_the_score(
    run: Run, known: Path, cache: Path, words: tuple[str, ...]
) -> None:
    code, out, _ = run("score", "mine", *OFF, *words)
    assert code == 0
    assert [line.split(";")[0].split(":")[0] for line in out.splitlines() if "novelty" in line] == [
        "seen in    a",
        "seen in    b",
    ]
    document = json.loads((known / "report" / "scores.json").read_text("utf-8"))
    assert all(len(one["parts"]["nearest"]) == 3 for one in document["pictures"] if one["step"] == 10)


def test_without_torch_it_is_left_out_in_silence_unless_asked_for(
    run: Run, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = run("score", "mine", *OFF)
    assert code == 0
    assert "seen in" not in out
    assert "torch" not in err
    assert json.loads((known / "report" / "scores.json").read_text("utf-8"))["pictures"][0]["parts"] is None
    code, out, err = run("score", "mine", *OFF, "--trained")
    assert (code, out) == (2, "")
    assert err == "error: needs torch; pip install 'kanjiprep[score]'\n"


def test_a_judge_is_trained_and_told_with_its_figures(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    quickly(monkeypatch)
    monkeypatch.setenv("KANJIPREP_KANJIVG", drawings(tmp_path / "kanji")["KANJIPREP_KANJIVG"])
    folder = judges.write_dataset(tmp_path / "characters")
    code, out, err = run("score", "--train-judge", "--dataset", folder)
    assert code == 0
    assert out.splitlines()[0].startswith("learnt     ")
    assert out.splitlines()[-1].startswith(f"kept       {tmp_path}/xdg data/kanjiprep/judges/")
    assert err.splitlines()[-1] == "Next: kanjiprep score RUN"
    code, out, err = run("score", "--train-judge", "--dataset", folder, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["figures"]["learnt"] > 0


# The proof


def test_a_dataset_of_no_characters_cannot_prove_the_judge(run: Run, original: Path) -> None:
    code, out, err = run("score", "--selfcheck", "--dataset", original.parents[1])
    assert (code, out) == (4, "")
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_proof_is_shown_and_then_held_to_its_figures(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    told: list[object] = []
    monkeypatch.setattr(selfcheck, "run", lambda ways, *_: {"dataset": str(ways.dataset)})
    monkeypatch.setattr(selfcheck, "lines", lambda found: [f"as good as it should be on {found['dataset']}"])
    monkeypatch.setattr(selfcheck, "refuse_worse", told.append)
    code, out, err = run("score", "--selfcheck", "--dataset", "some", *words)
    assert (code, err) == (0, "")
    assert told == [{"dataset": "some"}]
    assert (json.loads(out) == told[0]) if words else (out == "as good as it should be on some\n")
