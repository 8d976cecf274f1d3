"""What to draw for characters that Pillow's font and KanjiVG lack, out of those that they have."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

PUNCTUATION: Final[Mapping[str, str]] = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2032\u02b9\u02bc", "'"),
    **dict.fromkeys("\u3008\u2329", "\u2039"),
    **dict.fromkeys("\u3009\u232a", "\u203a"),
    **dict.fromkeys("\u3010\u3014\u3016", "["),
    **dict.fromkeys("\u3011\u3015\u3017", "]"),
    "\u300a": "\u00ab",
    "\u300b": "\u00bb",
    "\u300e": "\u300c",
    "\u300f": "\u300d",
    "\u301c": "~",
    "\u00d7": "x",
    "\u2022": "\u00b7",
}
"""Signs that another one says as well."""

CORNERS: Final[Mapping[str, tuple[float, ...]]] = {
    "\u300c": (0.92, 0.12, 0.6, 0.12, 0.6, 0.6),
    "\u300d": (0.4, 0.4, 0.4, 0.88, 0.08, 0.88),
}
"""Japanese quotation marks, which KanjiVG lacks: corners of a line in parts of the square."""

MARKS: Final[Mapping[str, tuple[str, float]]] = {
    "\u0300": ("`", 0.8),
    "\u0301": ("\u00b4", 0.8),
    "\u0302": ("^", 0.8),
    "\u0303": ("~", 0.7),
    "\u0304": ("-", 0.9),
    "\u0308": ("..", 0.8),
    "\u030a": ("\u00b0", 0.8),
    "\u030c": ("v", 0.5),
    "\u0327": (",", 0.8),
}
"""Accents, the sign that looks like each, and its size in parts of the letter's; the last one goes below."""
BELOW: Final = "\u0327"


def is_invisible(character: str) -> bool:
    """Whether ``character`` shows nothing by itself: controls, joiners, selectors of variants."""
    code = ord(character)
    is_selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF  # noqa: PLR2004
    return is_selector or unicodedata.category(character) in {"Cc", "Cf"}


def is_full_width(character: str) -> bool:
    """Whether it is the full-width form of a letter or sign."""
    return unicodedata.east_asian_width(character) == "F"


def plainer(character: str) -> str:
    """The same in plainer characters, such as A for its full-width form; empty if there are none."""
    found = PUNCTUATION.get(character) or unicodedata.normalize("NFKC", character)
    return "" if found == character else found.strip()


def accented(character: str) -> tuple[str, str] | None:
    """The letter and the accent that ``character`` is made of; None if it is not made of just these."""
    parts = unicodedata.normalize("NFD", character)
    return (parts[0], parts[1]) if len(parts) == 2 and parts[1] in MARKS else None  # noqa: PLR2004
