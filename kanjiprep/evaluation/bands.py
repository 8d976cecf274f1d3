"""What the pictures measure that a run was trained on: the bands in which a sound picture lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from kanjiprep.evaluation import features
from kanjiprep.evaluation.features import Statistic, Values

LOW_SHARE: Final = 0.01
HIGH_SHARE: Final = 0.99
MOST_HALF_BANDS: Final = 3.0
"""Further out is no worse: one statistic alone shall not drown the others."""
_LEAST: Final[Mapping[str, float]] = {
    "colour": 3.0,
    "middle": 0.01,
    "paper": 0.03,
    "border": 0.01,
    "contrast": 0.03,
    "softness": 0.2,
    "polarity": 0.02,
    "grain": 0.003,
    "unevenness": 0.01,
    "specks": 0.7,
    "steps": 0.05,
}
"""The least half band of the style statistics, below which nobody sees a difference."""
_LEAST_SHAPE: Final = 0.01
_SHRINK: Final = 0.2
_LEAST_USUAL: Final = 1.0
"""Pictures that are all but the same have no distance of their own to measure others by. Characters have about 3."""
_MOST_SPREADS: Final = 6.0


@dataclass(frozen=True, slots=True)
class Bands:
    """Where the statistics of sound pictures lie, each for itself and those of the shape together.

    Attributes:
        low: 1st percentile of each of ``features.STATISTICS``.
        middle: Median.
        high: 99th percentile.
        spread: Standard deviation of each statistic of the shape.
        bond: (shapes, shapes), the inverse of their correlation.
        usual: Median distance of sound pictures from the middle, in the measure that these two make, at least 1.
        pictures: How many were measured.
        digest: Of the dataset that they are of.
    """

    low: Values
    middle: Values
    high: Values
    spread: Values
    bond: Values
    usual: float
    pictures: int
    digest: str


def of(values: Values, digest: str) -> Bands:
    """The bands of measured pictures.

    Args:
        values: (pictures, statistics), a row of ``features.measure`` each.
        digest: Of their dataset.
    """
    low, middle, high = np.quantile(values, (LOW_SHARE, 0.5, HIGH_SHARE), axis=0)
    least = np.array([_LEAST.get(name, _LEAST_SHAPE) for name in features.NAMES])
    low, high = np.minimum(low, middle - least), np.maximum(high, middle + least)
    shapes = values[:, ~features.STYLE]
    spread = np.maximum(shapes.std(0), _LEAST_SHAPE)
    away = (shapes - middle[~features.STYLE]) / spread
    bond = np.linalg.inv((1 - _SHRINK) * (away.T @ away) / len(away) + _SHRINK * np.eye(len(spread)))
    found = Bands(low, middle, high, spread, bond, 1.0, len(values), digest)
    return replace(found, usual=max(_LEAST_USUAL, float(np.median(distance(values, found)))))


def outside(values: Values, bands: Bands) -> Values:
    """How far outside its band each value is, in half bands: 0 within, negative below, ``MOST_HALF_BANDS`` at most.

    Args:
        values: (..., statistics).
        bands: Of the sound pictures.
    """
    above = np.maximum(0, values - bands.high) / (bands.high - bands.middle)
    below = np.maximum(0, bands.low - values) / (bands.middle - bands.low)
    above[..., ~_HAS_HIGH], below[..., ~_HAS_LOW] = 0.0, 0.0
    return np.asarray(np.minimum(above, MOST_HALF_BANDS) - np.minimum(below, MOST_HALF_BANDS))


def style(values: Values, bands: Bands) -> Values:
    """How far from ink on paper as in training, 0 for not at all: the mean of what its statistics are outside."""
    return np.asarray(np.abs(outside(values, bands))[..., features.STYLE].mean(-1))


def distance(values: Values, bands: Bands) -> Values:
    """How far from the middle of the sound ones in all statistics of the shape together; their own median is 1.

    Source: P. C. Mahalanobis, On the generalised distance in statistics (1936); the correlation is shrunk towards
    none, and one statistic counts for ``_MOST_SPREADS`` at most.
    """
    away = (values[..., ~features.STYLE] - bands.middle[~features.STYLE]) / bands.spread
    away = np.clip(away, -_MOST_SPREADS, _MOST_SPREADS)
    return np.asarray(np.sqrt(np.einsum("...i,ij,...j", away, bands.bond, away)) / bands.usual)


_HAS_LOW: Final = np.array([bool(one.low) for one in features.STATISTICS])
_HAS_HIGH: Final = np.array([bool(one.high) for one in features.STATISTICS])


def words(distances: Sequence[float], most: int = 3) -> tuple[str, ...]:
    """What is most out of range, in words, the worst first."""
    pairs = [(abs(far), _word(one, far)) for one, far in zip(features.STATISTICS, distances, strict=True) if far]
    return tuple(word for _, word in sorted(pairs, key=lambda pair: -pair[0])[:most])


def _word(one: Statistic, far: float) -> str:
    return one.high if far > 0 else one.low
