"""A number that says where it comes from and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

How = Literal["measured", "published", "estimated", "computed"]

_BY_CERTAINTY: Final[tuple[How, ...]] = ("estimated", "published", "measured", "computed")


_MOST_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its band and its origin.

    Attributes:
        value: The best guess.
        low: Least value that would be no surprise; the value itself if it is exact.
        high: Most.
        unit: ``GiB``, ``bytes``, ``s``, ``h``, ``USD``, ``USD/h``, ``FLOP``: whatever the number counts.
        how: ``computed`` follows from definitions, ``measured`` was seen here, ``published`` was seen by the one
            whom ``source`` names, ``estimated`` is none of these.
        source: By whom, where or from what.
    """

    value: float
    low: float
    high: float
    unit: str
    how: How
    source: str

    @property
    def is_exact(self) -> bool:
        """Whether there is no band."""
        return self.low == self.high

    def __str__(self) -> str:
        band = "" if self.is_exact else f" ({short(self.low)} to {short(self.high)})"
        return f"{short(self.value)} {self.unit}{band}, {self.how}: {self.source}"


def exact(value: float, unit: str, how: How, source: str) -> Figure:
    """A figure without a band."""
    return Figure(value, value, value, unit, how, source)


def within(value: float, share: float, unit: str, how: How, source: str) -> Figure:
    """A figure that may be off by ``share`` (0.1 is ten percent) to either side."""
    return Figure(value, value * (1 - share), value * (1 + share), unit, how, source)


def total(parts: Iterable[Figure], unit: str, source: str) -> Figure:
    """The sum of ``parts``, which are of one unit: bands add up, and it is no surer than its least sure part.

    A part that is zero does not make the sum less sure.
    """
    figures = tuple(parts)
    counted = [one.how for one in figures if one.high > 0]
    how: How = min(counted, key=_BY_CERTAINTY.index, default="computed")
    value, low, high = (math.fsum(getattr(one, name) for one in figures) for name in ("value", "low", "high"))
    return Figure(value, low, high, unit, how, source)


def scale(figure: Figure, factor: float, unit: str, source: str = "") -> Figure:
    """``figure`` times an exact ``factor`` of at least 0, in another unit."""
    value, low, high = (number * factor for number in (figure.value, figure.low, figure.high))
    return replace(figure, value=value, low=low, high=high, unit=unit, source=source or figure.source)


def short(number: float) -> str:
    """``number`` with three digits that count, and thousands set apart."""
    if number == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(number)))
    return f"{number:.3g}" if digits > _MOST_DIGITS else f"{round(number, digits):,.{max(0, digits)}f}"
