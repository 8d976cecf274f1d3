from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.evaluation.weights.norms import TOLERANCE, Norms, norms

Sides = tuple[int, int, int]
small = st.integers(1, 12)


def pair(sides: Sides, seed: int, rank: int | None = None) -> tuple[Any, Any]:
    """A and B of float32; of less than full rank if ``rank`` is given."""
    outer, inner, width = sides
    random = np.random.default_rng(seed)
    down, up = random.standard_normal((inner, width)), random.standard_normal((outer, inner))
    if rank is not None:
        down = random.standard_normal((inner, rank)) @ random.standard_normal((rank, width))
    return down.astype(np.float32), up.astype(np.float32)


def is_close(found: Norms, down: Any, up: Any, scale: float = 1.0) -> bool:
    """Whether they are those of a whole singular value decomposition."""
    first, second = (np.asarray(matrix, np.float64) for matrix in (down, up))
    values = abs(scale) * np.linalg.svd(second @ first, compute_uv=False)
    room = TOLERANCE * abs(scale) * float(np.linalg.norm(first) * np.linalg.norm(second))
    wanted = float(np.sqrt((values**2).sum())), float(values[0])
    return all(abs(a - b) <= room for a, b in zip((found.frobenius, found.spectral), wanted, strict=True))


@given(
    st.tuples(small, small, small),
    st.integers(0, 99),
    st.floats(-1000, 1000).filter(lambda scale: abs(scale) > 1e-9 or not scale),
)
def test_both_are_those_of_the_whole_product(sides: Sides, seed: int, scale: float) -> None:
    down, up = pair(sides, seed)
    assert is_close(norms(down, up, scale), down, up, scale)


@given(st.tuples(small, small, small), st.integers(0, 99), st.integers(0, 3))
def test_ranks_below_the_full_one_are_no_trouble(sides: Sides, seed: int, rank: int) -> None:
    down, up = pair(sides, seed, rank)
    assert is_close(norms(down, up), down, up)


@given(st.tuples(small, small, small), st.integers(0, 99), st.integers(-120, 120), st.integers(-120, 120))
def test_tiny_and_huge_numbers_are_as_exact(sides: Sides, seed: int, low: int, high: int) -> None:
    down, up = pair(sides, seed)
    assert is_close(norms(down * np.float32(2.0**low), up * np.float32(2.0**high)), down, up, 2.0 ** (low + high))


@pytest.mark.parametrize("rank", [None, 90, 3])
@pytest.mark.parametrize("size", [2.0**-99, 1.0, 2.0**99])
def test_the_largest_singular_value_of_a_large_rank_is_found_alone(rank: int | None, size: float) -> None:
    down, up = pair((150, 100, 130), 0, rank)
    found = norms(down * np.float32(size), up)
    assert is_close(found, down, up, size)
    assert found.spectral == pytest.approx(size * np.linalg.norm(up.astype(np.float64) @ down, 2), rel=1e-8)


def test_singular_values_that_are_all_the_same_are_no_trouble() -> None:
    found = norms(np.eye(100, 120, dtype=np.float32), np.eye(110, 100, dtype=np.float32), 3.0)
    assert (found.frobenius, found.spectral) == pytest.approx((30, 3))


@pytest.mark.parametrize("size", [2, 100])
def test_what_cancels_is_nothing_beside_the_matrices(size: int) -> None:
    down = np.ones((size, size), np.float32)
    up = np.tile(np.array([1, -1], np.float32), (size, size // 2))
    assert norms(down, up).frobenius <= TOLERANCE * size**2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rank", [2, 7])
def test_long_rows_that_are_multiples_of_each_other_are_no_trouble(rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    row, column = random.standard_normal(200_000), random.standard_normal(rank)
    down, up = np.outer(column, row).astype(np.float32), random.standard_normal((rank + 3, rank)).astype(np.float32)
    assert is_close(norms(down, up), down, up)


def test_large_matrices_that_cancel_wholly_are_nothing() -> None:
    down, up = np.zeros((200, 100), np.float32), np.zeros((100, 200), np.float32)
    down[0], up[:, 1] = 1, 1
    assert norms(down, up) == Norms(0.0, 0.0)


@pytest.mark.parametrize("sides", [(3, 2, 4), (3, 90, 70)])
def test_an_adapter_that_has_not_begun_is_zero(sides: Sides) -> None:
    down, up = pair(sides, 0)
    assert norms(down, np.zeros_like(up)) == Norms(0.0, 0.0)
    assert norms(down[:, :0], up) == Norms(0.0, 0.0)
    assert norms(down[:0], up[:, :0]) == Norms(0.0, 0.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_gives_none(place: int, wrong: float) -> None:
    both = pair((3, 2, 4), 0)
    both[place][1, 1] = wrong
    found = norms(*both)
    assert np.isnan([found.frobenius, found.spectral]).all()
    assert not found.is_finite


@pytest.mark.parametrize("scale", [np.nan, np.inf, 1e308])
def test_a_scale_beyond_all_numbers_gives_none(scale: float) -> None:
    down, up = pair((3, 2, 4), 0)
    assert not norms(100 * down, up, scale).is_finite


def test_a_convolution_is_laid_flat() -> None:
    down, up = pair((5, 2, 27), 0)
    assert norms(down.reshape(2, 3, 3, 3), up.reshape(5, 2, 1, 1)) == norms(down, up)


@pytest.mark.parametrize(
    ("down", "up"), [((2, 3), (4, 3)), ((2,), (4, 2)), ((2, 3), (2,)), ((2, 3, 1, 1), (4, 2, 3, 3))]
)
def test_matrices_that_do_not_multiply_are_refused(down: tuple[int, ...], up: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not multiply"):
        norms(np.ones(down, np.float32), np.ones(up, np.float32))
