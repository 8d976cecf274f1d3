from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from kanjiprep.errors import InputError
from kanjiprep.evaluation import bands, features, score
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.judged import PictureScore
from kanjiprep.progress import silent
from tests.test_bands import BANDS, COUNT, index, moved

MIDDLE: Final = BANDS.middle


def cells(count: int, step: int = 4) -> list[Cell]:
    return [Cell(step, f"prompt{number}", 0, Path(f"{number}.png")) for number in range(count)]


def judged(*rows: Values) -> tuple[PictureScore, ...]:
    return score.judge(cells(len(rows)), np.array(rows), BANDS)


def sheet(style: float) -> Values:
    """Statistics with that style, and contrast."""
    count = int(features.STYLE.sum())
    each = style * count / 3
    values = MIDDLE.copy()
    for name in ("colour", "grain", "specks"):
        half = BANDS.high[index(name)] - MIDDLE[index(name)]
        values[index(name)] = BANDS.high[index(name)] + each * half
    assert bands.style(values, BANDS) == pytest.approx(style)
    return values


def test_points_fall_with_both_distances_from_a_hundred() -> None:
    assert score.points(0, 0) == 100
    assert score.points(0, 1) == pytest.approx(83.9, abs=0.1)
    assert score.points(0, 1) > score.points(0, 2) > score.points(0, 6) > 0
    assert score.points(0, 1) > score.points(0.15, 1) > score.points(2, 1) > 0


def test_a_sound_picture_has_no_fault_and_all_its_statistics() -> None:
    (one,) = judged(MIDDLE)
    assert (one.fault, one.style, one.oddities) == ("", 0, ())
    assert one.statistics == dict(zip(features.NAMES, MIDDLE.tolist(), strict=True))
    assert one.score == score.points(one.style, one.shape)


def test_one_exploded_picture_among_sound_ones_is_found() -> None:
    *sound, bad = judged(MIDDLE, MIDDLE, MIDDLE, sheet(0.2))
    assert [one.fault for one in sound] == ["", "", ""]
    assert bad.fault.startswith("unlike the run's other pictures: ")
    assert set(bad.oddities) == {"colourful", "grainy paper", "specks"}


def test_what_all_pictures_of_a_run_have_is_its_style_and_no_fault() -> None:
    assert not any(one.fault for one in judged(*[sheet(0.3)] * 6))


def test_beyond_doubt_is_a_fault_even_if_all_have_it() -> None:
    assert all(one.fault.startswith("no ink on paper: ") for one in judged(*[sheet(0.6)] * 6))


def test_how_good_the_better_quarter_of_a_run_is_says_what_is_usual() -> None:
    found = judged(*[sheet(0.3)] * 3, sheet(0.44), sheet(0.46))
    assert [bool(one.fault) for one in found] == [False, False, False, False, True]
    found = judged(MIDDLE, MIDDLE, *[sheet(0.3)] * 3)
    assert [bool(one.fault) for one in found] == [False, False, True, True, True]


def test_the_base_models_pictures_do_not_say_what_is_usual_in_a_run() -> None:
    base = [Cell(0, "a", 0, Path("a.png"), None, is_base=True)] * 3
    found = score.judge([*base, *cells(2)], np.array([*[sheet(0.4)] * 3, MIDDLE, MIDDLE]), BANDS)
    assert [bool(one.fault) for one in found] == [True, True, True, False, False]


@pytest.mark.parametrize(("paper", "words"), [(1.0, "an empty sheet"), (0.0, "black all over")])
def test_a_sheet_without_ink_is_named(paper: float, words: str) -> None:
    values = MIDDLE.copy()
    values[index("contrast")], values[index("polarity")], values[index("paper")] = 0.05, 0.0, paper
    assert [one.fault for one in judged(*[values] * 4)] == [words] * 4


def test_a_checkpoint_is_dropped_when_half_of_its_pictures_have_exploded() -> None:
    half = judged(MIDDLE, MIDDLE, sheet(0.2), sheet(0.3))
    (flag,) = score.flags(half)
    assert flag.about == "pictures"
    assert flag.text.startswith("2 of 4 pictures have exploded; prompt3 is unlike the run's other pictures")
    assert score.flags(half[:3]) == ()
    assert score.flags(()) == ()


def test_flags_are_told_in_correct_words() -> None:
    found = judged(*[MIDDLE] * 3, sheet(0.3))
    (only,), (half,) = score.flags(found[3:]), score.flags(found[2:])
    assert only.text.startswith("1 of 1 picture has exploded; prompt3 is ")
    assert half.text.startswith("1 of 2 pictures has exploded; prompt3 is ")


def test_the_worst_picture_of_a_checkpoint_is_named() -> None:
    (flag,) = score.flags(judged(MIDDLE, MIDDLE, sheet(0.7), sheet(0.4)))
    assert "; prompt2 is no ink on paper: " in flag.text


def test_means_are_of_what_is_there() -> None:
    found = judged(MIDDLE, moved("ink", 3))
    assert score.means(found) == pytest.approx(
        tuple(np.mean([getattr(one, name) for one in found]) for name in ("style", "shape", "score"))
    )
    assert score.means(()) == (None, None, None)


def test_no_pictures_are_judged_to_nothing() -> None:
    assert score.judge([], np.empty((0, COUNT)), BANDS) == ()
    assert score.measure([], silent).shape == (0, COUNT)


def test_pictures_are_measured_in_their_order_and_told_of(tmp_path: Path) -> None:
    shown = [Cell(4, str(number), 0, tmp_path / f"{number}.png") for number in range(3)]
    for number, cell in enumerate(shown):
        Image.new("L", (64, 64), 80 * number).save(cell.path)
    heard: list[tuple[int, int]] = []
    values = score.measure(shown, lambda _, done, total: heard.append((done, total)))
    assert values[:, index("paper")] == pytest.approx([0, 80 / 255, 160 / 255])
    assert heard == [(3, 3)]


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        score.measure([Cell(4, "a", 0, tmp_path / "a.png")], silent)
