"""Dictionary and drawings joined: samples in the dictionary's order, and a reason for all that is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kanjiprep.dataset.kanjidic import KanjiEntry
from kanjiprep.dataset.kanjivg import Component, GlyphStrokes
from kanjiprep.dataset.selection import Selection


class Reason(StrEnum):
    """Why a character is not in the dataset."""

    NOT_SELECTED = "not_selected"
    NO_STROKES = "no_strokes"
    NO_MEANING = "no_meaning"
    OVER_LIMIT = "over_limit"
    NOT_IN_KANJIDIC = "not_in_kanjidic"


@dataclass(frozen=True, slots=True)
class Part:
    """A component that a character is directly made of.

    Attributes:
        literal: The component as a character.
        meaning: Its first English meaning, or that of the character it is a form of, or empty.
        position: KanjiVG's ``left``, ``top``, ... or empty.
    """

    literal: str
    meaning: str
    position: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One character that has strokes and a meaning."""

    entry: KanjiEntry
    glyph: GlyphStrokes
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """One character that is left out."""

    literal: str
    reason: Reason

    @property
    def codepoint(self) -> int:
        """Unicode code point of the literal."""
        return ord(self.literal)


@dataclass(frozen=True, slots=True)
class Joined:
    """Samples in the dictionary's order; skipped in the same, then drawings without an entry by code point."""

    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]


def join(entries: tuple[KanjiEntry, ...], glyphs: Mapping[int, GlyphStrokes], selection: Selection) -> Joined:
    """Every character of either source, as a sample or as skipped."""
    meanings = {entry.literal: entry.meanings[0] for entry in entries if entry.meanings}
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for entry in entries:
        reason = _reason(entry, glyphs, selection)
        if reason is None and selection.limit is not None and len(samples) >= selection.limit:
            reason = Reason.OVER_LIMIT
        if reason is not None:
            skipped.append(Skipped(entry.literal, reason))
            continue
        glyph = glyphs[entry.codepoint]
        samples.append(Sample(entry, glyph, _parts(glyph.tree, meanings)))
    known = {entry.codepoint for entry in entries}
    skipped += [Skipped(chr(point), Reason.NOT_IN_KANJIDIC) for point in sorted(glyphs.keys() - known)]
    return Joined(tuple(samples), tuple(skipped))


def _reason(entry: KanjiEntry, glyphs: Mapping[int, GlyphStrokes], selection: Selection) -> Reason | None:
    if not selection.wants(entry):
        return Reason.NOT_SELECTED
    if entry.codepoint not in glyphs:
        return Reason.NO_STROKES
    return None if entry.meanings else Reason.NO_MEANING


def _parts(tree: Component, meanings: Mapping[str, str]) -> tuple[Part, ...]:
    return tuple(
        Part(
            component.element,
            meanings.get(component.element) or meanings.get(component.original, ""),
            component.position,
        )
        for component in direct_components(tree)
    )


def direct_components(tree: Component) -> Iterator[Component]:
    """The named components nearest below ``tree``, a split one once."""
    for child in tree.children:
        if not child.element or child.element == tree.element:
            yield from direct_components(child)
        elif child.part <= 1:
            yield child
