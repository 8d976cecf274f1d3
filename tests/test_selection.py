from pathlib import Path

import pytest

from kanjiprep.dataset import selection
from kanjiprep.dataset.kanjidic import parse
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import InputError
from tests import sources

ENTRIES = parse(sources.kanjidic(*sources.ENTRIES), "f").entries


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Selection(), "休一二丁人木"),
        (Selection(grades=(2, 3)), "二丁"),
        (Selection(jlpt=(4,)), "休一"),
        (Selection(literals="木人"), "人木"),
        (Selection(grades=(1,), jlpt=(4,), literals="一二"), "一"),
    ],
)
def test_all_conditions_must_hold(asked: Selection, expected: str) -> None:
    assert "".join(entry.literal for entry in ENTRIES if asked.wants(entry)) == expected


def test_jouyou_means_its_grades() -> None:
    assert selection.grades((9, 1), jouyou=True) == (1, 2, 3, 4, 5, 6, 8, 9)
    assert selection.grades((9, 9), jouyou=False) == (9,)


def test_a_file_of_literals_may_be_spaced_commented_and_repeat(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("\ufeff一 二\n休休 # 木\n\n", "utf-8")
    assert selection.read_literals(path) == "一二休"


@pytest.mark.parametrize(("data", "says"), [(b"\xff", "not UTF-8"), (b"# only\n", "holds no character")])
def test_a_file_of_literals_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says):
        selection.read_literals(path)
    with pytest.raises(InputError, match="cannot be read: no such file"):
        selection.read_literals(tmp_path / "gone.txt")


def test_unknown_literals_are_named() -> None:
    selection.refuse_unknown("一二", ENTRIES, "mine.txt")
    with pytest.raises(InputError, match=r"mine\.txt: 2 of 3 characters are not in KANJIDIC2: x 犬"):
        selection.refuse_unknown("一x犬", ENTRIES, "mine.txt")
