from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.errors import DatasetError
from kanjiprep.evaluation import bands, features, reference
from kanjiprep.evaluation.reference import Training
from kanjiprep.progress import silent
from tests.test_features import sheet

DIGEST = "ab" * 32


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    monkeypatch.setattr(reference, "LEAST", 4)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(sheet(), 5 * number, 0)).convert("L").save(folder / f"{number}.png")
    return Training(folder, tuple(f"{number}.png" for number in range(3)), DIGEST)


def test_bands_are_measured_once_and_kept_by_the_datasets_digest(training: Training, tmp_path: Path) -> None:
    found = reference.load(training, tmp_path / "cache", silent)
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name == f"{DIGEST}-{reference.VERSION}.json"
    for name in training.names:
        (training.folder / name).unlink()
    again = reference.load(training, tmp_path / "cache", silent)
    assert [(one == other).all() for one, other in zip(_arrays(found), _arrays(again), strict=True)] == [True] * 5
    assert (again.usual, again.pictures, again.digest) == (found.usual, 6, DIGEST)


def _arrays(found: bands.Bands) -> list[features.Values]:
    return [found.low, found.middle, found.high, found.spread, found.bond]


def test_a_small_dataset_is_measured_in_several_hands(training: Training) -> None:
    assert reference.measure(training, silent).pictures == 6


def test_the_same_pictures_give_the_same_bands(training: Training) -> None:
    first, second = reference.measure(training, silent), reference.measure(training, silent)
    assert (first.high == second.high).all()


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text[:-9],
        lambda _: "[]",
        lambda _: "{}",
        lambda text: text.replace('"ink"', '"unk"'),
        lambda text: text.replace(DIGEST, "cd" * 32),
        lambda text: json.dumps(json.loads(text) | {"usual": 0}),
        lambda text: json.dumps(json.loads(text) | {"spread": [0] * 14}),
        lambda text: json.dumps(json.loads(text) | {"bond": [[1]]}),
        lambda text: json.dumps(json.loads(text) | {"low": [float("nan")] * 25}),
    ],
)
def test_kept_bands_that_are_damaged_or_of_others_are_measured_anew(
    training: Training, tmp_path: Path, harm: object
) -> None:
    assert callable(harm)
    found = reference.load(training, tmp_path, silent)
    path = tmp_path / f"{DIGEST}-{reference.VERSION}.json"
    whole = path.read_text("utf-8")
    path.write_text(harm(whole), "utf-8")
    assert (reference.load(training, tmp_path, silent).high == found.high).all()
    assert path.read_text("utf-8") == whole


def test_a_dataset_without_a_digest_is_known_by_its_files(training: Training) -> None:
    bare = Training(training.folder, training.names, "")
    before = bare.key
    assert len(before) == 64
    assert bare.key == before
    Image.fromarray(sheet()).save(training.folder / "1.png")
    assert bare.key != before


def test_what_cannot_be_kept_is_told(training: Training, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DatasetError, match="cache/.*json: cannot be written: "):
        reference.load(training, tmp_path / "cache", silent)


def test_a_training_picture_that_cannot_be_read_is_named(training: Training) -> None:
    (training.folder / "2.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"2\.png: cannot be read .* run kanjiprep check"):
        reference.measure(training, silent)


def test_a_sample_is_spread_evenly() -> None:
    names = tuple(map(str, range(1000)))
    found = reference.spread(names, 600)
    assert len(set(found)) == 600
    assert max(int(b) - int(a) for a, b in pairwise(found)) == 2
    assert reference.spread(names[:3], 600) == names[:3]
