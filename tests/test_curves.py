from __future__ import annotations

import numpy as np
import pytest

from kanjiprep.dataset import kanjivg, path_data
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.errors import InputError
from kanjiprep.evaluation.proof.curves import along, curves_of, drawn, lines, part_of
from tests import sources
from tests.sources import REST, TWO, Group

PAUSE = Group("丶", ("M10,20C20,25,30,25,40,20M60,70c5,5,10,5,20,0",))


def glyph(group: Group) -> kanjivg.GlyphStrokes:
    return kanjivg.parse_svg(sources.svg(0x4E00, group), 0x4E00, "f.svg")


@pytest.mark.parametrize("group", [REST, TWO, PAUSE], ids=["rest", "two", "pause"])
def test_strokes_are_drawn_as_the_dataset_draws_them(group: Group) -> None:
    canvas = Canvas(Style(128))
    plain = [segments for stroke in glyph(group).strokes if (segments := path_data.segments(stroke.path))]
    expected = canvas.draw(plain).astype(int)
    assert int(np.abs(drawn(curves_of(glyph(group)), 128) - expected).max()) <= 2
    assert expected.min() == 0


def test_curves_follow_each_other_unless_the_pen_is_lifted() -> None:
    two = curves_of(glyph(TWO))[1]
    assert two.shape == (2, 4, 2)
    assert np.array_equal(two[0, 3], two[1, 0])
    first, second = curves_of(glyph(PAUSE))[0]
    assert first.tolist() == [[10, 20], [20, 25], [30, 25], [40, 20]]
    assert second.tolist() == [[60, 70], [65, 75], [70, 75], [80, 70]]


@pytest.mark.parametrize("path", ["M20,20L80,20", "M20,20"])
def test_what_is_no_curve_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"f\.svg: a stroke of 一 is not made of cubic curves"):
        curves_of(glyph(Group("一", (path,))))


def test_broken_path_data_is_refused() -> None:
    with pytest.raises(InputError, match=r"f\.svg: a stroke of 一 is broken: c takes 6 numbers"):
        curves_of(glyph(Group("一", ("M20,20c1,2,3",))))


def test_distance_is_counted_along_the_stroke() -> None:
    corner = lines(np.array([[10.0, 10], [40, 10], [40, 50]]))
    points, distances = along(corner)
    assert distances[0] == 0
    assert distances[-1] == pytest.approx(70)
    assert points[-1] == pytest.approx([40, 50])
    assert bool((np.diff(distances) >= 0).all())


def test_a_piece_of_a_stroke_has_its_length_and_its_corners() -> None:
    points, distances = along(lines(np.array([[10.0, 10], [40, 10], [40, 50]])))
    piece = part_of(points, distances, 20, 45)
    assert piece[0, 0] == pytest.approx([30, 10])
    assert piece[-1, 3] == pytest.approx([40, 25])
    assert along(piece)[1][-1] == pytest.approx(25)
