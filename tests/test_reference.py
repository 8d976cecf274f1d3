import numpy as np
import pytest

from kanjiprep.dataset import reference
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import InputError
from tests import sources


def test_the_styles_stroke_width_and_margin_reach_cairosvg() -> None:
    svg = sources.svg(0x4E00, sources.ONE)
    plain, thick = (reference.render(svg, Style(64, width), "f") for width in (3.0, 12.0))
    assert thick.mean() < plain.mean()
    inner = reference.render(svg, Style(64, 3.0, 20), "f")
    assert inner[:, :20].min() == 255


def test_colours_become_grey() -> None:
    svg = sources.svg(0x4E00, sources.ONE, style=sources.STYLE.replace("#000000", "#ff0000"))
    assert np.unique(reference.render(svg, Style(64), "f")).min() == 76


def test_what_cairosvg_cannot_draw_is_refused() -> None:
    broken = sources.svg(0x4E00, sources.Group("一", ("M1,1A5 5 x 0 1 9 9",)))
    with pytest.raises(InputError, match="f: CairoSVG cannot draw it: ValueError"):
        reference.render(broken, Style(64), "f")
