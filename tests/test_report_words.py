from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.evaluation.report import axes, words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (0, "0"),
        (14_400, "14,400"),
        (0.23123, "0.231"),
        (1.05e-3, "0.00105"),
        (1.05e-4, "1.05e-4"),
        (1e-12, "1e-12"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.8, "0.80"), (0, "0.00"), (0.004, "0.004"), (1e4, "10,000")]
)
def test_numbers_of_a_column_have_the_same_decimals(value: float | None, text: str) -> None:
    assert words.fixed(value) == text


def test_time_and_money_are_said_as_people_say_them() -> None:
    assert words.span(31.4) == "31 h 24 min"
    assert words.span(0.2) == "12 min"
    assert words.span(None) == "–"
    assert words.usd(1234.5) == "$1,234.50"
    assert words.usd(math.nan) == "–"
    assert words.score(math.nan) == "–"


def test_lists_end_in_and() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.steps([1_000, 2_000, 3_000, 4_000], 3) == "1,000, 2,000 and 2 more"


def test_sentences_have_one_end() -> None:
    assert words.sentence("it ended ") == "It ended."
    assert words.sentence("why?") == "Why?"
    assert words.sentence("") == ""
    assert words.sentence("it's so: a.b") == "It's so: a.b."
    for name in ("sd35-large-lora", "output/a.png", "a.png", "run_2"):
        assert words.sentence(f"{name} is gone") == f"{name} is gone."


def test_japanese_is_marked_and_all_is_escaped() -> None:
    assert words.japanese("a <b> 漢字です &") == 'a &lt;b&gt; <span lang="ja">漢字です</span> &amp;'


def test_axes_have_round_numbers() -> None:
    assert [text for _, text in axes.linear([61.2, 78.9]).ticks] == ["60", "65", "70", "75", "80"]
    assert [text for _, text in axes.linear([0, 1.05e-3], 3).ticks] == ["0", "5e-4", "1e-3", "1.5e-3"]
    assert [text for _, text in axes.log([0.08, 7]).ticks] == ["0.01", "0.1", "1", "10"]
    assert [text for _, text in axes.log([0.3, 0.7]).ticks] == ["0.2", "0.5", "1"]
    assert [text for _, text in axes.along(24_000).ticks][:3] == ["0", "5,000", "10,000"]
    assert axes.along(0).ticks[0] == (0, "0")
    assert axes.log([]).ticks


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5))
def test_a_linear_axis_holds_its_values(values: list[float]) -> None:
    axis = axes.linear(values)
    slack = 1e-5 * (axis.high - axis.low)
    assert axis.low - slack <= min(values) <= max(values) <= axis.high + slack
    assert 2 <= len(axis.ticks) <= 13


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=5))
def test_an_axis_of_factors_holds_its_values(values: list[float]) -> None:
    axis = axes.log(values)
    assert all(-1e-6 <= axis.at(value, 0, 1) <= 1 + 1e-6 for value in values)
    assert axis.low < axis.high
