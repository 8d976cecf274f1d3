from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running.sparkline import BLOCKS, GAP, portions, sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([2.0, 2.0, 2.0], "▁▁▁"),
        ([0.0, 1.0], "▁█"),
        ([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], "█▇▆▅▄▃▂▁"),
        ([0.0, None, 1.0], "▁×█"),
        ([0.0, math.nan, 1.0, math.inf, -math.inf], "▁×█××"),
        ([None, None], "××"),
    ],
)
def test_the_lowest_is_the_lowest_block_and_what_is_not_finite_a_gap(values: list[float | None], drawn: str) -> None:
    assert sparkline(values, 8) == drawn


def test_several_values_share_a_block_by_their_mean() -> None:
    assert sparkline([0, 2, 4, 6, 8, 8], 3) == "▁▅█"
    assert sparkline([0, 0, 0, 8, 8, 8], 2) == "▁█"


def test_a_gap_is_not_averaged_away() -> None:
    assert sparkline([1, 1, 1, None, 1, 1, 2, 2], 4) == "▁×▁█"


def test_on_a_logarithmic_scale_a_decade_is_a_decade() -> None:
    decades = [10.0**power for power in range(8)]
    assert sparkline(decades, 8, logarithmic=True) == BLOCKS
    assert sparkline(decades, 8) == "▁▁▁▁▁▁▁█"
    assert sparkline([1, 1e4, 1e4, 1, 1, 1], 3, logarithmic=True) == "██▁"


def test_a_zero_is_the_lowest_on_a_logarithmic_scale() -> None:
    assert sparkline([0.0, 1.0, -1.0], 3, logarithmic=True) == "▁█▁"


@pytest.mark.parametrize("values", [[-1.7e308, 1.7e308], [0, 0, 1.7e308, 1.7e308], [0.0, 5e-324]])
def test_numbers_at_the_ends_of_what_there_is_are_drawn(values: list[float]) -> None:
    drawn = sparkline(values, 2)
    assert (len(drawn), drawn[0]) == (2, "▁")
    assert GAP not in drawn


def test_portions_are_as_equal_as_can_be_and_in_order() -> None:
    assert portions(list(range(7)), 3) == [[0, 1], [2, 3, 4], [5, 6]]
    assert portions([1.0, 2.0], 9) == [[1.0], [2.0]]
    assert portions([1.0, 2.0], 0) == []


@given(st.lists(st.none() | st.floats(), max_size=100), st.integers(0, 30), st.booleans())
def test_any_values_fit_into_the_width(values: list[float | None], width: int, logarithmic: bool) -> None:
    drawn = sparkline(values, width, logarithmic=logarithmic)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= {*BLOCKS, GAP}
    parts = portions(values, width)
    if width:
        assert [one for part in parts for one in part] == values
        assert max(map(len, parts), default=0) - min(map(len, parts), default=0) <= 1
    for block, part in zip(drawn, parts, strict=True):
        assert (block == GAP) == any(one is None or not math.isfinite(one) for one in part)
