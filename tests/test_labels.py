from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFont

from kanjiprep.dataset import sources as where
from kanjiprep.evaluation.strips import glyphs, labels, pieces
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.pieces import Piece
from tests import sources

PAPER, INK = (250, 250, 248), (10, 20, 30)


@pytest.fixture
def kanjivg(tmp_path: Path) -> Path:
    return sources.write_kanjivg(tmp_path / "kanji")


def drawn(text: str, with_labels: Labels, size_px: int = 20, colour: tuple[int, int, int] = INK) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (600, 60), PAPER)
    with_labels.draw(picture, (20, 20), text, size_px, colour)
    return np.asarray(picture)


def inked(text: str, with_labels: Labels, size_px: int = 20) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not paper."""
    rows, columns = np.nonzero((drawn(text, with_labels, size_px) != PAPER).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def mapped(font: bytes) -> set[int]:
    """The characters that the table ``cmap`` of an OpenType font maps to a glyph, up to U+FFFF (its format 4)."""
    tables = struct.unpack_from(">H", font, 4)[0]
    entries = [struct.unpack_from(">4s3L", font, 12 + 16 * index) for index in range(tables)]
    start = next(offset for name, _, offset, _ in entries if name == b"cmap")
    count = struct.unpack_from(">H", font, start + 2)[0]
    offsets = [start + struct.unpack_from(">HHL", font, start + 4 + 8 * index)[2] for index in range(count)]
    at = next(offset for offset in offsets if struct.unpack_from(">H", font, offset)[0] == 4)
    segments = struct.unpack_from(">H", font, at + 6)[0] // 2
    ends = struct.unpack_from(f">{segments}H", font, at + 14)
    starts, deltas, ranges = (
        struct.unpack_from(f">{segments}H", font, at + 16 + 2 * segments * part) for part in (1, 2, 3)
    )
    found = set()
    for index in range(segments):
        for code in range(starts[index], ends[index] + 1):
            glyph = code
            if ranges[index]:
                place = at + 16 + 6 * segments + 2 * index + ranges[index] + 2 * (code - starts[index])
                glyph = struct.unpack_from(">H", font, place)[0]
            if (glyph + deltas[index]) % 65536:
                found.add(code)
    return found


def test_what_the_font_lacks_is_what_its_own_table_does_not_map() -> None:
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    table = mapped(font.font_bytes)
    assert ord("A") in table
    assert ord("亜") not in table
    seen = {code for code in [*range(0x20, 0x2200), *range(0x3000, 0x3400)] if pieces.has(None, chr(code))}
    assert seen == {code for code in table if chr(code).isprintable() and code < 0x3400}


def test_letters_are_of_the_font_and_kanji_of_strokes(kanjivg: Path) -> None:
    assert list(pieces.pieces("day 休: あ!", kanjivg, ())) == [
        Piece("font", "day "),
        Piece("strokes", "休"),
        Piece("font", ": "),
        Piece("strokes", "あ"),
        Piece("font", "!"),
    ]


def test_a_kanji_is_drawn_as_kanjivg_has_it(kanjivg: Path) -> None:
    left, top, right, bottom = inked("一", Labels(kanjivg), 50)
    assert right - left > 35
    assert bottom - top < 15
    assert np.array_equal(drawn("一", Labels(kanjivg)).min(axis=(0, 1)), INK)


@pytest.mark.parametrize("character", ["木", "한", "😀", "Ω"])
def test_what_nothing_has_becomes_its_code_point_in_a_box(kanjivg: Path, character: str) -> None:
    assert list(pieces.pieces(character, kanjivg, ())) == [Piece("box", character)]
    left, top, right, bottom = inked(character, Labels(kanjivg))
    box = np.asarray(np.all(drawn(character, Labels(kanjivg)) < 128, axis=2))
    assert box[top, left:right].all()
    assert box[bottom - 1, left:right].all()
    assert box[top:bottom, left].all()
    assert box[top + 1 : bottom - 1, left + 1 : right - 1].any()
    assert right - 20 <= Labels(kanjivg).width_px(character, 20)


def test_half_a_surrogate_pair_becomes_a_box_too() -> None:
    assert list(pieces.pieces("\udc80", None, ())) == [Piece("box", "\udc80")]
    assert inked("\udc80", Labels())


def test_two_that_nothing_has_look_different() -> None:
    assert not np.array_equal(drawn("木", Labels()), drawn("林", Labels()))


def test_a_font_of_the_system_comes_last(tmp_path: Path, kanjivg: Path) -> None:
    font = tmp_path / "a.ttf"
    inside = ImageFont.load_default(20)
    assert isinstance(inside, ImageFont.FreeTypeFont)
    font.write_bytes(inside.font_bytes)
    assert pieces.has(font, "A")
    assert not pieces.has(font, "木")
    assert not pieces.has(tmp_path / "none.ttf", "A")
    assert list(pieces.pieces("木A一", kanjivg, (tmp_path / "none.ttf", font))) == [
        Piece("box", "木"),
        Piece("font", "A"),
        Piece("strokes", "一"),
    ]


@pytest.mark.skipif(not labels.SYSTEM_FONTS[0].is_file(), reason="Noto Sans CJK is not installed")
def test_noto_draws_what_kanjivg_lacks() -> None:
    font = labels.SYSTEM_FONTS[0]
    assert list(pieces.pieces("木한", None, (font,))) == [Piece("font", "木한", font)]
    assert not pieces.has(font, "\u0378")
    left, _, right, _ = inked("한", Labels(None, (font,)))
    assert 10 < right - left <= 20


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ＡＢ", [Piece("wide", "A"), Piece("wide", "B")]),
        ("a–b", [Piece("font", "a-b")]),
        ("½", [Piece("font", "1⁄2")]),
        ("「休」", [Piece("corner", "「"), Piece("strokes", "休"), Piece("corner", "」")]),
        ("『", [Piece("corner", "「")]),
        ("㆒", [Piece("strokes", "一")]),
        ("ō", [Piece("accented", "o\u0304")]),
        ("cafe\u0301", [Piece("font", "caf"), Piece("accented", "e\u0301")]),
        (
            "休\U000e0100\u200d\x07一\n二",
            [Piece("strokes", one) if one != " " else Piece("font", " ") for one in "休一 二"],
        ),
    ],
)
def test_plainer_characters_stand_in(kanjivg: Path, text: str, found: list[Piece]) -> None:
    assert list(pieces.pieces(labels.tidy(text), kanjivg, ())) == found
    assert inked(text, Labels(kanjivg))


@pytest.mark.parametrize(("text", "letter"), [("é", "e"), ("ō", "o"), ("Å", "A"), ("ü", "u"), ("š", "s")])
def test_an_accent_is_above_its_letter_and_as_wide(text: str, letter: str) -> None:
    plain = Labels()
    assert plain.width_px(text, 40) == plain.width_px(letter, 40)
    assert inked(text, plain, 30)[1] < inked(letter, plain, 30)[1]
    assert inked(text, plain, 30)[3] == inked(letter, plain, 30)[3]


def test_a_cedilla_is_below() -> None:
    assert inked("ç", Labels(), 30)[3] > inked("c", Labels(), 30)[3]
    assert inked("ç", Labels(), 30)[1] == inked("c", Labels(), 30)[1]


def test_full_width_forms_are_as_wide_as_kanji(kanjivg: Path) -> None:
    both = Labels(kanjivg)
    assert both.width_px("Ａ", 20) == both.width_px("休", 20) == both.width_px("「", 20)


@pytest.mark.parametrize("text", ["step 14,400", "休 day", "木", "ō「Ａ"])
def test_text_is_where_its_anchor_says(kanjivg: Path, text: str) -> None:
    both = Labels(kanjivg)
    found = {}
    for anchor in ("ls", "ms", "rs", "la", "lm"):
        picture = Image.new("L", (600, 100)).convert("RGB")
        both.draw(picture, (300, 50), text, 20, (255, 255, 255), anchor)
        found[anchor] = picture.getbbox()
    boxes = {anchor: box for anchor, box in found.items() if box}
    wide = both.width_px(text, 20)
    assert boxes["ls"][0] >= 299
    assert boxes["ls"][2] <= 301 + wide
    assert boxes["rs"][0] == pytest.approx(boxes["ls"][0] - wide, abs=1.5)
    assert boxes["ms"][0] == pytest.approx(boxes["ls"][0] - wide / 2, abs=1.5)
    assert boxes["ls"][1] < boxes["lm"][1] < 50 < boxes["lm"][3]
    assert boxes["la"][1] >= 50


def test_text_is_shortened_to_fit(kanjivg: Path) -> None:
    both = Labels(kanjivg)
    assert both.fitted("a  day\noff", 16, 200) == "a day off"
    assert both.fitted("休" * 30, 16, 100) == "休" * 5 + "…"
    assert both.fitted("休", 16, 3) == ""


@given(text=st.text(st.sampled_from("ab 休-一ō木Ａ\n"), max_size=40), width=st.integers(0, 300))
@settings(max_examples=60)
def test_what_is_shortened_fits_and_is_the_most_that_does(text: str, width: int) -> None:
    plain = Labels()
    found = plain.fitted(text, 16, width)
    assert plain.width_px(found, 16) <= width
    if found.endswith("…"):
        longer = labels.tidy(text)[: len(found)] + "…"
        assert plain.width_px(longer, 16) > width or longer[-2] == " "


def test_text_is_wrapped_at_spaces_hyphens_and_between_kanji(kanjivg: Path) -> None:
    both = Labels(kanjivg)
    assert both.wrapped("one two three four", 16, 75, 5) == ("one two", "three four")
    assert both.wrapped("休休休休休休", 16, 60, 5) == ("休休休", "休休休")
    assert both.wrapped("a_long_name_of-a-run", 16, 80, 5) == ("a_long_", "name_of-", "a-run")
    assert both.wrapped("one two three four five six", 16, 75, 2) == ("one two", "three fo…")
    assert both.wrapped("", 16, 75, 2) == ()
    assert both.wrapped("one", 16, 75, 1) == ("one",)


@pytest.mark.parametrize("form", ["folder", "parent", "zip", "xml"])
def test_one_character_is_read_from_every_form_of_kanjivg(tmp_path: Path, form: str) -> None:
    place = {
        "folder": lambda: sources.write_kanjivg(tmp_path / "kanji"),
        "parent": lambda: sources.write_kanjivg(tmp_path / "kanji").parent,
        "zip": lambda: sources.write_zip(tmp_path / "kanji.zip"),
        "xml": lambda: _written(tmp_path / "kanjivg.xml", sources.single_xml()),
    }[form]()
    found = glyphs.mask(place, "休", 40)
    assert found is not None
    assert found.shape == (40, 40)
    assert found.max() > 200
    assert glyphs.mask(place, "木", 40) is None


def test_only_the_character_asked_for_is_read(tmp_path: Path) -> None:
    files = sources.svg_files() | {"06728.svg": b"broken"}
    place = sources.write_kanjivg(tmp_path / "kanji", files)
    assert glyphs.mask(place, "休", 40) is not None
    assert glyphs.mask(place, "木", 40) is None


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04broken", b"<kanjivg", b""], ids=["damaged zip", "damaged document", "empty"]
)
def test_a_damaged_kanjivg_leaves_boxes(tmp_path: Path, data: bytes) -> None:
    assert glyphs.mask(_written(tmp_path / "kanjivg", data), "休", 40) is None
    assert glyphs.mask(tmp_path / "gone", "休", 40) is None


def test_a_drawing_with_a_broken_path_is_none(tmp_path: Path) -> None:
    files = {"04e00.svg": sources.svg(0x4E00, sources.Group("一", ("M1,2 C oh",)))}
    assert glyphs.mask(sources.write_kanjivg(tmp_path / "kanji", files), "一", 40) is None


def test_kanjivg_is_found_as_for_a_dataset_but_never_downloaded(tmp_path: Path) -> None:
    given = sources.write_kanjivg(tmp_path / "given")
    cached = tmp_path / "cache" / where.KANJIVG.url.rsplit("/", 1)[-1]
    package = where.Found(tmp_path / "package", "package")

    def found(variable: Path | str) -> Path | None:
        return glyphs.found_kanjivg({"KANJIPREP_KANJIVG": str(variable)}, tmp_path / "cache", lambda _: package)

    assert found(given) == given
    assert found(tmp_path / "gone") == found("https://example.org/kanjivg.zip") == found("") == package.path
    assert glyphs.found_kanjivg({}, tmp_path / "cache", lambda _: None) is None
    cached.parent.mkdir()
    sources.write_zip(cached)
    assert found("") == cached
    assert labels.found({}, tmp_path / "cache").kanjivg == cached


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
