"""How each character of a label is drawn, and how wide that is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from kanjiprep.evaluation.strips import glyphs, stand_ins

Colour = tuple[int, int, int]
Source = Literal["font", "strokes", "corner", "wide", "accented", "box"]
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_NO_CHARACTER: Final = "\uffff"
"""Unicode promises that this is none, so that every font shows its sign for a missing glyph."""
_PROBE_PX: Final = 32
_KANJI: Final = 1.08
"""Side of a kanji's square in parts of the text's size; strokes leave a tenth of it free all around."""
_KANJI_TOP: Final = 0.91
_BOX: Final = 0.62
_FINER: Final = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters that are drawn in one go.

    Attributes:
        source: How: with a font, as strokes, as a corner, as a letter in a square, as a letter with an accent, or
            as the code point in a box.
        text: What; for ``accented`` the letter and the accent.
        font: Of the system, for ``font``; None for the one inside Pillow.
    """

    source: Source
    text: str
    font: Path | None = None


def pieces(text: str, kanjivg: Path | None, fonts: tuple[Path, ...]) -> Iterator[Piece]:
    """``text`` in pieces; characters of one font stay together, so that it can space them as it likes."""
    found = (piece for character in text for piece in _of_character(character, kanjivg, fonts))
    for (source, font), group in groupby(found, key=lambda piece: (piece.source, piece.font)):
        if source == "font":
            yield Piece(source, "".join(piece.text for piece in group), font)
        else:
            yield from group


@functools.lru_cache(4096)
def _of_character(character: str, kanjivg: Path | None, fonts: tuple[Path, ...]) -> tuple[Piece, ...]:
    """The pieces of one character: most often one, more where plainer characters stand in for it."""
    if has(None, character):
        return (Piece("font", character),)
    if glyphs.mask(kanjivg, character, _PROBE_PX) is not None:
        return (Piece("strokes", character),)
    stand_in = _stand_in(character, kanjivg)
    if stand_in:
        return stand_in
    font = next((path for path in fonts if has(path, character)), None)
    return (Piece("box", character) if font is None else Piece("font", character, font),)


def _stand_in(character: str, kanjivg: Path | None) -> tuple[Piece, ...]:
    if character in stand_ins.CORNERS:
        return (Piece("corner", character),)
    letter = stand_ins.accented(character)
    if letter is not None and has(None, letter[0]):
        return (Piece("accented", "".join(letter)),)
    plainer = stand_ins.plainer(character)
    if len(plainer) == 1 and stand_ins.is_full_width(character) and has(None, plainer):
        return (Piece("wide", plainer),)
    found = [piece for one in plainer for piece in _of_character(one, kanjivg, ())]
    return () if any(piece.source == "box" for piece in found) else tuple(found)


@functools.lru_cache(8192)
def has(path: Path | None, character: str) -> bool:
    """Whether the font at ``path`` (None for the one inside Pillow) has a glyph for ``character``.

    Pillow does not tell, but draws the font's sign for a missing glyph; so what it draws is compared with that.
    """
    if path is not None and not path.is_file():
        return False
    if character == " ":
        return True
    is_text = character.isprintable()
    return is_text and _drawn(path, character) != _drawn(path, _NO_CHARACTER)


@functools.lru_cache(64)
def _font_of(path: Path | None, size_px: int) -> Font:
    """The font at ``path``, or the one inside Pillow for None."""
    return ImageFont.load_default(size_px) if path is None else ImageFont.truetype(path, size_px)


def width_px(piece: Piece, size_px: int) -> float:
    """How wide ``piece`` is."""
    if piece.source in {"strokes", "corner", "wide"}:
        return float(round(size_px * _KANJI))
    if piece.source == "box":
        return _length(_code(piece), _box_size(size_px)) + 2 * (size_px // 5) + 1
    return _length(piece.text[0] if piece.source == "accented" else piece.text, size_px, piece.font)


def draw(
    picture: Image.Image, left: float, base: float, piece: Piece, size_px: int, colour: Colour, kanjivg: Path | None
) -> None:
    """Draw ``piece`` on ``picture`` (RGB), from ``left`` on the line ``base``."""
    if piece.source in {"strokes", "corner"}:
        _draw_square(picture, left, base, piece, size_px, colour, kanjivg)
    elif piece.source == "accented":
        _draw_accented(picture, left, base, piece.text, size_px, colour)
    elif piece.source == "box":
        _draw_box(picture, left, base, piece, size_px, colour)
    else:
        indent = (width_px(piece, size_px) - _length(piece.text, size_px, piece.font)) / 2
        pen = ImageDraw.Draw(picture)
        pen.text((left + indent, base), piece.text, colour, _font_of(piece.font, size_px), anchor="ls")


def _draw_square(
    picture: Image.Image, left: float, base: float, piece: Piece, size_px: int, colour: Colour, kanjivg: Path | None
) -> None:
    side_px = round(size_px * _KANJI)
    place = (round(left), round(base - _KANJI_TOP * size_px))
    if piece.source == "corner":
        ink = _corner(piece.text, side_px)
    else:
        drawn = glyphs.mask(kanjivg, piece.text, side_px)
        ink = Image.new("L", (side_px, side_px)) if drawn is None else Image.fromarray(drawn)
    picture.paste(colour, (*place, place[0] + side_px, place[1] + side_px), ink)


def _corner(sign: str, side_px: int) -> Image.Image:
    large = Image.new("L", (side_px * _FINER, side_px * _FINER))
    points = [part * side_px * _FINER for part in stand_ins.CORNERS[sign]]
    ImageDraw.Draw(large).line(points, 255, max(1, side_px * _FINER // 14), joint="curve")
    return large.reduce(_FINER)


def _draw_accented(picture: Image.Image, left: float, base: float, text: str, size_px: int, colour: Colour) -> None:
    letter, accent = text[0], text[1]
    pen, font = ImageDraw.Draw(picture), _font_of(None, size_px)
    pen.text((left, base), letter, colour, font, anchor="ls")
    sign, share = stand_ins.MARKS[accent]
    small = _font_of(None, round(size_px * share))
    start, top, end, _ = font.getbbox(letter, anchor="ls")
    sign_start, sign_top, sign_end, sign_bottom = small.getbbox(sign, anchor="ls")
    across = left + (start + end - sign_start - sign_end) / 2
    down = base - sign_top if accent == stand_ins.BELOW else base + top - sign_bottom - size_px * 0.02
    pen.text((across, down), sign, colour, small, anchor="ls")


def _draw_box(picture: Image.Image, left: float, base: float, piece: Piece, size_px: int, colour: Colour) -> None:
    pen = ImageDraw.Draw(picture)
    right = left + width_px(piece, size_px) - 2
    edges = (round(left + 1), round(base - 0.78 * size_px), round(right), round(base + 0.1 * size_px))
    pen.rectangle(edges, outline=colour)
    font = _font_of(None, _box_size(size_px))
    pen.text(((left + 1 + right) / 2, base - 0.34 * size_px), _code(piece), colour, font, anchor="mm")


def _code(piece: Piece) -> str:
    return f"{ord(piece.text):04X}"


def _box_size(size_px: int) -> int:
    return max(8, round(size_px * _BOX))


@functools.lru_cache(8192)
def _length(text: str, size_px: int, path: Path | None = None) -> float:
    return _font_of(path, size_px).getlength(text)


@functools.lru_cache(8192)
def _drawn(path: Path | None, text: str) -> tuple[object, ...]:
    font = _font_of(path, _PROBE_PX)
    ink = font.getmask(text, "L")
    return ink.size, bytes(ink), font.getlength(text)
