from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanjiprep.dataset import kanjivg, path_data, png, raster, reference
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.errors import UsageError
from tests import sources

STYLES = [Style(), Style(64), Style(511, 4.5, 13), Style(256, 2.0, 32), Style(333, 3.0, 1)]


def strokes_of(codepoint: int) -> tuple[list[list[path_data.Segment]], bytes]:
    glyph = kanjivg.parse_svg(sources.svg(codepoint, sources.GLYPHS[codepoint]), codepoint, "f")
    drawn = [path_data.segments(stroke.path) for stroke in glyph.strokes]
    document = kanjivg.standard_document(tuple(stroke.path for stroke in glyph.strokes))
    return [one for one in drawn if one is not None], document


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("codepoint", [0x4F11, 0x4E00, 0x4E8C])
def test_every_pixel_equals_cairosvgs(codepoint: int, style: Style) -> None:
    strokes, document = strokes_of(codepoint)
    expected = reference.render(document, style, "f")
    assert expected.min() == 0
    assert np.array_equal(Canvas(style).draw(strokes), expected)


def test_a_canvas_forgets_the_picture_before() -> None:
    canvas = Canvas(Style(64))
    first, second = strokes_of(0x4F11)[0], strokes_of(0x4E00)[0]
    canvas.draw(first)
    assert np.array_equal(canvas.draw(second), Canvas(Style(64)).draw(second))


def test_the_picture_is_the_golden_one(golden: Any) -> None:
    strokes, _ = strokes_of(0x4F11)
    golden("rest_64.png", png.Encoder(64, 64).encode(Canvas(Style(64)).draw(strokes)))


def test_a_margin_stays_white() -> None:
    picture = Canvas(Style(128, 3.0, 40)).draw(strokes_of(0x4F11)[0])
    assert picture[40:88, 40:88].min() < 128
    outside = picture.copy()
    outside[40:88, 40:88] = 255
    assert outside.min() == 255


def test_a_wider_stroke_is_more_ink() -> None:
    strokes, _ = strokes_of(0x4F11)
    thin, thick = (Canvas(Style(128, width)).draw(strokes).mean() for width in (1.0, 8.0))
    assert thick < thin


@pytest.mark.parametrize(
    ("style", "says"),
    [
        (Style(15), "--size-px is 15; give 16 to 4096"),
        (Style(4097), "--size-px is 4097"),
        (Style(64, 0.0), "--stroke-width is 0; give 0.1 to 30"),
        (Style(64, float("nan")), "--stroke-width is nan"),
        (Style(64, 3.0, 28), "--margin-px is 28; give 0 to 27"),
        (Style(64, 3.0, -1), "--margin-px is -1"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused(style: Style, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        raster.refuse_impossible(style)


@pytest.mark.parametrize("style", [*STYLES, Style(64, 3.0, 27), Style(16)], ids=str)
def test_the_limits_themselves_are_allowed(style: Style) -> None:
    raster.refuse_impossible(style)
