from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kanjiprep.errors import InputError
from kanjiprep.evaluation import strip_cells
from kanjiprep.training.running.picture_file import Box

SIDE = 96


def strokes(side: int = SIDE, rows: Sequence[float] = (0.25, 0.5, 0.75), height: int = 0) -> Image.Image:
    """三, by default."""
    drawn = Image.new("RGB", (side, height or side), "white")
    for row in rows:
        at = row * drawn.height
        ImageDraw.Draw(drawn).rectangle((0.12 * side, at - 0.03 * side, 0.88 * side, at + 0.03 * side), "black")
    return drawn


def gate(side: int = SIDE) -> Image.Image:
    """門, roughly: its outer strokes are near the edges."""
    return strokes(side, (0.15, 0.3, 0.45)).transpose(Image.Transpose.TRANSPOSE)


def frame(side: int = SIDE) -> Image.Image:
    drawn = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(drawn).rectangle((0.1 * side, 0.1 * side, 0.9 * side, 0.9 * side), "white", "black", side // 16)
    return drawn


def noise(side: int = SIDE, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def laid(
    pictures: Sequence[Image.Image],
    columns: int,
    gap: int = 0,
    border: int = 0,
    colour: str = "black",
    above: int = 0,
    below: int = 0,
) -> tuple[Image.Image, tuple[Box, ...]]:
    """A strip, ``above`` and ``below`` pixels of ``colour`` higher, and where its pictures are."""
    width, height = pictures[0].size
    rows = len(pictures) // columns
    size = (columns * (width + gap) - gap + 2 * border, rows * (height + gap) - gap + 2 * border + above + below)
    whole, boxes = Image.new("RGB", size, colour), []
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        left, top = border + column * (width + gap), border + above + row * (height + gap)
        whole.paste(picture, (left, top))
        boxes.append((left, top, left + width, top + height))
    return whole, tuple(boxes)


def write(whole: Image.Image, boxes: Sequence[Box], top: int, ink: str) -> None:
    for left, *_ in boxes:
        ImageDraw.Draw(whole).text((left + 20, top), "step 14400", ink, font_size=12)


def saved(picture: Image.Image, kind: str) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, kind, quality=90)
    with Image.open(data) as again:
        return again.convert("RGB")


def off_px(found: Sequence[Box], boxes: Sequence[Box]) -> int:
    assert len(found) == len(boxes)
    return int(np.abs(np.array(found) - np.array(boxes)).max())


MANY = [strokes(), noise(), gate(), frame(), noise(seed=1), strokes(rows=(0.5,))]


@pytest.mark.parametrize("gap", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("border", [0, 3, 5])
@pytest.mark.parametrize("colour", ["black", "red", "#808080"])
def test_separators_and_a_frame_are_left_out(gap: int, border: int, colour: str) -> None:
    whole, boxes = laid(MANY, 6, gap, border, colour)
    assert strip_cells.find(whole, 6, 1, "a.png") == boxes
    whole, boxes = laid(MANY * 2, 4, gap, border, colour)
    assert strip_cells.find(whole, 4, 3, "a.png") == boxes
    whole, boxes = laid(MANY[:4], 2, gap, border, colour)
    assert strip_cells.find(whole, 2, 2, "a.png") == boxes


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("colour", ["black", "#c0c0c0"])
def test_in_blurred_files_they_are_found_to_two_pixels(kind: str, colour: str) -> None:
    whole, boxes = laid(MANY, 6, 4, 4, colour)
    assert off_px(strip_cells.find(saved(whole, kind), 6, 1, "a"), boxes) <= 2


def test_white_gaps_between_noise_are_found_and_then_those_between_kanji_too() -> None:
    whole, boxes = laid([*map(noise, [SIDE] * 4), strokes(), noise()], 6, 6, 6, "white")
    assert strip_cells.find(whole, 6, 1, "a.png") == boxes


@pytest.mark.parametrize("one", [strokes(), gate(), frame(), strokes(rows=(0.5,)), noise()])
@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (2, 1), (8, 1), (4, 3)])
def test_without_separators_the_strip_is_cut_into_equal_parts(one: Image.Image, columns: int, rows: int) -> None:
    whole, boxes = laid([one] * (columns * rows), columns)
    assert strip_cells.find(whole, columns, rows, "a.png") == boxes


@pytest.mark.parametrize("one", [strokes(), gate(), frame()])
def test_white_gaps_between_kanji_on_white_cost_no_ink(one: Image.Image) -> None:
    whole, boxes = laid([one] * 8, 8, 6, 0, "white")
    found = strip_cells.find(whole, 8, 1, "a.png")
    assert off_px(found, boxes) <= 6
    for box in found:
        assert (np.asarray(whole.crop(box)) == 0).sum() == (np.asarray(one) == 0).sum()


def test_a_strip_that_no_number_of_pixels_divides_is_cut_to_the_nearest() -> None:
    whole = laid([noise()] * 3, 3)[0].crop((0, 0, 3 * SIDE - 1, SIDE))
    found = strip_cells.find(whole, 3, 1, "a.png")
    assert [(left, right) for left, _, right, _ in found] == [(0, 96), (96, 191), (191, 287)]


# Labels


@pytest.mark.parametrize(("ground", "ink"), [("black", "white"), ("white", "black"), ("#404040", "white")])
@pytest.mark.parametrize("place", ["above", "below"])
@pytest.mark.parametrize("gap", [0, 3])
def test_labels_are_left_out(ground: str, ink: str, place: str, gap: int) -> None:
    whole, boxes = laid(MANY, 6, gap, 0, ground, **{place: 22})
    write(whole, boxes, 3 if place == "above" else SIDE + 3, ink)
    assert off_px(strip_cells.find(whole, 6, 1, "a.png"), boxes) <= gap


@pytest.mark.parametrize("one", [strokes(), gate(), frame()])
@pytest.mark.parametrize("place", ["above", "below"])
def test_black_on_white_labels_of_kanji_on_white_are_left_out(one: Image.Image, place: str) -> None:
    whole, boxes = laid([one] * 6, 6, 0, 0, "white", **{place: 22})
    write(whole, boxes, 3 if place == "above" else SIDE + 3, "black")
    assert strip_cells.find(whole, 6, 1, "a.png") == boxes


@pytest.mark.parametrize("place", ["above", "below"])
def test_one_line_of_labels_over_many_rows_is_left_out(place: str) -> None:
    whole, boxes = laid(MANY * 2, 4, 0, 0, "white", **{place: 22})
    write(whole, boxes[:4], 3 if place == "above" else 3 * SIDE + 3, "black")
    assert strip_cells.find(whole, 4, 3, "a.png") == boxes


@pytest.mark.parametrize(("ground", "ink"), [("black", "white"), ("white", "black")])
@pytest.mark.parametrize("top", [0, SIDE])
def test_labels_of_every_row_are_left_out(ground: str, ink: str, top: int) -> None:
    tall = []
    for one in [strokes(), frame()] * 3:
        cell = Image.new("RGB", (SIDE, SIDE + 22), ground)
        cell.paste(one, (0, 22 if top == 0 else 0))
        ImageDraw.Draw(cell).text((20, top + 3), "step 400", ink, font_size=12)
        tall.append(cell)
    whole, boxes = laid(tall, 2)
    shift = 22 if top == 0 else 0
    inner = tuple((left, upper + shift, right, upper + shift + SIDE) for left, upper, right, _ in boxes)
    assert strip_cells.find(whole, 2, 3, "a.png") == inner


@pytest.mark.parametrize("height", [SIDE * 3 // 4, SIDE * 3 // 2])
def test_pictures_that_are_not_square_are_left_whole(height: int) -> None:
    for rows in ((0.25, 0.5, 0.75), (0.2,), (0.85,)):
        whole, boxes = laid([strokes(rows=rows, height=height)] * 5, 5)
        assert strip_cells.find(whole, 5, 1, "a.png") == boxes


@pytest.mark.parametrize("place", ["above", "below"])
def test_a_band_without_text_is_left_out_if_the_rest_is_square(place: str) -> None:
    whole, boxes = laid(MANY, 6, 0, 0, "black", **{place: 22})
    assert strip_cells.find(whole, 6, 1, "a.png") == boxes
    whole, boxes = laid([noise().crop((0, 0, SIDE, 80))] * 4, 4, 0, 0, "black", **{place: 22})
    assert strip_cells.find(whole, 4, 1, "a.png") != boxes, "they may be black at the edge"


# What is no strip


def test_another_number_of_columns_than_the_separators_tell_of_is_told() -> None:
    whole, _ = laid(MANY, 6, 4, 4)
    with pytest.raises(InputError, match="a.png: has 6 columns by the lines between them, not 5; give the number"):
        strip_cells.find(whole, 5, 1, "a.png")
    whole, _ = laid(MANY * 2, 4, 4)
    with pytest.raises(InputError, match="a.png: has 3 rows by the lines between them, not 1"):
        strip_cells.find(whole, 4, 1, "a.png")


def test_pictures_of_plainly_different_sizes_are_refused() -> None:
    whole = Image.new("RGB", (400, 96), "black")
    for left, right in pairwise([-4, 80, 200, 300, 400]):
        whole.paste(noise(200).crop((0, 0, right - left - 4, 96)), (left + 4, 0))
    with pytest.raises(InputError, match="a.png: has columns of 80 to 116 px by the lines between them"):
        strip_cells.find(whole, 4, 1, "a.png")


def test_tiny_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="a.png: is 100 x 96 px: 4 columns and 1 rows would be 25 x 96 px each"):
        strip_cells.find(Image.new("RGB", (100, 96)), 4, 1, "a.png")
    with pytest.raises(InputError, match="a.png: has pictures of 31 x 31 px, less than 32 px; look whether"):
        strip_cells.find(laid([noise(31)] * 4, 4, 2, 1)[0], 4, 1, "a.png")


def test_pictures_of_one_colour_are_cut_evenly() -> None:
    for colour in ("black", "white"):
        whole, boxes = laid([Image.new("RGB", (64, 64), colour)] * 6, 3)
        assert strip_cells.find(whole, 3, 2, "a.png") == boxes
