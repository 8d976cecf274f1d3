"""What an adapter adds to a matrix, kept as a product, and the best product of a smaller rank."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Wide = NDArray[np.float64]

_NOTHING: Final = 1e-6
"""Singular values below this share of the largest count as none; float32 has no more digits."""


@dataclass(frozen=True, slots=True)
class Factors:
    """``up @ down``.

    Attributes:
        down: A, a row for each of its rank.
        up: B, a column for each of its rank.
    """

    down: Wide
    up: Wide


@dataclass(frozen=True, slots=True)
class Kronecker:
    """Every number of the first matrix times the second: what LoKr adds."""

    first: Wide
    second: Wide


Delta = Factors | Kronecker


@dataclass(frozen=True, slots=True)
class Smaller:
    """A product of a smaller rank.

    Attributes:
        factors: Of which both matrices are equally large.
        squares: Of the singular values of what it was made from, the largest first.
        rank: Its own; no more than what it was made from has.
    """

    factors: Factors
    squares: Wide
    rank: int

    @property
    def error(self) -> float:
        """The norm of what is lost, as a share of the whole; 0 of nothing."""
        return lost(self.squares, self.rank)


def lost(squares: Wide, rank: int) -> float:
    """The norm of all but the ``rank`` largest singular values, as a share of that of all."""
    total = float(squares.sum())
    return sqrt(float(squares[rank:].sum()) / total) if total else 0.0


def own_rank(squares: Wide) -> int:
    """How many singular values are more than rounding."""
    return int(np.count_nonzero(squares > squares[:1] * _NOTHING**2))


def is_finite(delta: Delta) -> bool:
    """Whether all its numbers are numbers."""
    parts = (delta.down, delta.up) if isinstance(delta, Factors) else (delta.first, delta.second)
    return all(bool(np.isfinite(part).all()) for part in parts)


def squares(delta: Delta) -> Wide:
    """The squares of its singular values, the largest first."""
    if isinstance(delta, Kronecker):
        singular = [np.linalg.svd(part, compute_uv=False) for part in (delta.first, delta.second)]
        return np.sort((np.outer(*singular) ** 2).reshape(-1))[::-1]
    from scipy.linalg import eigvalsh

    _, _, gram = _core(delta)
    return _clean(eigvalsh(gram)[::-1])


def best(delta: Delta, rank: int) -> Smaller:
    """The product of at most ``rank`` that is nearest to it, by the sum of squares of what differs.

    The large matrix is never made. The squares of singular values are right to 1e-13 of the largest.
    """
    return _best_kronecker(delta, rank) if isinstance(delta, Kronecker) else _best(delta, rank)


def norm_squared(delta: Factors) -> float:
    """The sum of the squares of its numbers, right to 1e-15 of what its columns and rows have by themselves."""
    return float(np.sum((delta.up.T @ delta.up) * (delta.down @ delta.down.T)))


def exact(delta: Delta, rank: int) -> Factors:
    """The same as two matrices; ``rank`` is the most that it can have."""
    return delta if isinstance(delta, Factors) else _best_kronecker(delta, rank).factors


def _core(delta: Factors) -> tuple[Wide, Wide, Wide]:
    """An orthonormal basis Q of the rows of A with A^T = Q R, R, and the small matrix R (B^T B) R^T."""
    basis, corner = np.linalg.qr(delta.down.T)
    return basis, corner, corner @ (delta.up.T @ delta.up) @ corner.T


def _best(delta: Factors, rank: int) -> Smaller:
    basis, corner, gram = _core(delta)
    values, vectors = np.linalg.eigh(gram)
    found = _clean(values[::-1])
    kept = vectors[:, ::-1][:, :rank]
    roots = np.sqrt(np.sqrt(found[:rank]))
    inverse = np.divide(1.0, roots, out=np.zeros_like(roots), where=roots > 0)
    down = (basis @ kept).T * roots[:, None]
    up = delta.up @ (corner.T @ kept) * inverse
    return Smaller(Factors(down, up), found, len(roots))


def _best_kronecker(delta: Kronecker, rank: int) -> Smaller:
    """Of which the singular values and vectors are the products of those of the two."""
    u_first, first, v_first = np.linalg.svd(delta.first, full_matrices=False)
    u_second, second, v_second = np.linalg.svd(delta.second, full_matrices=False)
    products = np.outer(first, second).reshape(-1)
    order = np.argsort(-products, kind="stable")
    left, right = np.divmod(order[:rank], len(second))
    roots = np.sqrt(products[order[:rank]])
    up = np.einsum("ar,br->abr", u_first[:, left], u_second[:, right]).reshape(-1, len(roots)) * roots
    down = np.einsum("ra,rb->rab", v_first[left], v_second[right]).reshape(len(roots), -1) * roots[:, None]
    return Smaller(Factors(down, up), products[order] ** 2, len(roots))


def _clean(values: Wide) -> Wide:
    """Eigenvalues without what is negative by rounding."""
    return np.maximum(values, 0.0)
