from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from kanjiprep.errors import InputError, UsageError
from kanjiprep.evaluation import trained
from kanjiprep.evaluation.judge import store, train
from kanjiprep.evaluation.reference import Training
from kanjiprep.progress import silent
from tests import judges

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge of a small world of characters, and their dataset beside it."""
    folder = tmp_path_factory.mktemp("judges")
    dataset = judges.write_dataset(folder / "dataset")
    train.train(dataset, judges.kanjivg_source(), folder, 1, silent, judges.QUICK)
    return folder


@pytest.fixture
def training(folder: Path) -> Training:
    return Training(folder / "dataset", (), store.key_of(folder / "dataset"))


def test_the_judge_of_a_dataset_is_there_for_that_dataset(folder: Path, training: Training) -> None:
    for must in (True, False):
        found = trained.ready(folder, training, must=must)
        assert found is not None
        assert found.dataset == training.digest


@pytest.mark.parametrize("digest", ["ef" * 32, ""])
def test_without_one_it_is_left_out_unless_it_must_look(folder: Path, training: Training, digest: str) -> None:
    other = Training(training.folder, (), digest)
    assert trained.ready(folder, other, must=False) is None
    says = "dataset: no judge was trained on this dataset; train one with kanjiprep score --train-judge$"
    with pytest.raises(UsageError, match=says):
        trained.ready(folder, other, must=True)


def test_without_torch_it_is_left_out_unless_it_must_look(
    folder: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert trained.ready(folder, training, must=False) is None
    with pytest.raises(UsageError, match=r"^needs torch; pip install 'kanjiprep\[score\]'$"):
        trained.ready(folder, training, must=True)


def test_a_damaged_judge_is_told(folder: Path, training: Training, tmp_path: Path) -> None:
    path = store.path_of(tmp_path, training.digest)
    shutil.copy(store.path_of(folder, training.digest), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for must in (True, False):
        with pytest.raises(InputError, match=f"^{path}: was changed since it was written; train it again with"):
            trained.ready(tmp_path, training, must=must)
