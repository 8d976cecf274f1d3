import hashlib
from pathlib import Path

import numpy as np
import pytest

from kanjiprep.dataset import drawing, kanjivg, reference
from kanjiprep.dataset.drawing import Drawing
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.errors import DatasetError, InputError
from tests import sources

STYLE = Style(64)


def glyph(group: sources.Group = sources.REST, **options: str) -> kanjivg.GlyphStrokes:
    return kanjivg.parse_svg(sources.svg(0x4F11, group, **options), 0x4F11, "f/04f11.svg")


def test_a_picture_is_written_under_its_published_name(tmp_path: Path) -> None:
    ((drawn,),) = drawing.draw_all([drawing.drawing_of(glyph())], tmp_path, STYLE, 1)
    assert drawn.name == "休_kanji_04f11.png"
    assert hashlib.sha256((tmp_path / drawn.name).read_bytes()).hexdigest() == drawn.sha256


@pytest.mark.parametrize(
    "unusual",
    [
        glyph(style=sources.STYLE.replace("#000000", "#ff0000")),
        glyph(sources.Group("休", ("M20,20L80,80", "M10,50A20,20,0,0,1,90,50"))),
        glyph(root='viewBox="0 0 218 218"'),
    ],
)
def test_the_unusual_is_drawn_by_cairosvg(unusual: kanjivg.GlyphStrokes) -> None:
    one = drawing.drawing_of(unusual)
    document = one.svg or kanjivg.standard_document(one.paths)
    drawn = drawing.pixels_of(one, Canvas(STYLE), STYLE)
    assert drawn.min() < 100
    assert np.array_equal(drawn, reference.render(document, STYLE, "f"))


def test_a_broken_stroke_is_named(tmp_path: Path) -> None:
    broken = Drawing("休_kanji_04f11.png", ("M1,1c1,1,1,1,1,1", "M1,1c2"), None, "f/04f11.svg")
    with pytest.raises(InputError, match=r"f/04f11\.svg: stroke 2 of 休 is broken: c takes 6 numbers"):
        list(drawing.draw_all([broken], tmp_path, STYLE, 1))


def test_pictures_are_compared_with_cairosvg(tmp_path: Path) -> None:
    one = drawing.drawing_of(glyph())
    list(drawing.draw_all([one], tmp_path, STYLE, 1))
    good, bad = kanjivg.standard_document(one.paths), kanjivg.standard_document(one.paths[1:])
    assert list(drawing.compare_all([(one.name, good)], tmp_path, STYLE, 1)) == [1]
    with pytest.raises(DatasetError, match="differs from CairoSVG's rendering by up to 255 of 255"):
        list(drawing.compare_all([(one.name, bad)], tmp_path, STYLE, 1))
