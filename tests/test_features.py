from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from kanjiprep.evaluation import features, ink

Picture = NDArray[np.uint8]


def sheet(paper: tuple[int, int, int] = (245, 245, 245), dark: tuple[int, int, int] = (20, 20, 20)) -> Picture:
    picture = Image.new("RGB", (256, 256), paper)
    pen = ImageDraw.Draw(picture)
    pen.line((40, 128, 216, 128), dark, 9)
    pen.line((128, 40, 128, 216), dark, 9)
    return np.asarray(picture)


def measured(picture: Picture) -> dict[str, float]:
    return dict(zip(features.NAMES, features.measure(picture).tolist(), strict=True))


SOUND = measured(sheet())


def test_every_statistic_has_a_name_a_range_a_source_and_a_word_for_what_is_odd() -> None:
    assert len(set(features.NAMES)) == len(features.STATISTICS)
    assert all(one.range and one.source and (one.low or one.high) for one in features.STATISTICS)
    assert sum(~features.STYLE) == ink.SHAPES
    kinds = [one.kind for one in features.STATISTICS]
    assert kinds == sorted(kinds, key=("style", "shape").index)


def test_black_on_white_is_plain() -> None:
    assert SOUND["colour"] == 0
    assert SOUND["paper"] == pytest.approx(245 / 255, abs=0.01)
    assert SOUND["contrast"] == pytest.approx(225 / 255, abs=0.01)
    assert [SOUND[name] for name in ("border", "grain", "unevenness", "specks")] == pytest.approx([0] * 4, abs=1e-6)
    assert SOUND["polarity"] > 0


@pytest.mark.parametrize(
    ("picture", "name", "more"),
    [
        (sheet(paper=(255, 230, 200)), "colour", 10.0),
        (np.asarray(Image.fromarray(sheet()).filter(ImageFilter.GaussianBlur(6))), "softness", 5.0),
        (np.asarray(Image.fromarray(sheet()).filter(ImageFilter.GaussianBlur(6))), "middle", 0.05),
        (np.asarray(Image.fromarray(sheet()).resize((16, 16)).resize((256, 256), 0)), "steps", 0.3),
    ],
)
def test_what_is_wrong_raises_its_statistic(picture: Picture, name: str, more: float) -> None:
    assert measured(picture)[name] > SOUND[name] + more


def test_noise_is_grain_on_the_paper_and_at_the_border() -> None:
    random = np.random.default_rng(0)
    noisy = np.clip(sheet() + random.normal(0, 20, (256, 256, 3)), 0, 255).astype(np.uint8)
    found = measured(noisy)
    assert found["grain"] > 0.02
    assert found["border"] > 0.02


def test_a_shadow_is_uneven_paper_without_grain() -> None:
    shadow = np.linspace(1, 0.6, 256)[None, :, None]
    found = measured((sheet() * shadow).astype(np.uint8))
    assert found["unevenness"] > 0.05
    assert found["grain"] < 0.01


def test_white_on_black_has_the_other_polarity() -> None:
    found = measured(255 - sheet())
    assert found["polarity"] < 0
    assert found["paper"] < 0.1


def test_a_simple_character_is_no_empty_sheet() -> None:
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).line((100, 100, 140, 150), (10, 10, 10), 8)
    assert measured(np.asarray(picture))["contrast"] > 0.8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 255), st.sampled_from([1, 4, 16, 64, 256]))
def test_any_picture_gives_numbers(seed: int, top: int, cell: int) -> None:
    small = np.random.default_rng(seed).integers(0, top + 1, (256 // cell, 256 // cell, 3), dtype=np.uint8)
    picture = small.repeat(cell, 0).repeat(cell, 1)
    assert np.isfinite(features.measure(picture)).all()
