from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kanjiprep.evaluation import ink

SIDE = 256
NAMES = (
    "ink pieces width spread length ends joints holes extent centre bend upright roughness fill".split()  # noqa: SIM905
)


def drawn(*lines: tuple[int, int, int, int], width: int = 9) -> NDArray[np.float32]:
    """Dark lines on light paper, 0 to 1."""
    picture = Image.new("L", (SIDE, SIDE), 245)
    pen = ImageDraw.Draw(picture)
    for line in lines:
        pen.line(line, 20, width)
    return np.asarray(picture, np.float32) / np.float32(255)


def shape(grey: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(NAMES, ink.shape(ink.find(grey)), strict=True))


LEVEL, UPRIGHT = (40, 128, 216, 128), (128, 40, 128, 216)
CROSS = drawn(LEVEL, UPRIGHT)


def test_a_cross_is_one_piece_with_four_ends_and_a_joint() -> None:
    found = shape(CROSS)
    assert np.expm1(found["pieces"]) == pytest.approx(1)
    assert found["ends"] * found["length"] == pytest.approx(4)
    assert found["joints"] * found["length"] == pytest.approx(1)
    assert found["holes"] == 0
    assert found["length"] == pytest.approx(2 * 176 / SIDE, rel=0.1)


def test_the_width_of_strokes_is_measured_in_px() -> None:
    for width in (5, 9, 15):
        found = shape(drawn(LEVEL, width=width))
        assert found["width"] == pytest.approx(width, abs=1.5)
        assert found["spread"] < 0.2


def test_a_ring_has_a_hole_and_no_ends() -> None:
    picture = Image.new("L", (SIDE, SIDE), 245)
    ImageDraw.Draw(picture).ellipse((60, 60, 196, 196), outline=20, width=9)
    found = shape(np.asarray(picture, np.float32) / np.float32(255))
    assert np.expm1(found["holes"]) == pytest.approx(1)
    assert found["ends"] == 0


def test_light_on_dark_has_the_same_shape() -> None:
    assert shape(1 - CROSS) == pytest.approx(shape(CROSS))


def test_less_contrast_has_the_same_shape() -> None:
    assert shape((CROSS * 0.4 + 0.3).astype(np.float32)) == pytest.approx(shape(CROSS))


def test_where_it_lies_changes_nothing_but_the_distance_from_the_centre() -> None:
    before, moved = shape(CROSS), shape(np.roll(CROSS, (20, -30), (0, 1)))
    assert moved.pop("centre") > before.pop("centre") + 0.1
    assert moved == pytest.approx(before, rel=0.02)


def test_level_lines_are_upright_and_slanted_ones_are_not() -> None:
    assert shape(CROSS)["upright"] > 0.9
    assert shape(drawn((50, 50, 200, 200)))["upright"] < 0.1


def test_an_empty_corner_is_seen() -> None:
    full = shape(drawn((40, 40, 216, 216), (40, 216, 216, 40)))["fill"]
    assert full > 0.8
    assert shape(drawn((40, 40, 40, 216), (40, 216, 216, 216), (216, 140, 216, 216)))["fill"] < 0.5 * full


def test_spots_are_counted_apart_from_the_ink() -> None:
    spotted = CROSS.copy()
    for at in (10, 30, 50, 70):
        spotted[at : at + 2, at : at + 2] = 0.1
    found = ink.find(spotted)
    assert found.specks == 4
    assert found.pieces == 1


def test_paper_is_what_lies_away_from_ink() -> None:
    far = ink.find(CROSS).far
    assert far[5, 5]
    assert not far[128, 128]
    assert not far[128 - 7, 60]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_sheet_of_one_level_gives_numbers(level: float) -> None:
    assert all(np.isfinite(ink.shape(ink.find(np.full((SIDE, SIDE), level, np.float32)))))
    assert len(ink.shape(ink.find(np.full((SIDE, SIDE), level, np.float32)))) == ink.SHAPES


def test_a_single_spot_of_ink_gives_numbers() -> None:
    spot = np.ones((SIDE, SIDE), np.float32)
    spot[100:105, 100:105] = 0
    assert np.isfinite(ink.shape(ink.find(spot))).all()
