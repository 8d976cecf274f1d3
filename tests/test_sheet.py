from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.dataset import sheet
from kanjiprep.errors import DatasetError


def test_troubled_pictures_come_first_and_the_rest_is_spread() -> None:
    names = [f"{number:03}" for number in range(1000)]
    chosen = sheet.choose(names, {"500", "700"})
    assert chosen[:3] == ["500", "700", "000"]
    assert len(chosen) == len(set(chosen)) == sheet.COLUMNS * sheet.ROWS
    assert chosen[-1] > "980"
    assert sheet.choose(["a", "b"], ()) == ["a", "b"]
    assert len(sheet.choose(names, set(names))) == sheet.COLUMNS * sheet.ROWS


def test_a_sheet_shows_pictures_and_frames_trouble(tmp_path: Path) -> None:
    Image.new("L", (64, 64), 0).save(tmp_path / "a_1.png")
    (tmp_path / "b_2.png").write_bytes(b"broken")
    drawn = sheet.draw(tmp_path, ["a_1.png", "b_2.png"], {"b_2.png"})
    assert drawn.getpixel((50, 50)) == (0, 0, 0)
    assert drawn.getpixel((6, 50)) == (244, 244, 242)
    assert drawn.getpixel((sheet.CELL_PX + 6, 50)) == (200, 30, 30)
    assert drawn.getpixel((sheet.CELL_PX + 50, 50)) == (255, 255, 255)


def test_an_empty_sheet_can_be_drawn(tmp_path: Path) -> None:
    assert sheet.draw(tmp_path, [], ()).width == sheet.COLUMNS * sheet.CELL_PX


def test_a_sheet_is_written_or_not_at_all(tmp_path: Path) -> None:
    sheet.write(Image.new("RGB", (4, 4)), tmp_path / "s.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.png"]
    with pytest.raises(DatasetError, match="cannot be written: no such file or directory; give --sheet"):
        sheet.write(Image.new("RGB", (4, 4)), tmp_path / "gone" / "s.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="cannot be written: is a directory"):
        sheet.write(Image.new("RGB", (4, 4)), tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "s.png"]
