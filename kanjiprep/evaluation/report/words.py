"""Numbers and lists as a reader wants them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

NOTHING: Final = "–"
"""Stands where there is no number."""
_SMALL: Final = 1e-3
_WHOLE: Final = 1000
_WORD: Final = re.compile(r"[^\W\d_]+(?![\w/-]|\.\w)")
"""Letters alone at the beginning: ``sd35-large-lora`` and ``output/a.png`` are written as they are."""
_JAPANESE: Final = re.compile(
    "[\u2e80-\u2fdf\u3000-\u30ff\u31c0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U000323af]+"
)


def finite(value: float | None) -> float | None:
    """``value``; None if it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def number(value: float | None, digits: int = 3) -> str:
    """``value`` with so many significant digits: ``14,400``, ``0.231``, ``1.05e-4``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value != 0 and abs(value) < _SMALL:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.{digits}g}"


def fixed(value: float | None, decimals: int = 2) -> str:
    """``value`` with so many decimals, for a column; as ``number`` has it if they would show nothing."""
    if value is None or not math.isfinite(value) or abs(value) >= _WHOLE or 0 < abs(value) < 10**-decimals:
        return number(value)
    return f"{value:.{decimals}f}"


def score(value: float | None) -> str:
    """A score of 0 to 100 with one decimal."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.1f}"


def interval(low: float, high: float) -> str:
    """``68.0 to 74.1``."""
    return f"{score(low)} to {score(high)}"


def span(hours: float | None) -> str:
    """``7 h 12 min``, or ``12 min``."""
    if hours is None or not math.isfinite(hours):
        return NOTHING
    minutes = round(hours * 60)
    whole, rest = divmod(minutes, 60)
    return f"{whole:,} h {rest:02} min" if whole else f"{rest} min"


def usd(value: float | None) -> str:
    """``$12.34``."""
    return NOTHING if value is None or not math.isfinite(value) else f"${value:,.2f}"


def listed(items: Sequence[str], most: int = 8) -> str:
    """``a, b and c``, or ``a, b and 12 more``."""
    if len(items) > most:
        return f"{', '.join(items[: most - 1])} and {len(items) - most + 1} more"
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def steps(numbers: Sequence[int], most: int = 8) -> str:
    """``13,600, 14,000`` and so on."""
    return listed([f"{one:,}" for one in numbers], most)


def sentence(text: str) -> str:
    """``text`` with a capital in front, unless it begins with a name or path, and a full stop behind."""
    stripped = text.strip()
    ends = "" if stripped.endswith((".", "!", "?", "。", "…")) or not stripped else "."
    first = stripped[:1].upper() if _WORD.match(stripped) else stripped[:1]
    return first + stripped[1:] + ends


def japanese(text: str) -> Markup:
    """``text`` for HTML, its Japanese marked as such, so that Japanese forms of the characters are shown."""
    return Markup(_JAPANESE.sub(r'<span lang="ja">\g<0></span>', str(escape(text))))  # noqa: S704
