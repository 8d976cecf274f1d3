"""Invented but valid characters: one half of a real one beside, or above, the other half of another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from kanjiprep.dataset.kanjivg import Component, GlyphStrokes
from kanjiprep.evaluation.proof.curves import curves_of

FIT: Final = 4.0
"""How far a half may end from where the half that it replaces does, in KanjiVG units (109 a side): more, and the two
run into each other or gape as in no real character."""
PRIVATE_USE: Final = 0xF0000
"""Code point of the first invention, in Unicode's plane 15, which is nobody's."""

_TWO: Final = 2
_AXES: Final[Mapping[tuple[str, ...], int]] = {("left", "right"): 0, ("top", "bottom"): 1}
"""The axis across the line between two halves, by where they lie."""


class _Edges(NamedTuple):
    """Where the first half of a character ends and the second begins, across the line between them."""

    first: float
    second: float


def invent(
    glyphs: Mapping[int, GlyphStrokes], most: int, seed: int, made_from: Collection[int] | None = None
) -> tuple[GlyphStrokes, ...]:
    """Characters that do not exist, no two of the same halves; the same for the same glyphs and seed.

    Args:
        glyphs: Real characters, by code point: none of them is made of the two halves of an invention.
        most: How many; they are fewer if ``glyphs`` do not give so many.
        seed: Decides which.
        made_from: Code points of the characters whose halves are taken; None for all of ``glyphs``.

    Raises:
        InputError: If a stroke is broken.
    """
    rng = np.random.default_rng(seed)
    taken = {_pair(*halves) for glyph in glyphs.values() if len(halves := _halves(glyph.tree)) == _TWO}
    chosen = (glyphs[codepoint] for codepoint in sorted(glyphs if made_from is None else made_from))
    halved = [glyph for glyph in chosen if _is_halved(glyph)]
    inventions: list[GlyphStrokes] = []
    while len(inventions) < most and (added := _round(halved, taken, most - len(inventions), rng)):
        inventions += [_joined(len(inventions) + index, *pair) for index, pair in enumerate(added)]
    return tuple(inventions)


def _round(
    halved: Sequence[GlyphStrokes], taken: set[frozenset[str]], count: int, rng: np.random.Generator
) -> list[tuple[GlyphStrokes, GlyphStrokes]]:
    """Up to ``count`` pairs to join, at most one for each first half; their elements are put to those ``taken``."""
    edges = cache(_edges)
    pairs: list[tuple[GlyphStrokes, GlyphStrokes]] = []
    for index in rng.permutation(len(halved)).tolist():
        if len(pairs) == count:
            break
        first = halved[index]
        for other in rng.permutation(len(halved)).tolist():
            second = halved[other]
            pair = _pair(first.tree.children[0], second.tree.children[1])
            if _axis(first) == _axis(second) and pair not in taken and _fits(edges(first), edges(second)):
                taken.add(pair)
                pairs.append((first, second))
                break
    return pairs


def _joined(number: int, first: GlyphStrokes, second: GlyphStrokes) -> GlyphStrokes:
    """As a character, for all that draws characters; its code point is its own, and private."""
    one, other = first.tree.children[0], second.tree.children[1]
    strokes = (*first.strokes[: one.strokes], *second.strokes[-other.strokes :])
    tree = Component("", "", "", 0, (one, other), len(strokes))
    where = f"invented from {first.literal} and {second.literal}"
    return GlyphStrokes(PRIVATE_USE + number, strokes, tree, None, where)


def _is_halved(glyph: GlyphStrokes) -> bool:
    """Whether it is of two whole halves with names, one after the other, and can be drawn stroke by stroke."""
    children = glyph.tree.children
    return (
        tuple(child.position for child in children) in _AXES
        and all(child.element and child.strokes and not child.part for child in children)
        and sum(child.strokes for child in children) == len(glyph.strokes)
        and glyph.svg is None
    )


def _axis(glyph: GlyphStrokes) -> int:
    return _AXES[tuple(child.position for child in glyph.tree.children)]


def _halves(tree: Component) -> tuple[Component, ...]:
    """What a character is directly made of; a group around all of it is looked into."""
    children = tree.children
    while len(children) == 1:
        children = children[0].children
    return children


def _pair(first: Component, second: Component) -> frozenset[str]:
    """What the two are, in no order; a form of a character, such as ⻖, counts as that character."""
    return frozenset((first.original or first.element, second.original or second.element))


def _edges(glyph: GlyphStrokes) -> _Edges:
    strokes, count, axis = curves_of(glyph), glyph.tree.children[0].strokes, _axis(glyph)
    return _Edges(
        max(float(stroke[:, 0::3, axis].max()) for stroke in strokes[:count]),
        min(float(stroke[:, 0::3, axis].min()) for stroke in strokes[count:]),
    )


def _fits(first: _Edges, second: _Edges) -> bool:
    """Whether each half ends about where the one that it replaces does."""
    return abs(first.first - second.first) <= FIT and abs(first.second - second.second) <= FIT
