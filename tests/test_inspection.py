from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.dataset import inspection


def look(tmp_path: Path, picture: Image.Image, name: str = "a.png") -> inspection.Picture:
    picture.save(tmp_path / name)
    ((found,),) = inspection.inspect_all(tmp_path, [name], 1)
    return found


def square(mode: str = "L", box: tuple[int, int, int, int] = (16, 16, 48, 48), ink: object = 0) -> Image.Image:
    picture = Image.new(mode, (64, 64), "white")
    picture.paste(ink, box)  # type: ignore[arg-type]
    return picture


def test_ink_contrast_and_size_are_measured(tmp_path: Path) -> None:
    found = look(tmp_path, square())
    assert found.ink == pytest.approx(0.25)
    assert (found.contrast, found.size_px, found.is_grey, found.touches_edge) == (255, (64, 64), True, False)
    assert len(found.thumb) == inspection.THUMB_PX**2


@pytest.mark.parametrize("box", [(0, 9, 9, 10), (9, 0, 10, 9), (60, 9, 64, 10), (9, 60, 10, 64)])
def test_each_edge_is_watched(tmp_path: Path, box: tuple[int, int, int, int]) -> None:
    assert look(tmp_path, square(box=box)).touches_edge


def test_grey_in_colour_modes_is_grey_and_colour_is_not(tmp_path: Path) -> None:
    assert look(tmp_path, square("RGB", ink=(9, 9, 9))).is_grey
    assert not look(tmp_path, square("RGB", ink=(9, 9, 10))).is_grey


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
def test_what_cannot_be_read_has_a_fault(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    ((found,),) = inspection.inspect_all(tmp_path, ["a.png"], 1)
    assert found.fault


def test_a_truncated_picture_has_a_fault(tmp_path: Path) -> None:
    look(tmp_path, Image.effect_noise((64, 64), 50))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    ((found,),) = inspection.inspect_all(tmp_path, ["a.png"], 1)
    assert "truncated" in found.fault


def test_a_giant_is_not_decoded(tmp_path: Path) -> None:
    assert look(tmp_path, Image.new("1", (inspection.MAX_SIDE_PX + 1, 1))).fault == "is 8193 x 1 px"


def test_near_duplicates_are_alike_but_not_equal(tmp_path: Path) -> None:
    one = look(tmp_path, square(), "a.png")
    same = look(tmp_path, square(), "b.png")
    near = look(tmp_path, square(box=(16, 16, 48, 47)), "c.png")
    other = look(tmp_path, square(box=(2, 2, 10, 10)), "d.png")
    blank = look(tmp_path, Image.new("L", (64, 64), "white"), "e.png")
    pairs = inspection.near_duplicates([one, same, near, other, blank], 0.95)
    assert [(first, second) for _, first, second in pairs] == [("b.png", "c.png"), ("a.png", "c.png")]
    assert all(0.95 <= likeness <= 1 for likeness, _, _ in pairs)
    assert inspection.near_duplicates([], 0.9) == []


def test_likeness_is_the_correlation_of_the_thumbnails(tmp_path: Path) -> None:
    one, two = look(tmp_path, square(), "a.png"), look(tmp_path, square(box=(16, 16, 48, 40)), "b.png")
    expected = np.corrcoef(np.frombuffer(one.thumb, np.uint8), np.frombuffer(two.thumb, np.uint8))[0, 1]
    ((likeness, _, _),) = inspection.near_duplicates([one, two], 0.5)
    assert likeness == pytest.approx(expected, abs=1e-5)
