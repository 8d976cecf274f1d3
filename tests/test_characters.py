from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.dataset import build as building
from kanjiprep.dataset import characters
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.characters import Character
from kanjiprep.errors import DatasetError
from kanjiprep.progress import silent
from tests.test_join import joined

REST = Character("休_kanji_04f11.png", "休", "04f11", ("rest", "day off"), 6)
LINE = {"file_name": "a.png", "character": "亜", "codepoint": "04e9c", "meanings": ["Asia"], "stroke_count": 7}


def write(folder: Path, *lines: object) -> None:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (folder / "characters.jsonl").write_text(text, "utf-8")


def test_a_sample_is_told_with_its_meanings_and_drawn_strokes() -> None:
    assert characters.of_sample(joined().samples[0]) == REST
    two = next(one for one in map(characters.of_sample, joined().samples) if one.character == "二")
    assert two.stroke_count == 2, "drawn, whatever the dictionary says"


def test_a_line_is_json_with_the_keys_in_order_and_kanji_readable() -> None:
    odd = Character("x.png", "", "", (), None)
    assert characters.to_jsonl([REST, odd]).decode("utf-8") == (
        '{"file_name": "休_kanji_04f11.png", "character": "休", "codepoint": "04f11", '
        '"meanings": ["rest", "day off"], "stroke_count": 6}\n'
        '{"file_name": "x.png", "character": "", "codepoint": "", "meanings": [], "stroke_count": null}\n'
    )


@pytest.mark.parametrize(
    ("name", "literal", "codepoint"),
    [
        ("亜_kanji_04e9c.png", "亜", "04e9c"),
        ("𠂤_kanji_200a4.png", "𠂤", "200a4"),
        ("亜_kanji_04E9C.png", "", ""),
        ("亜_kanji_04e9c.jpg", "", ""),
        ("亜_kanji_04e9d.png", "", ""),
        ("亜亜_kanji_04e9c.png", "", ""),
        ("00000.png", "", ""),
        ("", "", ""),
    ],
)
def test_a_file_name_tells_its_character_or_nothing(name: str, literal: str, codepoint: str) -> None:
    assert characters.of_name(name) == Character(name, literal, codepoint, (), None)


def test_a_built_folder_tells_of_each_picture_in_the_order_asked(
    place: Place, request_of: Callable[..., BuildRequest]
) -> None:
    folder = building.build(request_of(), place, silent).folder
    found = characters.read(folder, ["一_kanji_04e00.png", "other.png", "休_kanji_04f11.png"])
    assert found == (
        Character("一_kanji_04e00.png", "一", "04e00", ("one",), 1),
        Character("other.png", "", "", (), None),
        REST,
    )


def test_without_the_table_the_names_tell(tmp_path: Path) -> None:
    name = "亜_kanji_04e9c.png"
    assert characters.read(tmp_path, [name]) == (Character(name, "亜", "04e9c", (), None),)
    write(tmp_path, {**LINE, "file_name": "other.png"})
    assert characters.read(tmp_path, [name]) == (Character(name, "亜", "04e9c", (), None),)


def test_blank_lines_and_windows_line_ends_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "\n", json.dumps(LINE) + "\r\n", "  \n")
    assert characters.read(tmp_path, ["a.png"])[0].meanings == ("Asia",)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{\n", "characters.jsonl:2: not JSON: "),
        ("[" * 100_000, "characters.jsonl:2: not JSON: "),
        ("[]\n", "characters.jsonl:2: the document must be a table"),
        ({**LINE, "stroke_count": True}, "characters.jsonl:2: stroke_count must be a whole number, not True"),
        ({**LINE, "stroke_count": -1}, "stroke_count must be at least 0 and at most 2147483647"),
        ({**LINE, "stroke_count": 2**31}, "stroke_count must be at least 0 and at most 2147483647"),
        ({**LINE, "meanings": "Asia"}, "meanings must be a list"),
        ({**LINE, "meanings": [1]}, "must be a text, not 1"),
        ({**LINE, "codepoint": None}, "codepoint must be a text"),
        ({**LINE, "strokes": 1}, "strokes is not a key here"),
        ({"file_name": "b.png"}, "character is missing; codepoint is missing"),
        ({**LINE, "character": "\ud867"}, "characters.jsonl:2: holds half a character"),
        ({**LINE, "file_name": "first.png"}, "characters.jsonl:2: first.png has two lines; keep one"),
    ],
)
def test_a_table_that_is_not_so_is_refused_with_its_line(tmp_path: Path, line: object, says: str) -> None:
    write(tmp_path, {**LINE, "file_name": "first.png"}, line)
    with pytest.raises(DatasetError, match=says):
        characters.read(tmp_path, [])


def test_a_table_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "characters.jsonl").write_bytes(characters.to_jsonl([REST]) + b'{"file_name": "\xff"}\n')
    with pytest.raises(DatasetError, match=r"characters\.jsonl:2: not UTF-8 text; restore the file or remove it"):
        characters.read(tmp_path, [])


def test_a_table_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "characters.jsonl").mkdir()
    with pytest.raises(DatasetError, match="cannot be read: is a directory; check its permissions"):
        characters.read(tmp_path, [])


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(character=TEXT, meanings=st.lists(TEXT), strokes=st.none() | st.integers(0, 2**31 - 1))
def test_any_text_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, character: str, meanings: list[str], strokes: int | None
) -> None:
    folder = tmp_path_factory.mktemp("any")
    one = Character("a.png", character, "04e9c", tuple(meanings), strokes)
    (folder / "characters.jsonl").write_bytes(characters.to_jsonl([one, REST]))
    assert characters.read(folder, ["a.png", REST.file_name]) == (one, REST)
