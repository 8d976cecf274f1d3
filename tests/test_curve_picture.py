import io
from pathlib import Path

import pytest
from lxml import etree
from PIL import Image

from kanjiprep.errors import UsageError
from kanjiprep.training import curve_picture

FALL = [1 - step / 100 for step in range(101)]


def test_a_fall_is_drawn_from_the_top_left_to_the_bottom_right() -> None:
    lines = curve_picture.in_characters(FALL, columns=20, rows=4)
    assert len(lines) == 5
    body = [line[10:] for line in lines[:4]]
    marks = [[index for index, cell in enumerate(line) if cell != "⠀"] for line in body]
    assert (marks[0][0], marks[-1][-1]) == (0, 19)
    assert [row[0] for row in marks] == sorted(row[0] for row in marks)
    assert lines[0].split()[0] == "1"
    assert lines[-1].endswith("100 steps")


def test_a_narrow_peak_is_not_lost_between_columns() -> None:
    rates = [0.0] * 5000
    rates[2222] = 1.0
    assert curve_picture.in_characters(rates, columns=20, rows=4)[0][10:] != "⠀" * 20


def test_a_rate_of_nought_is_drawn_too() -> None:
    assert curve_picture.in_characters([0.0, 0.0], columns=5, rows=2)[1][10:] == "⣀" * 5


def test_the_svg_is_well_formed_and_holds_its_title(tmp_path: Path) -> None:
    curve_picture.write(tmp_path / "curve.svg", FALL, "a < b & c")
    tree = etree.parse(tmp_path / "curve.svg")
    texts = [element.text for element in tree.iter("{*}text")]
    assert texts[0] == "a < b & c"
    assert "100 steps" in texts


def test_the_png_has_the_size_it_says(tmp_path: Path) -> None:
    curve_picture.write(tmp_path / "curve.png", FALL, "fall")
    with Image.open(io.BytesIO((tmp_path / "curve.png").read_bytes())) as picture:
        assert picture.size == (curve_picture.WIDTH_PX, curve_picture.HEIGHT_PX)
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_another_ending_and_another_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is neither .svg nor .png"):
        curve_picture.write(tmp_path / "curve.gif", FALL, "fall")
    with pytest.raises(UsageError, match="cannot be written: no such file or directory"):
        curve_picture.write(tmp_path / "gone" / "curve.svg", FALL, "fall")
