from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import UsageError
from kanjiprep.training.prices import LivePrice
from kanjiprep.training.remote.cloud.money import deadlines, quote

H100 = LivePrice("gpu_1x_h100_sxm5", 4.29, ("us-east-1",))
READ_AT = "2026-11-27T07:00:00+00:00"
ASKED_AT = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def test_the_sentence_to_confirm_says_price_time_and_sum() -> None:
    assert str(quote(H100, READ_AT, 10, None)) == (
        f"gpu_1x_h100_sxm5, 4.29 USD an hour by Lambda's API at {READ_AT}, at most 10 h: 42.90 USD"
    )


def test_several_machines_cost_several_times_as_much() -> None:
    assert str(quote(H100, READ_AT, 10, None, machines=3)) == (
        f"3 x gpu_1x_h100_sxm5, 12.87 USD an hour by Lambda's API at {READ_AT}, at most 10 h: 128.70 USD"
    )


@pytest.mark.parametrize(
    ("hours", "usd", "decides", "minutes", "most"),
    [
        (10, 100, "--max-hours", 600, 42.90),
        (10, 20, "--max-usd", 279, 4.65 * 4.29),
        (None, 4.29, "--max-usd", 60, 4.29),
        (1, 4.29, "--max-hours", 60, 4.29),
        (0.002, None, "--max-hours", 0.12, 4.29 / 60),
        (0.1, None, "--max-hours", 6, 0.429),
    ],
)
def test_the_tighter_cap_decides(
    hours: float | None, usd: float | None, decides: str, minutes: float, most: float
) -> None:
    said = quote(H100, READ_AT, hours, usd)
    assert said.decided_by == decides
    assert said.hours * 60 == pytest.approx(minutes)
    assert said.usd_most == pytest.approx(most)


@given(st.floats(0.01, 200), st.floats(0.001, 8000), st.floats(1e-4, 1e5), st.integers(1, 8))
def test_a_cap_is_a_cap(rate: float, hours: float, usd: float, machines: int) -> None:
    price = LivePrice("x", rate, ())
    if usd / (rate * machines) * 60 < 1.001:
        return
    said = quote(price, READ_AT, hours, usd, machines)
    billed = math.ceil(round(said.hours * 60, 6)) / 60 * rate * machines
    assert said.usd_most == pytest.approx(billed)
    assert said.usd_most <= usd * (1 + 1e-6) + 1e-6
    assert said.hours <= hours


@pytest.mark.parametrize(
    ("hours", "says"), [(0.002, "7.2 s: 0.08 USD"), (0.5, "30 min: 2.15 USD"), (1.5, "1.5 h: 6.44 USD")]
)
def test_a_sum_is_never_rounded_down(hours: float, says: str) -> None:
    assert str(quote(H100, READ_AT, hours, None)).endswith(says)


def test_nothing_is_rented_without_a_cap() -> None:
    with pytest.raises(UsageError, match="without a limit; give --max-hours or --max-usd") as caught:
        quote(H100, READ_AT, None, None)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("cap", [0, -1, math.nan, math.inf, 1e9])
def test_a_cap_that_is_none_is_refused(cap: float) -> None:
    with pytest.raises(UsageError, match="--max-hours is"):
        quote(H100, READ_AT, cap, None)
    with pytest.raises(UsageError, match="--max-usd is"):
        quote(H100, READ_AT, 1, cap)


def test_less_than_a_second_and_fewer_than_one_machine_are_refused() -> None:
    with pytest.raises(UsageError, match="--max-hours is 0.0001, and has to be above 0.0003 and at most 8,784"):
        quote(H100, READ_AT, 0.0001, None)
    with pytest.raises(UsageError, match="0 machines cannot be rented"):
        quote(H100, READ_AT, 1, None, machines=0)


def test_a_cap_that_buys_less_than_a_minute_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--max-usd 0.05 buys less than a minute at 4.29 USD an hour"):
        quote(H100, READ_AT, None, 0.05)


def test_a_run_stops_before_its_machine_is_given_back() -> None:
    long, short, none = deadlines(ASKED_AT, 10), deadlines(ASKED_AT, 1), deadlines(ASKED_AT, 1, grace_h=0)
    assert long.switch_at - long.stop_at == timedelta(minutes=15)
    assert short.switch_at - short.stop_at == timedelta(minutes=6)
    assert none.stop_at == none.switch_at
    assert none.end_at == ASKED_AT + timedelta(hours=1)


def test_the_switch_on_the_machine_has_time_to_work_before_the_end() -> None:
    assert deadlines(ASKED_AT, 10).end_at - deadlines(ASKED_AT, 10).switch_at == timedelta(minutes=8)
    assert deadlines(ASKED_AT, 0.5).end_at - deadlines(ASKED_AT, 0.5).switch_at == timedelta(minutes=6)
