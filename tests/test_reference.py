from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.dataset import reference as cairo
from kanjiprep.dataset import workers
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import DatasetError, InputError
from kanjiprep.evaluation import bands, cell_pixels, features, reference
from kanjiprep.evaluation.reference import Training
from kanjiprep.progress import silent
from tests import sources
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


def test_the_same_pictures_give_the_same_bands_however_the_work_is_parted(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reference.measure(training, silent)
    monkeypatch.setattr(cell_pixels, "AT_ONCE", 1)
    monkeypatch.setattr(workers, "available", lambda: 1)
    heard: list[tuple[int, int]] = []
    second = reference.measure(training, lambda _, done, total: heard.append((done, total)))
    assert [(one == other).all() for one, other in zip(_arrays(first), _arrays(second), strict=True)] == [True] * 5
    assert heard == [(done, 6) for done in range(1, 7)]


def test_a_picture_in_colour_is_painted_from_its_brightness(training: Training) -> None:
    name = training.names[0]
    grey = np.asarray(Image.open(training.folder / name))
    Image.fromarray(np.stack([np.full_like(grey, 255), grey, grey], 2)).save(training.folder / "red.png")
    red, plain = (reference.painted(training.folder / one, np.random.default_rng(0)) for one in ("red.png", name))
    assert plain.shape == (256, 256, 3)
    assert 0.5 < np.ptp(red.mean(2)) / np.ptp(plain.mean(2)) < 1


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text[:-9],
        lambda _: "[]",
        lambda _: "{}",
        lambda text: text.replace('"ink"', '"unk"'),
        lambda text: text.replace(DIGEST, "cd" * 32),
        lambda text: json.dumps(json.loads(text) | {"formulas": features.VERSION - 1}),
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "formulas"}),
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
    (training.folder / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"pictures: 1\.png cannot be read: no such file .* run kanjiprep check"):
        reference.load(bare, training.folder.parent / "cache", silent)


def test_what_cannot_be_kept_is_told(training: Training, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DatasetError, match="cache/.*json: cannot be written: "):
        reference.load(training, tmp_path / "cache", silent)


def test_what_cannot_be_kept_leaves_nothing_behind(training: Training, tmp_path: Path) -> None:
    (tmp_path / "cache" / f"{DIGEST}-{reference.VERSION}.json").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"json: cannot be written: "):
        reference.load(training, tmp_path / "cache", silent)
    assert len(list((tmp_path / "cache").iterdir())) == 1


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


def test_bands_of_an_older_way_of_measuring_are_not_taken(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.load(training, tmp_path, silent)
    monkeypatch.setattr(reference, "VERSION", reference.VERSION + 1)
    reference.load(training, tmp_path, silent)
    assert len(list(tmp_path.glob(f"{DIGEST}-*.json"))) == 2


# The other reference: pictures of CairoSVG, by which our drawings are checked


def test_the_styles_stroke_width_and_margin_reach_cairosvg() -> None:
    svg = sources.svg(0x4E00, sources.ONE)
    plain, thick = (cairo.render(svg, Style(64, width), "f") for width in (3.0, 12.0))
    assert thick.mean() < plain.mean()
    inner = cairo.render(svg, Style(64, 3.0, 20), "f")
    assert inner[:, :20].min() == 255


def test_colours_become_grey() -> None:
    svg = sources.svg(0x4E00, sources.ONE, style=sources.STYLE.replace("#000000", "#ff0000"))
    assert np.unique(cairo.render(svg, Style(64), "f")).min() == 76


def test_what_cairosvg_cannot_draw_is_refused() -> None:
    broken = sources.svg(0x4E00, sources.Group("一", ("M1,1A5 5 x 0 1 9 9",)))
    with pytest.raises(InputError, match="f: CairoSVG cannot draw it: ValueError"):
        cairo.render(broken, Style(64), "f")
