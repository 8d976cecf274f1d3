from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.dataset import sources
from kanjiprep.errors import UsageError
from kanjiprep.evaluation import reference, trained
from kanjiprep.evaluation.judge import net, store, train
from kanjiprep.evaluation.reference import Training
from kanjiprep.progress import silent
from tests import judges, painted_run
from tests.conftest import Run

TOKEN = "hf_" + "x" * 34


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reference, "LEAST", 12)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg data"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return painted_run.small(tmp_path)


def test_score_prints_a_table_and_what_to_do_next(run: Run, mine: Path) -> None:
    code, out, err = run("score", "mine", "--weights", "off")
    assert code == 0
    assert out.splitlines()[0].lstrip().startswith("step  score")
    assert out.splitlines()[-1].startswith("verdict    step ")
    assert "written: runs/mine/report/scores.csv, runs/mine/report/scores.json" in err
    assert err.splitlines()[-1] == "Next: kanjiprep report runs/mine"
    assert TOKEN not in out + err + (mine / "report" / "scores.json").read_text("utf-8")


def test_score_as_json_is_one_document(run: Run, mine: Path) -> None:
    code, out, err = run("score", mine, "--weights", "off", "--json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0, "")
    assert document["verdict"]["status"] == "chosen"
    assert str(mine.parent) not in out


def test_report_says_where_to_look(run: Run, mine: Path) -> None:
    code, out, err = run("report", "mine", "--weights", "off")
    assert (code, out.split(":")[0]) == (0, "mine")
    assert err.splitlines()[-1] == "Open it: runs/mine/report/report.html"
    code, out, err = run("report", "mine", "--weights", "off", "--json", "--out", "out")
    assert json.loads(out)["page"] == "out/report.html"
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["score"], 2, "RUN: nothing to judge; give a run, a folder of pictures or a strip"),
        (["score", "mine", "--steps", "1,x"], 2, "--steps: '1,x' is no list of steps"),
        (["score", "mine", "--train-judge"], 2, "'mine' is not needed here; give --dataset alone"),
        (["score", "--train-judge", "--selfcheck"], 2, "--train-judge and --selfcheck are two things"),
        (["score", "mine", "--size-px", "64"], 3, "has no picture that is 64 px wide; there are pictures of 128 px"),
        (["score", "mine", "--trained"], 2, "no judge was trained on this dataset"),
        (["score", "mine", "--dataset", "nowhere"], 4, "nowhere/metadata.csv: cannot be read"),
        (["score", "empty"], 3, "empty: is no run"),
        (["report", "empty"], 3, "empty: is no run"),
        (["report", "mine", "mine"], 2, "is given twice"),
        (["report"], 2, "Missing argument 'RUN...'"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    run: Run, mine: Path, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in mine.rglob("*"))
    got, out, err = run(*words, *(["--weights", "off"] if "mine" in words else []))
    assert (got, out) == (code, "")
    assert says in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
    assert sorted(path.name for path in mine.rglob("*")) == before


def test_a_picture_that_cannot_be_read_is_left_out_and_told(run: Run, mine: Path) -> None:
    (mine / "output/validation_images/step_10_a_0_128x128.png").write_bytes(b"no picture")
    code, _, err = run("score", "mine", "--weights", "off")
    assert code == 0
    assert "warning: output/validation_images/step_10_a_0_128x128.png cannot be read" in err


def test_a_dataset_of_photographs_cannot_be_checked(run: Run, mine: Path, tmp_path: Path) -> None:
    code, _, err = run("score", "--selfcheck", "--dataset", tmp_path)
    assert code == 4
    assert err.splitlines()[-1].startswith("error: ")


@pytest.fixture
def judge(tmp_path: Path) -> Training:
    """A judge trained on a small world of characters, in the folder where score looks for it."""
    folder = judges.write_dataset(tmp_path / "characters")
    train.train(folder, judges.kanjivg_source(), store.default_folder(), 1, silent, judges.QUICK)
    return Training(folder, (), store.key_of(folder))


def test_a_trained_judge_is_there_for_its_dataset_alone(judge: Training) -> None:
    assert trained.ready(store.default_folder(), judge, must=True) is not None
    assert trained.ready(store.default_folder(), Training(judge.folder, (), "ef" * 32), must=False) is None
    assert trained.ready(store.default_folder(), Training(judge.folder, (), ""), must=False) is None


def test_without_torch_the_trained_judge_is_left_out_unless_it_must_look(
    judge: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "_has_torch", lambda: False)
    assert trained.ready(store.default_folder(), judge, must=False) is None

    def refuse() -> None:
        raise UsageError("needs torch")

    monkeypatch.setattr(net, "load_torch", refuse)
    with pytest.raises(UsageError, match="needs torch"):
        trained.ready(store.default_folder(), judge, must=True)


def test_what_the_trained_judge_saw_is_told(run: Run, mine: Path, judge: Training) -> None:
    environment = json.loads((mine / "environment.json").read_text("utf-8"))
    (mine / "environment.json").write_text(json.dumps(environment | {"digest": judge.digest}))
    code, out, _ = run("score", "mine", "--weights", "off", "--trained")
    assert code == 0
    assert "seen in    a: " in out
    assert "novelty" in out
    document = json.loads((mine / "report" / "scores.json").read_text("utf-8"))
    assert len(document["pictures"][0]["parts"]["nearest"]) == 3


def test_a_judge_is_trained_and_told_with_its_figures(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = judges.write_dataset(tmp_path / "characters")
    whole: Any = train.train

    def quick(*words: Any) -> train.Trained:
        trained_one: train.Trained = whole(*words, judges.QUICK)
        return trained_one

    monkeypatch.setattr(sources, "find", lambda *_: None)
    monkeypatch.setattr(sources, "read_kanjivg", lambda _: judges.kanjivg_source())
    monkeypatch.setattr(train, "train", quick)
    code, out, err = run("score", "--train-judge", "--dataset", folder)
    assert code == 0
    assert out.splitlines()[0].startswith("learnt     ")
    assert out.splitlines()[-1].startswith(f"kept       {tmp_path}/xdg data/kanjiprep/judges/")
    assert err.splitlines()[-1] == "Next: kanjiprep score RUN"
    code, out, _ = run("score", "--train-judge", "--dataset", folder, "--json")
    assert json.loads(out)["figures"]["learnt"] > 0
