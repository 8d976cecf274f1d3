from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.errors import InputError, TrainerError
from kanjiprep.evaluation import cell_pixels
from kanjiprep.evaluation.cells import Cell
from kanjiprep.training.running.picture_file import Box
from tests.test_picture_file import claimed


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def smooth(side: int) -> Image.Image:
    return Image.fromarray(noise(8, 8)).resize((side, side), Image.Resampling.BICUBIC)


def load(
    path: Path, picture: Image.Image, side_px: int = 64, box: Box | None = None, **how: Any
) -> NDArray[np.uint8]:
    picture.save(path, **how)
    return cell_pixels.load(Cell(1, "a", 0, path, box), side_px)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_pixels_that_fall_together_are_averaged(tmp_path: Path, side: int) -> None:
    levels = noise(side, side)
    found = load(tmp_path / "a.png", Image.fromarray(levels))
    factor = side // 64
    means = levels.reshape(64, factor, 64, factor, 3).mean(axis=(1, 3))
    assert found.shape == (64, 64, 3)
    assert found.dtype == np.uint8
    assert np.abs(found - means).max() <= 0.5
    assert found.flags.writeable


def test_a_size_that_is_no_multiple_is_averaged_too(tmp_path: Path) -> None:
    drawn = smooth(150)
    found = load(tmp_path / "a.png", drawn)
    assert np.abs(found.astype(int) - np.asarray(drawn.resize((64, 64), Image.Resampling.BOX))).max() <= 1


def test_a_small_picture_is_smoothly_enlarged(tmp_path: Path) -> None:
    found = load(tmp_path / "a.png", smooth(32)).astype(int)
    assert np.abs(found - np.asarray(smooth(64))).mean() < 6
    assert not (found[::2] == found[1::2]).all()


def test_a_part_is_cut_out(tmp_path: Path) -> None:
    levels = noise(100, 90)
    found = load(tmp_path / "a.png", Image.fromarray(levels), 64, (10, 20, 74, 84))
    assert np.array_equal(found, levels[20:84, 10:74])


@pytest.mark.parametrize(("width", "height"), [(64, 32), (32, 64), (128, 96)])
def test_a_picture_that_is_not_square_is_put_on_its_borders_colour(tmp_path: Path, width: int, height: int) -> None:
    drawn = Image.new("RGB", (width, height), (10, 200, 30))
    drawn.paste("black", (width // 4, height // 4, width // 2, height // 2))
    found = load(tmp_path / "a.png", drawn)
    share = np.all(found == 0, axis=2).mean()
    assert share == pytest.approx(min(width, height) / max(width, height) / 16)
    assert {tuple(one) for one in found.reshape(-1, 3).tolist()} == {(10, 200, 30), (0, 0, 0)}


def test_a_cut_above_and_below_leaves_all_else_where_it_was(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (128, 128), "white")
    drawn.paste("black", (30, 40, 90, 100))
    whole = load(tmp_path / "a.png", drawn)
    assert np.array_equal(load(tmp_path / "a.png", drawn, 64, (0, 16, 128, 112)), whole)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    drawn = Image.new("RGB", (128, 128), "white")
    drawn.paste("black", (30, 40, 90, 100))
    name = "a.jpg" if mode == "CMYK" else "a.png"
    found = load(tmp_path / name, drawn.convert(mode)).astype(int)
    assert np.abs(found - load(tmp_path / "b.png", drawn)).max() <= (12 if mode == "CMYK" else 0)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    assert load(tmp_path / "a.png", Image.new("RGBA", (128, 128), (0, 0, 0, 0))).min() == 255
    assert load(tmp_path / "b.png", Image.new("L", (128, 128), 7), transparency=7).min() == 255


@pytest.mark.parametrize("side", [64, 128, 256, 512, 1024, 200])
@pytest.mark.parametrize("box", [None, (0, 0, 48, 48), (3, 5, 51, 53)])
def test_a_jpeg_that_is_decoded_at_a_fraction_is_as_if_it_were_reduced(
    tmp_path: Path, side: int, box: Box | None
) -> None:
    scaled = tuple(edge * side // 64 for edge in box) if box else None
    part = (scaled[0], scaled[1], scaled[2], scaled[3]) if scaled else None
    found = load(tmp_path / "a.jpg", smooth(side), 48, part, quality=95)
    with Image.open(tmp_path / "a.jpg") as again:
        again.save(tmp_path / "a.png")
    same = cell_pixels.load(Cell(1, "a", 0, tmp_path / "a.png", part), 48)
    assert np.abs(found.astype(int) - same).mean() < 1


def test_a_strip_is_decoded_once_for_all_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    levels = noise(64 * 8, 64)
    Image.fromarray(levels).save(path)
    for number in range(8):
        found = cell_pixels.load(Cell(number, "a", 0, path, (64 * number, 0, 64 * number + 64, 64)), 64)
        assert np.array_equal(found, levels[:, 64 * number : 64 * number + 64])
    assert cell_pixels.whole(path) is cell_pixels.whole(path)
    before = cell_pixels.whole(path)
    Image.new("RGB", (64 * 8, 64), "red").save(path)
    assert cell_pixels.whole(path) is not before
    assert cell_pixels.load(Cell(1, "a", 0, path, (0, 0, 64, 64)), 64)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("box", [(0, 0, 65, 64), (0, 0, 64, 65), (-1, 0, 64, 64), (9, 9, 9, 20), (9, 9, 20, 9)])
def test_a_part_that_is_not_there_is_told(tmp_path: Path, box: Box) -> None:
    with pytest.raises(InputError, match="a.png: is 64 x 64 px, and has no part .*; look for the pictures anew"):
        load(tmp_path / "a.png", Image.new("RGB", (64, 64)), 64, box)


@pytest.mark.parametrize("box", [None, (0, 0, 64, 64)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_that_is_cut_off_is_told(tmp_path: Path, suffix: str, box: Box | None) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise(640, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=f"a.{suffix}: cannot be read as a picture: .*; give a whole PNG") as caught:
        cell_pixels.load(Cell(1, "a", 0, path, box))
    assert isinstance(caught.value.__cause__, TrainerError)


def test_a_strip_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="no such file"):
        cell_pixels.whole(tmp_path / "missing.png")


def test_what_is_larger_than_any_strip_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(claimed(17_000))
    with pytest.raises(InputError, match="has more than 268 million pixels; give a whole PNG"):
        cell_pixels.load(Cell(1, "a", 0, tmp_path / "a.png"))
