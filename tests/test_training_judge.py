from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.dataset import raw
from kanjiprep.dataset.kanjivg import KanjiVG
from kanjiprep.errors import DatasetError, InputError
from kanjiprep.evaluation import training_judge
from kanjiprep.evaluation.judge import store, train
from kanjiprep.evaluation.judge.train import Trained
from kanjiprep.evaluation.judging import Ways
from kanjiprep.progress import Progress, silent
from tests import judges

pytest.importorskip("torch")


def drawings(folder: Path) -> dict[str, str]:
    """Where the drawings of the small world of characters are, as the environment tells it."""
    content = judges.kanjivg_source().content
    assert isinstance(content, raw.GlyphFiles)
    folder.mkdir()
    for name, data in content.files.items():
        (folder / name).write_bytes(data)
    return {"KANJIPREP_KANJIVG": str(folder)}


def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have judges trained by a recipe of seconds."""
    whole = train.train

    def quick(dataset: Path, source: KanjiVG, out: Path, seed: int, progress: Progress) -> Trained:
        return whole(dataset, source, out, seed, progress, judges.QUICK)

    monkeypatch.setattr(train, "train", quick)


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(tmp_path / "characters", "off", False, tmp_path / "cache", tmp_path / "judges")


@pytest.fixture
def found(ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    quickly(monkeypatch)
    judges.write_dataset(tmp_path / "characters")
    return training_judge.train(ways, drawings(tmp_path / "kanji"), silent)


def test_a_judge_is_trained_on_the_dataset_and_kept(found: Trained, ways: Ways, tmp_path: Path) -> None:
    key = store.key_of(tmp_path / "characters")
    assert found.path == store.path_of(ways.judges, key)
    kept = store.load(ways.judges, key)
    assert kept is not None
    assert (kept.seed, kept.characters) == (training_judge.SEED, found.judge.characters)
    assert [path.name for path in ways.judges.iterdir()] == [found.path.name]


def test_what_was_learnt_is_told_in_lines_and_as_a_table(found: Trained) -> None:
    text = list(training_judge.lines(found))
    figures = found.judge.figures
    assert text[0].startswith(
        f"learnt     {figures.learnt} characters, {len(found.judge.components)} components, in "
    )
    assert text[1] == f"measured   on {figures.measured} characters that it has not learnt"
    assert text[-1] == f"kept       {found.path}"
    table = json.loads(json.dumps(training_judge.document(found), allow_nan=False))
    assert list(table) == [
        *("path", "dataset", "seconds", "cpu_s", "components", "characters", "seed", "figures"),
    ]
    assert (table["characters"], table["seed"]) == (len(found.judge.characters), training_judge.SEED)
    assert table["figures"]["learnt"] == figures.learnt


def test_without_a_dataset_nothing_is_fetched(ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="^dataset/: is not there; give the training pictures with --dataset$"):
        training_judge.train(replace(ways, dataset=None), {}, silent)


def test_what_is_no_dataset_or_no_drawings_is_told(ways: Ways, tmp_path: Path) -> None:
    environ = drawings(tmp_path / "kanji")
    with pytest.raises(DatasetError, match=r"characters/metadata\.csv: cannot be read"):
        training_judge.train(ways, environ, silent)
    judges.write_dataset(tmp_path / "characters")
    with pytest.raises(InputError, match="nowhere"):
        training_judge.train(ways, {"KANJIPREP_KANJIVG": str(tmp_path / "nowhere")}, silent)
    with pytest.raises(DatasetError, match="characters"):
        training_judge.train(ways, environ, silent)
    assert not ways.judges.exists()
