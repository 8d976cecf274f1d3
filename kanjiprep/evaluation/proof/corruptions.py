"""Damaged pictures of known kinds and severities, each beside the sound picture that it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import UsageError
from kanjiprep.evaluation.proof import damage_pixels, damage_strokes
from kanjiprep.evaluation.proof.curves import Curves, curves_of, drawn
from kanjiprep.evaluation.variants import vary

MEDIUM: Final = 0.5
"""The severity that is called medium."""
SEVERITIES: Final = (0.25, MEDIUM, 1.0)
"""The severities that the judge is measured at."""
THICK: Final = 2.0
"""By how many stroke widths ``thick`` widens a stroke at full severity."""

StrokeDamage = Callable[[list[Curves], float, Sequence[list[Curves]], np.random.Generator], list[Curves]]
PixelDamage = Callable[[NDArray[np.float32], float, np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Corruption:
    """A kind of damage; the functions that do it say what a severity means.

    Attributes:
        name: Of the kind.
        style: Whether the picture as a whole is damaged, as a diverged adapter does it; else what it shows is.
        named: Whether the judge has figures to reach for it; else it is measured only.
        strokes: What is done to the strokes before they are drawn.
        pixels: What is done to the picture.
        wider: How many stroke widths a stroke gains at full severity; it loses them where this is negative.
    """

    name: str
    style: bool
    named: bool = True
    strokes: StrokeDamage | None = None
    pixels: PixelDamage | None = None
    wider: float = 0.0


KINDS: Final[Mapping[str, Corruption]] = MappingProxyType(
    {
        corruption.name: corruption
        for corruption in (
            Corruption("noise", style=True, pixels=damage_pixels.noise),
            Corruption("blotch", style=True, pixels=damage_pixels.blotch),
            Corruption("texture", style=True, pixels=damage_pixels.texture),
            Corruption("grid", style=True, pixels=damage_pixels.grid),
            Corruption("pixelation", style=True, pixels=damage_pixels.pixelation),
            Corruption("black", style=True, pixels=damage_pixels.black),
            Corruption("white", style=True, pixels=damage_pixels.white),
            Corruption("inverted", style=True, pixels=damage_pixels.inverted),
            Corruption("colour", style=True, pixels=damage_pixels.colour),
            Corruption("blur", style=True, named=False, pixels=damage_pixels.blur),
            Corruption("shade", style=True, named=False, pixels=damage_pixels.shade),
            Corruption("patch_shuffle", style=True, named=False, pixels=damage_pixels.patch_shuffle),
            Corruption("scribble", style=False, strokes=damage_strokes.scribble),
            Corruption("overlay", style=False, strokes=damage_strokes.overlay),
            Corruption("warp", style=False, strokes=damage_strokes.warp),
            Corruption("jitter", style=False, strokes=damage_strokes.jitter),
            Corruption("missing", style=False, strokes=damage_strokes.missing),
            Corruption("thick", style=False, named=False, wider=THICK),
            Corruption("broken", style=False, named=False, strokes=damage_strokes.broken),
            Corruption("extra", style=False, named=False, strokes=damage_strokes.extra),
            Corruption("scale", style=False, named=False, strokes=damage_strokes.scale, wider=-damage_strokes.SHRUNK),
        )
    }
)
"""Every kind of damage, by name. ``thick`` widens strokes by twice their width times the severity."""


def draw_sound(
    glyph: GlyphStrokes, rng: np.random.Generator, size_px: int = 256, style: Style | None = None
) -> NDArray[np.uint8]:
    """The character with natural variation and no damage: (size_px, size_px, 3) uint8 RGB.

    Args:
        glyph: The character.
        rng: Decides the variation, the same here as in ``draw``.
        size_px: Side of the picture.
        style: How its dataset draws characters; None for as published.

    Raises:
        InputError: If a stroke is broken or no curve.
    """
    return vary(drawn(curves_of(glyph), size_px, style), variation(rng))


def variation(rng: np.random.Generator) -> np.random.Generator:
    """What decides the natural variation in ``draw`` with this generator."""
    return rng.spawn(2)[0]


def draw(
    kind: str,
    severity: float,
    glyph: GlyphStrokes,
    others: Sequence[GlyphStrokes],
    rng: np.random.Generator,
    size_px: int = 256,
    style: Style | None = None,
) -> NDArray[np.uint8]:
    """The character with natural variation and one kind of damage: (size_px, size_px, 3) uint8 RGB.

    Args:
        kind: A name in ``KINDS``.
        severity: Above 0, at most 1.
        glyph: The character.
        others: Characters that ``overlay`` draws over it, three or more besides itself; other kinds need none.
        rng: Decides variation and damage, apart from each other and from the severity.
        size_px: Side of the picture.
        style: How its dataset draws characters; None for as published.

    Raises:
        UsageError: If there are too few others.
        InputError: If a stroke is broken or no curve.
    """
    corruption = KINDS[kind]
    over = [curves_of(other) for other in others if other != glyph] if kind == "overlay" else []
    if kind == "overlay" and len(over) < damage_strokes.OVERLAID:
        raise UsageError(f"overlay needs {damage_strokes.OVERLAID} other characters, not {len(over)}")
    variation, damage = rng.spawn(2)
    strokes = curves_of(glyph)
    if corruption.strokes:
        strokes = corruption.strokes(strokes, severity, over, damage)
    sound = vary(drawn(strokes, size_px, _widened(style or Style(size_px), corruption.wider * severity)), variation)
    return _damaged(sound, corruption.pixels, severity, damage) if corruption.pixels else sound


def _widened(style: Style, wider: float) -> Style:
    """``style`` with strokes that are wider by that share."""
    return replace(style, stroke_width=style.stroke_width * (1 + wider))


def _damaged(
    sound: NDArray[np.uint8], pixels: PixelDamage, severity: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    levels = pixels(sound.astype(np.float32) / np.float32(255), severity, rng)
    return (np.clip(levels, 0, 1) * 255 + 0.5).astype(np.uint8)
