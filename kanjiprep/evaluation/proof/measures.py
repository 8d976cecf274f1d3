"""How well a number orders pictures: chance of the right order, and rank correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.judge.measures import auc

__all__ = ["auc", "rank_correlation"]

Floats = NDArray[np.float64]


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation, -1 to 1; 0 if all values of one are equal, or there are none.

    Source: C. Spearman, The proof and measurement of association between two things (1904).
    """
    first, second = _ranks(one), _ranks(other)
    spread = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float(first @ second) / spread if spread else 0.0


def _ranks(values: Floats) -> Floats:
    """Rank of each value less the mean rank; equal values share theirs."""
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(ranks - len(values), np.float64)
