"""Invented but valid characters: one half of a real one beside, or above, the other half of another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NamedTuple

import numpy as np

from kanjiprep.dataset.kanjivg import Component, GlyphStrokes, Stroke
from kanjiprep.errors import InputError
from kanjiprep.evaluation.proof.curves import curves_of

Position = Literal["left-right", "top-bottom"]

FIT: Final = 4.0
"""How far a half may end from where the half that it replaces does, in KanjiVG units (109 a side): more, and the two
run into each other or gape as in no real character."""
TWO: Final = 2
"""Halves in a whole."""
PRIVATE_USE: Final = 0xF0000
"""Code point of the first invention, in Unicode's plane 15, which is nobody's."""

_POSITIONS: Final[Mapping[tuple[str, ...], tuple[Position, int]]] = {
    ("left", "right"): ("left-right", 0),
    ("top", "bottom"): ("top-bottom", 1),
}


@dataclass(frozen=True, slots=True)
class Invention:
    """A character that does not exist, of two halves that do.

    Attributes:
        number: From 0, in the order of invention.
        strokes: Path data, in writing order.
        elements: The two halves, as characters; no real character is made of these two.
        position: How they lie.
        made_of: The characters that the first and the second half are from.
        tree: Its components.
    """

    number: int
    strokes: tuple[str, ...]
    elements: tuple[str, str]
    position: Position
    made_of: tuple[str, str]
    tree: Component


class _Edges(NamedTuple):
    """Where the first half of a character ends and the second begins, across the line between them."""

    first: float
    second: float


def invent(
    glyphs: Mapping[int, GlyphStrokes], count: int, seed: int, made_from: Collection[int] | None = None
) -> tuple[Invention, ...]:
    """Characters that do not exist, no two of the same elements; the same for the same glyphs and seed.

    Args:
        glyphs: Real characters, by code point: none of them is made of the two elements of an invention.
        count: How many.
        seed: Decides which.
        made_from: Code points of the characters whose halves are taken; None for all of ``glyphs``.

    Raises:
        InputError: If ``glyphs`` do not give so many, or a stroke is broken.
    """
    found = invent_some(glyphs, count, seed, made_from)
    if len(found) < count:
        halved = len(_halved(glyphs, made_from))
        raise InputError(f"only {len(found)} of {count} characters can be invented from {halved} real ones")
    return found


def invent_some(
    glyphs: Mapping[int, GlyphStrokes], most: int, seed: int, made_from: Collection[int] | None = None
) -> tuple[Invention, ...]:
    """As ``invent``, but as many as ``glyphs`` give, ``most`` of them at most.

    Raises:
        InputError: If a stroke is broken.
    """
    rng = np.random.default_rng(seed)
    taken = {_pair(*halves) for glyph in glyphs.values() if len(halves := _halves(glyph.tree)) == TWO}
    halved = _halved(glyphs, made_from)
    inventions: list[Invention] = []
    while len(inventions) < most and (added := _round(halved, taken, most - len(inventions), rng)):
        inventions += [_joined(len(inventions) + index, *pair) for index, pair in enumerate(added)]
    return tuple(inventions)


def glyph_of(invention: Invention) -> GlyphStrokes:
    """The invention as a character, for all that draws characters; its code point is its own, and private."""
    strokes = tuple(Stroke(path, "") for path in invention.strokes)
    where = f"invented from {' and '.join(invention.made_of)}"
    return GlyphStrokes(PRIVATE_USE + invention.number, strokes, invention.tree, None, where)


def _halved(glyphs: Mapping[int, GlyphStrokes], made_from: Collection[int] | None) -> list[GlyphStrokes]:
    """Those that halves are taken from, by code point."""
    chosen = (glyphs[codepoint] for codepoint in sorted(glyphs if made_from is None else made_from))
    return [glyph for glyph in chosen if _is_halved(glyph)]


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
            if _layout(first) == _layout(second) and pair not in taken and _fits(edges(first), edges(second)):
                taken.add(pair)
                pairs.append((first, second))
                break
    return pairs


def _joined(number: int, first: GlyphStrokes, second: GlyphStrokes) -> Invention:
    one, other = first.tree.children[0], second.tree.children[1]
    strokes = (*first.strokes[: one.strokes], *second.strokes[-other.strokes :])
    return Invention(
        number=number,
        strokes=tuple(stroke.path for stroke in strokes),
        elements=(one.element, other.element),
        position=_layout(first)[0],
        made_of=(first.literal, second.literal),
        tree=Component("", "", "", 0, (one, other), len(strokes)),
    )


def _is_halved(glyph: GlyphStrokes) -> bool:
    """Whether it is of two whole halves with names, one after the other, and can be drawn stroke by stroke."""
    children = glyph.tree.children
    return (
        tuple(child.position for child in children) in _POSITIONS
        and all(child.element and child.strokes and not child.part for child in children)
        and sum(child.strokes for child in children) == len(glyph.strokes)
        and glyph.svg is None
    )


def _layout(glyph: GlyphStrokes) -> tuple[Position, int]:
    """How its halves lie, and the axis across the line between them."""
    return _POSITIONS[tuple(child.position for child in glyph.tree.children)]


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
    strokes, count, axis = curves_of(glyph), glyph.tree.children[0].strokes, _layout(glyph)[1]
    return _Edges(
        max(float(stroke[:, 0::3, axis].max()) for stroke in strokes[:count]),
        min(float(stroke[:, 0::3, axis].min()) for stroke in strokes[count:]),
    )


def _fits(first: _Edges, second: _Edges) -> bool:
    """Whether each half ends about where the one that it replaces does."""
    return abs(first.first - second.first) <= FIT and abs(first.second - second.second) <= FIT
