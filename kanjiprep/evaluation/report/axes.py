"""Axes with sensible numbers: from values to where they stand on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_NICE: Final = (1.0, 2.0, 5.0, 10.0)
_FEW_DECADES: Final = 1.6
_SMALL: Final = 1e-2
_LARGE: Final = 1e5


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values with its ticks.

    Attributes:
        low: Its lower end.
        high: Its upper end, above the lower one.
        ticks: Values that are written at it, with their texts.
        is_log: Whether factors are spread evenly instead of differences.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def at(self, value: float, start: float, end: float) -> float:
        """Where ``value`` stands if the axis goes from ``start`` to ``end``."""
        low, high, here = (math.log10(one) if self.is_log else one for one in (self.low, self.high, value))
        return start + (end - start) * (here - low) / (high - low)


def linear(values: Iterable[float], most: int = 5) -> Axis:
    """An axis that holds ``values``, from round number to round number."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    if high - low <= abs(high) * 1e-9:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    step = _nice((high - low) / most)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    numbers = [index * step for index in range(first, last + 1)]
    return Axis(numbers[0], numbers[-1], tuple(zip(numbers, _texts(numbers, step), strict=True)))


def along(last: int, most: int = 10) -> Axis:
    """The axis of the steps, from 0 to exactly ``last``."""
    step = max(1.0, _nice(max(1, last) / most))
    numbers = [index * step for index in range(int(max(1, last) / step) + 1)]
    return Axis(0, max(1, last), tuple((one, f"{one:,.0f}") for one in numbers))


def log(values: Iterable[float]) -> Axis:
    """An axis of factors that holds ``values``, all above 0."""
    found = list(values) or [1.0, 10.0]
    low, high = math.log10(min(found)), math.log10(max(found))
    if high - low < _FEW_DECADES:
        return _short_log(min(found), max(found))
    first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    every = max(1, math.ceil((last - first) / 5))
    ticks = [10.0**power for power in range(first, last + 1, every)]
    return Axis(10.0**first, 10.0**last, tuple((one, _plain(one)) for one in ticks), is_log=True)


def _short_log(low: float, high: float) -> Axis:
    """1, 2, 5, 10, 20 and so on around ``low`` and ``high``."""
    start = math.floor(math.log10(low)) - 1
    end = math.ceil(math.log10(high)) + 1
    steps = [factor * 10.0**power for power in range(start, end + 1) for factor in _NICE[:3]]
    below = max(one for one in steps if one <= low * (1 + 1e-9))
    above = min(one for one in steps if one >= high * (1 - 1e-9) and one > below)
    ticks = [one for one in steps if below <= one <= above]
    return Axis(below, above, tuple((one, _plain(one)) for one in ticks), is_log=True)


def _nice(step: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in _NICE if factor * power >= step * (1 - 1e-9))


def _texts(numbers: Sequence[float], step: float) -> list[str]:
    top = max(map(abs, numbers))
    if top < _SMALL or top >= _LARGE:
        return ["0" if abs(one) < step / 2 else _exponential(one) for one in numbers]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return ["0" if abs(one) < step / 2 else f"{one:,.{digits}f}" for one in numbers]


def _plain(value: float) -> str:
    return _exponential(value) if value < _SMALL * (1 - 1e-9) or value >= _LARGE else f"{value:,.6g}"


def _exponential(value: float) -> str:
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
