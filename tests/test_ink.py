from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kanjiprep.evaluation import features, ink

SIDE = 256
NAMES = [one.name for one in features.STATISTICS if one.kind == "shape"]


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


def test_the_width_of_strokes_is_measured_in_px_and_an_odd_one_is_one_more() -> None:
    for width in range(4, 20):
        picture = np.full((SIDE, SIDE), 1, np.float32)
        picture[100 : 100 + width, 40:216] = 0
        assert shape(picture)["width"] == width + width % 2
        assert shape(picture)["width_spread"] < 0.2


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
def test_a_sheet_of_one_level_has_no_ink_and_no_shape(level: float) -> None:
    found = ink.find(np.full((SIDE, SIDE), level, np.float32))
    assert (found.pieces, found.specks, found.outline_px) == (0, 0, 0)
    assert ink.shape(found) == (0.0,) * ink.SHAPES


def test_a_dot_has_no_line_that_could_be_straight() -> None:
    dot = np.ones((SIDE, SIDE), np.float32)
    dot[100:105, 100:105] = 0
    found = shape(dot)
    assert (found["bend"], found["upright"]) == (1, 0)
    assert found["pieces"] == pytest.approx(np.log(2))


def test_a_single_px_is_a_speck_and_no_ink() -> None:
    dot = np.ones((SIDE, SIDE), np.float32)
    dot[128, 128] = 0
    assert ink.find(dot).specks == 1
    assert shape(dot)["ink"] == 0


def test_wavy_strokes_bend_and_straight_ones_do_not() -> None:
    bends = [shape(wave(height_px))["bend"] for height_px in (0, 2, 5, 10)]
    assert bends[0] < 0.01
    assert bends == sorted(bends)
    assert bends[-1] > 0.15


def wave(height_px: float) -> NDArray[np.float32]:
    """A wavy line, drawn large and reduced."""
    picture = Image.new("L", (4 * SIDE, 4 * SIDE), 245)
    points = [(x, 2 * SIDE + 4 * height_px * np.sin(x / 30)) for x in np.linspace(120, 900, 400)]
    ImageDraw.Draw(picture).line(points, 20, 36, joint="curve")
    return np.asarray(picture.reduce(4), np.float32) / np.float32(255)


def test_ragged_outlines_are_longer_than_smooth_ones() -> None:
    level, slanted = drawn(LEVEL), drawn((50, 50, 200, 200))
    assert shape(level)["roughness"] == pytest.approx(np.pi / 4, abs=0.1)
    assert 1.5 < shape(slanted)["roughness"] < 1.75
    ragged = level.copy()
    ragged[123, 40:216:2] = ragged[133, 40:216:2] = 0.1
    assert shape(ragged)["roughness"] > 1.3 * shape(level)["roughness"]


@settings(max_examples=20)
@given(st.integers(-35, 35), st.integers(-35, 35))
def test_a_character_that_moves_keeps_its_shape(down: int, right: int) -> None:
    moved, before = shape(np.roll(CROSS, (down, right), (0, 1))), shape(CROSS)
    moved.pop("centre")
    before.pop("centre")
    assert moved == pytest.approx(before, rel=0.02)


def test_dark_and_light_are_parted_between_their_levels() -> None:
    levels = np.full((8, 8), 200, np.uint8)
    levels[:2] = 30
    assert ink.split(levels) == pytest.approx(114.5)
    assert ((levels <= ink.split(levels)) == (levels == 30)).all()
