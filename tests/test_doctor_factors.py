from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.publishing.doctor import factors
from kanjiprep.publishing.doctor.factors import Factors, Kronecker


def product(found: Factors) -> Any:
    return found.up @ found.down


def random(rank: int, inputs: int, outputs: int, seed: int = 0) -> Factors:
    some = np.random.default_rng(seed)
    return Factors(some.standard_normal((rank, inputs)), some.standard_normal((outputs, rank)))


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
def test_the_best_of_a_rank_is_what_the_singular_values_say(
    rank: int, inputs: int, outputs: int, wanted: int, seed: int
) -> None:
    delta = random(rank, inputs, outputs, seed)
    smaller = factors.best(delta, wanted)
    truth = np.linalg.svd(product(delta), compute_uv=False)
    rest = np.sqrt((truth[wanted:] ** 2).sum())
    assert smaller.rank == smaller.factors.up.shape[1] == len(smaller.factors.down) <= wanted
    assert np.linalg.norm(product(delta) - product(smaller.factors)) <= rest + 1e-6 * truth[0]
    assert smaller.error == pytest.approx(rest / np.sqrt((truth**2).sum()), abs=1e-6)
    squares = factors.squares(delta)
    some = min(len(squares), len(truth))
    assert np.allclose(squares[:some], truth[:some] ** 2, atol=1e-9 * truth[0] ** 2)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 16))
def test_the_best_of_a_kronecker_product_is_found_from_its_two(a: int, b: int, c: int, d: int, wanted: int) -> None:
    some = np.random.default_rng(0)
    delta = Kronecker(some.standard_normal((a, b)), some.standard_normal((c, d)))
    whole = np.kron(delta.first, delta.second)
    truth = np.linalg.svd(whole, compute_uv=False)
    smaller = factors.best(delta, wanted)
    rest = np.sqrt((truth[wanted:] ** 2).sum())
    assert np.linalg.norm(whole - product(smaller.factors)) == pytest.approx(rest, abs=1e-9)
    exact = factors.exact(delta, min(a, b) * min(c, d))
    assert np.allclose(product(exact), whole)


def test_both_matrices_are_equally_large() -> None:
    found = factors.best(random(4, 20, 30), 3).factors
    assert np.allclose(np.linalg.norm(found.down, axis=1), np.linalg.norm(found.up, axis=0))


def test_nothing_loses_nothing() -> None:
    nothing = Factors(np.zeros((3, 4)), np.ones((5, 3)))
    smaller = factors.best(nothing, 2)
    assert (smaller.error, factors.own_rank(smaller.squares)) == (0.0, 0)
    assert not product(smaller.factors).any()


def test_a_rank_of_its_own_is_seen_through_more_columns() -> None:
    some = random(2, 8, 8)
    doubled = Factors(np.concatenate([some.down, some.down]), np.concatenate([some.up, some.up], axis=1))
    assert factors.own_rank(factors.squares(doubled)) == 2
    assert factors.best(doubled, 2).error < 1e-6


def test_what_is_no_number_is_seen() -> None:
    some = random(2, 3, 3)
    some.down[0, 0] = np.nan
    assert not factors.is_finite(some)
    assert factors.is_finite(Kronecker(np.ones((2, 2)), np.ones((2, 2))))
    assert not factors.is_finite(Kronecker(np.ones((2, 2)), np.full((2, 2), np.inf)))
