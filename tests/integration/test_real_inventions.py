"""Inventions from the real KanjiVG, as the judge is proven on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kanjiprep.dataset import kanjivg
from kanjiprep.dataset import sources as finding
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation.proof.curves import curves_of, drawn
from kanjiprep.evaluation.proof.inventions import invent
from kanjiprep.progress import silent


@pytest.fixture(scope="module")
def real() -> Mapping[int, GlyphStrokes]:
    source = finding.read_kanjivg(finding.find(finding.KANJIVG, None, {}, Path("no cache"), silent))
    return kanjivg.parse(source)


@pytest.fixture(scope="module")
def inventions(real: Mapping[int, GlyphStrokes]) -> tuple[GlyphStrokes, ...]:
    return invent(real, 100, 1)


def test_no_real_character_is_made_of_the_same_two(
    real: Mapping[int, GlyphStrokes], inventions: tuple[GlyphStrokes, ...]
) -> None:
    there = {frozenset(child.element for child in glyph.tree.children) for glyph in real.values()}
    made = {frozenset(child.element for child in glyph.tree.children) for glyph in inventions}
    assert len(made) == 100
    assert not made & there
    assert {glyph.tree.children[0].position for glyph in inventions} == {"left", "top"}


def test_inventions_carry_as_much_ink_as_real_characters(
    real: Mapping[int, GlyphStrokes], inventions: tuple[GlyphStrokes, ...]
) -> None:
    halved = [
        real[ord(literal)]
        for one in inventions
        for literal in one.where.removeprefix("invented from ").split(" and ")
    ]
    invented, taken = (
        float(np.mean([255 - drawn(curves_of(glyph), 64).mean() for glyph in glyphs]))
        for glyphs in (inventions, halved)
    )
    assert invented == pytest.approx(taken, rel=0.05)


def test_every_stroke_of_every_character_can_be_changed(real: Mapping[int, GlyphStrokes]) -> None:
    for glyph in real.values():
        assert glyph.tree.strokes == len(glyph.strokes)
        assert len(curves_of(glyph)) == len(glyph.strokes)
