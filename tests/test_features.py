from __future__ import annotations

import math
import re
from pathlib import Path

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
NUMBERS = dict(
    enumerate(("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"), 10)
)


def test_every_statistic_has_a_name_a_range_a_source_and_a_word_for_what_is_odd() -> None:
    assert len(set(features.NAMES)) == len(features.STATISTICS)
    assert all(one.range and one.source and (one.low or one.high) for one in features.STATISTICS)
    assert sum(~features.STYLE) == ink.SHAPES
    kinds = [one.kind for one in features.STATISTICS]
    assert kinds == sorted(kinds, key=("style", "shape").index)


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("README.md", r"(\w+) statistics say whether [^.]*, (\w+) whether it is built of strokes"),
        ("docs/judge.md", r"mean of what (\w+) statistics .* sound pictures in (\w+) statistics of the ink"),
    ],
)
def test_the_documents_say_how_many_there_are(page: str, pattern: str) -> None:
    text = " ".join((Path(__file__).parents[1] / page).read_text("utf-8").split())
    told = re.search(pattern, text)
    assert told is not None
    shapes = int((~features.STYLE).sum())
    assert [word.lower() for word in told.groups()] == [NUMBERS[len(features.NAMES) - shapes], NUMBERS[shapes]]


def test_what_is_not_ours_says_whose_it_is_and_of_when() -> None:
    others = [one.source for one in features.STATISTICS if one.source != "ours"]
    assert others
    assert all(re.search(r"\((19|20)\d\d\)", source) for source in others)


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


def limits(told: str) -> tuple[float, float]:
    """What the documented range of a statistic allows."""
    if told.startswith("log(1 + "):
        return 0, math.log1p(256 * 256)
    if told.startswith("px, "):
        return 0, 256
    found = re.match(r"(-?[\d.]+)(?: \w+)? (?:to ([\d.]+)\b|up\b)", told)
    assert found is not None, told
    return float(found[1]), float(found[2]) if found[2] else math.inf


def hold(picture: Picture) -> None:
    values = features.measure(picture)
    assert np.isfinite(values).all()
    for one, value in zip(features.STATISTICS, values, strict=True):
        low, high = limits(one.range)
        assert low - 1e-6 <= value <= high + 1e-6, (one.name, value, one.range)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 255), st.sampled_from([1, 2, 4, 16, 64, 256]), st.booleans())
def test_any_picture_gives_numbers_in_the_documented_ranges(seed: int, top: int, cell: int, grey: bool) -> None:
    size = (256 // cell, 256 // cell, 1 if grey else 3)
    small = np.random.default_rng(seed).integers(0, top + 1, size, dtype=np.uint8)
    hold(small.repeat(cell, 0).repeat(cell, 1).repeat(3 if grey else 1, 2))


def in_halves(first: tuple[int, int, int], second: tuple[int, int, int]) -> Picture:
    picture = np.empty((256, 256, 3), np.uint8)
    picture[:, :128], picture[:, 128:] = first, second
    return picture


def in_turn(down: int, right: int) -> Picture:
    """White on black, at every so many px."""
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[::down, ::right] = 255
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        in_halves((255, 255, 0), (0, 0, 255)),
        in_halves((255, 0, 0), (0, 255, 0)),
        in_halves((255, 0, 0), (255, 0, 0)),
        in_halves((0, 0, 0), (255, 255, 255)),
        in_turn(1, 2),
        in_turn(2, 2),
        in_turn(2, 1),
        np.zeros((256, 256, 3), np.uint8),
        np.full((256, 256, 3), 255, np.uint8),
        np.full((256, 256, 3), 128, np.uint8),
    ],
)
def test_the_strangest_pictures_lie_in_the_documented_ranges(picture: Picture) -> None:
    hold(picture)


def test_contrast_and_border_reach_the_ends_of_their_ranges() -> None:
    assert measured(in_turn(2, 2))["contrast"] == -1
    assert measured(in_halves((0, 0, 0), (255, 255, 255)))["border"] == pytest.approx(0.7413)


def test_inverted_moved_or_paler_pictures_have_the_same_shape() -> None:
    pale = (sheet() * 0.6 + 60).astype(np.uint8)
    for picture, free in ((255 - sheet(), ()), (pale, ()), (np.roll(sheet(), (9, -14), (0, 1)), ("centre",))):
        found = measured(picture)
        for one in features.STATISTICS:
            if one.kind == "shape" and one.name not in free:
                assert found[one.name] == pytest.approx(SOUND[one.name], rel=0.03, abs=1e-6), one.name


def test_blocks_that_are_on_no_grid_are_no_steps() -> None:
    blocks = np.asarray(Image.fromarray(sheet()).resize((16, 16)).resize((256, 256), 0))
    random = np.random.default_rng(0)
    shifted = np.array([np.roll(row, random.integers(16), 0) for row in blocks])
    assert measured(blocks)["steps"] > measured(shifted)["steps"] + 0.1
