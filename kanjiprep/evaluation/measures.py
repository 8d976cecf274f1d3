"""How good a judge is: how often it is right, and how well a number of it orders pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Bools = NDArray[np.bool_]

CERTAIN = 0.5
"""A component is found where its probability is above."""
_NEWTON_STEPS = 50
"""Of the logistic curve, at most; it stands still after ten or so."""


def average_precision(probabilities: Floats, truth: Bools) -> float:
    """Mean over the components of the average precision, of those that any of the pictures has; 0 without one.

    Args:
        probabilities: (N, C).
        truth: (N, C), which components the pictures have.
    """
    found = [_average_precision(probabilities[:, one], truth[:, one]) for one in np.flatnonzero(truth.any(0))]
    return float(np.mean(found)) if found else 0.0


def recall(probabilities: Floats, truth: Bools) -> float:
    """Share of the components there that are found; 0 without any."""
    return _share((probabilities > CERTAIN) & truth, truth)


def precision(probabilities: Floats, truth: Bools) -> float:
    """Share of the components found that are there; 0 without any."""
    found = probabilities > CERTAIN
    return _share(found & truth, found)


def auc(low: Floats, high: Floats) -> float:
    """Chance that one of ``high`` is above one of ``low``, half for a tie; 0.5 without any."""
    if not (len(low) and len(high)):
        return 0.5
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.sum() / (2 * len(low) * len(high)))


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation, -1 to 1; 0 if all values of one are equal, or there are none.

    Source: C. Spearman, The proof and measurement of association between two things (1904).
    """
    first, second = _ranks(one), _ranks(other)
    spread = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float(first @ second) / spread if spread else 0.0


def logistic(values: Floats, labels: Bools) -> tuple[float, float]:
    """Slope and middle of the logistic curve that tells the labels by the values.

    Newton's steps on the likelihood with a weak pull of the slope to 0, so that values which part the labels
    wholly give a finite one. With none or one kind of label the curve is flat.

    Args:
        values: (N,).
        labels: (N,).
    """
    if not labels.any() or labels.all():
        return 0.0, 0.0
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    rows = np.stack([np.ones(len(values)), (values - centre) / spread], 1)
    pull = np.diag([1e-6, 1e-2])
    found = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (labels - chance) - pull @ found
        bend = rows.T @ (rows * (chance * (1 - chance))[:, None]) + pull
        found = found + np.clip(np.linalg.solve(bend, slope), -2, 2)
    steepness = float(found[1]) / spread
    return steepness, centre - float(found[0]) / steepness if steepness else 0.0


def _average_precision(probabilities: Floats, truth: Bools) -> float:
    ranked = truth[np.argsort(-probabilities, kind="stable")]
    places = np.flatnonzero(ranked) + 1
    return float((np.arange(1, len(places) + 1) / places).mean())


def _share(part: Bools, whole: Bools) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 0.0


def _ranks(values: Floats) -> NDArray[np.float64]:
    """Rank of each value less the mean rank; equal values share theirs."""
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(ranks - len(values), np.float64)
