"""How large the product of an adapter's two matrices is, without that product where it would be the largest thing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Wide = NDArray[np.float64]

TOLERANCE: Final = 1e-6
"""Most that a norm is off, as a share of ||A||_F ||B||_F; of a random pair it is 1e-10 of itself.

Source: Gram matrices square what is small, so 1e-12, which float64 keeps with room, is 1e-6 of the norm.
"""
_ALL_AT_ONCE: Final = 64
"""Largest matrix of which all eigenvalues are taken. Beyond, that takes several times longer than Lanczos for the
largest, and ten times more where other work keeps the cores busy, since its many small steps wait for each other."""
_PRECISION: Final = 1e-6
"""Of the largest eigenvalue: the residual at which Lanczos ends, as a share of it."""
_SUMS: Final = 1000
"""Roundings that a long sum adds up to, at most: its root is that of a million numbers."""
_MATRIX: Final = 2


@dataclass(frozen=True, slots=True)
class Norms:
    """Of a product BA, scaled.

    Attributes:
        frobenius: Root of the sum of squares of its numbers; NaN if it is not a finite number.
        spectral: Its largest singular value, which is no larger; NaN together with the other.
    """

    frobenius: float
    spectral: float

    @property
    def is_finite(self) -> bool:
        """Whether both are numbers."""
        return math.isfinite(self.frobenius)


def norms(down: Matrix, up: Matrix, scale: float = 1.0) -> Norms:
    """Both norms of ``scale`` times ``up @ down``, to ``TOLERANCE``.

    No matrix larger than the smallest of the three sides is looked at for eigenvalues. At rank 768 and width 2,432 it
    takes 0.11 s on one core with the reading. Source: as of ``drift.SOME``.

    Args:
        down: A, ``(rank, in)``, or a convolution's ``(rank, in, height, width)``.
        up: B, ``(out, rank)``, or a convolution's ``(out, rank, 1, 1)``.
        scale: What the product is applied times.

    Raises:
        ValueError: If the two do not multiply.
    """
    if not multiply(down.shape, up.shape):
        raise ValueError(f"matrices of {list(down.shape)} and {list(up.shape)} do not multiply")
    if not (np.isfinite(down).all() and np.isfinite(up).all() and math.isfinite(scale)):
        return Norms(math.nan, math.nan)
    if not (down.any() and up.any()):
        return Norms(0.0, 0.0)
    square = _square(_flat(down), _flat(up))
    total = max(float(np.trace(square)), 0.0)
    frobenius, spectral = (abs(scale) * math.sqrt(one) for one in (total, min(_largest(square), total)))
    return Norms(frobenius, spectral) if math.isfinite(frobenius) else Norms(math.nan, math.nan)


def multiply(down: tuple[int, ...], up: tuple[int, ...]) -> bool:
    """Whether matrices of these shapes, or convolutions of which the second looks at single points, multiply."""
    return min(len(down), len(up)) >= _MATRIX and down[0] == up[1] and all(side == 1 for side in up[_MATRIX:])


def _flat(matrix: Matrix) -> Wide:
    """In float64: squares of squares of any float32 stay in its range, and so does what cancels."""
    return matrix.reshape(len(matrix), -1).astype(np.float64)


def _square(down: Wide, up: Wide) -> Wide:
    """A matrix whose eigenvalues are the squares of the product's singular values, some zeros aside."""
    rank = len(down)
    if rank > min(len(up), down.shape[1]):
        product = up @ down
        return product @ product.T if len(product) <= product.shape[1] else product.T @ product
    lower = _root(down @ down.T)
    return lower.T @ (up.T @ up) @ lower


def _root(gram: Wide) -> Wide:
    """Lower triangular L with L L^T = ``gram``, which may be singular, so it is lifted by what it is uncertain by."""
    uncertain = max(len(gram), _SUMS) * np.finfo(np.float64).eps * np.trace(gram)
    return np.linalg.cholesky(gram + np.eye(len(gram)) * uncertain)


def _largest(square: Wide) -> float:
    """The largest eigenvalue of a symmetric matrix that has none below zero, but for rounding."""
    size = len(square)
    if size <= _ALL_AT_ONCE or not square.any():
        return max(float(np.linalg.eigvalsh(square)[-1]), 0.0)
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(size).standard_normal(size)  # some start, always the same
    unit = float(np.abs(square).max())  # ARPACK takes what is tiny for nothing
    (found,) = eigsh(square / unit, k=1, which="LA", v0=start, tol=_PRECISION, return_eigenvectors=False)
    return max(float(found) * unit, 0.0)
