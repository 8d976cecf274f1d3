from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training import gpus
from kanjiprep.training.prices import LivePrice
from kanjiprep.training.remote import offers
from kanjiprep.training.remote.offers import Wish

AT = "2026-11-27T08:00:00+00:00"
CATALOGUE = gpus.load()
LIVE = {
    name: LivePrice(name, usd, regions)
    for name, usd, regions in [
        ("gpu_1x_a10", 1.29, ("us-east-1", "us-west-1")),
        ("gpu_1x_a6000", 1.09, ()),
        ("gpu_1x_a100", 2.10, ("us-west-2",)),
        ("gpu_1x_a100_sxm4", 1.99, ("us-east-1", "us-west-2")),
        ("gpu_1x_h100_sxm5", 4.29, ()),
        ("gpu_2x_h100_sxm5", 8.38, ("us-south-2",)),
        ("gpu_8x_v100", 6.32, ("us-east-1",)),
        ("gpu_8x_v100_n", 6.31, ("us-west-1",)),
        ("gpu_8x_a100_80gb_sxm4", 22.32, ("us-east-1",)),
        ("gpu_1x_gh200", 2.29, ("us-east-3",)),
        ("gpu_1x_new", 0.10, ("us-east-1",)),
    ]
}


@dataclass(slots=True)
class Market:
    live: Mapping[str, LivePrice]
    asked: list[str] = field(default_factory=list)

    def types(self) -> Mapping[str, LivePrice]:
        self.asked.append("types")
        return self.live


def wish(gpu: str = "a100-40gb-sxm", count: int = 1, **changes: Any) -> Wish:
    return replace(Wish(gpu, count, 10.0, None), **changes)


def chosen(live: Mapping[str, LivePrice] = LIVE, **changes: Any) -> offers.Offer:
    return offers.choose(live, AT, CATALOGUE, wish(**changes))


def test_what_is_there_is_offered_with_its_region_and_price() -> None:
    found = offers.offer(Market(LIVE), CATALOGUE, wish(usd_cap=5.0), lambda: datetime(2026, 11, 27, 8, tzinfo=UTC))
    assert (found.instance_type, found.region) == ("gpu_1x_a100_sxm4", "us-east-1")
    assert str(found) == (
        "gpu_1x_a100_sxm4, 1.99 USD an hour by Lambda's API at 2026-11-27T08:00:00+00:00, "
        "at most 2.5 h: 4.98 USD; there is one in us-east-1 now"
    )


def test_of_two_that_fit_the_cheaper_is_offered_if_it_is_there() -> None:
    assert chosen(gpu="v100-16gb", count=8).instance_type == "gpu_8x_v100_n"
    live = LIVE | {"gpu_8x_v100_n": LivePrice("gpu_8x_v100_n", 6.31, ())}
    assert chosen(live, gpu="v100-16gb", count=8).instance_type == "gpu_8x_v100"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"gpu": "h100-80gb-sxm"},
            (
                "Lambda has no gpu_1x_h100_sxm5 to rent now; try later, or take 1 x a10-24gb at 1.29 USD an hour, "
                "1 x a100-40gb-sxm at 1.99 USD an hour, 1 x a100-40gb-pcie at 2.10 USD an hour, "
                "8 x v100-16gb at 6.31 USD an hour and 3 more"
            ),
        ),
        (
            {"gpu": "b200"},
            "Lambda no longer has gpu_1x_b200_sxm6; try later, or take 1 x a10-24gb at 1.29 USD",
        ),
    ],
)
def test_what_cannot_be_rented_now_is_refused_with_what_can(changes: Mapping[str, Any], words: str) -> None:
    with pytest.raises(RemoteError) as caught:
        chosen(**changes)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu": "a100"}, "no GPU is called 'a100', did you mean 'a100-40gb-sxm'?"),
        ({"gpu": ""}, "no GPU is called ''"),
        ({"count": 3}, "Lambda has no machine with 3 x a100-40gb-sxm; there are machines with 1, 8"),
        ({"count": 0}, "Lambda has no machine with 0 x a100-40gb-sxm"),
        ({"gpu": "rtx4090-24gb"}, "Lambda has no machine with 1 x rtx4090-24gb; take another GPU"),
        ({"gpu": "gh200"}, "gh200 sits in a 64-bit Arm machine"),
        ({"hours_cap": None}, "nothing is rented without a limit; give --max-hours or --max-usd"),
        ({"hours_cap": float("nan")}, "--max-hours is nan"),
        ({"usd_cap": -1.0}, "--max-usd is -1"),
        ({"usd_cap": 0.01}, "gpu_1x_a100_sxm4: --max-usd 0.01 buys less than a minute"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(**changes)
    assert str(caught.value).startswith(words)


def test_lambda_is_not_asked_for_what_makes_no_sense() -> None:
    market = Market(LIVE)
    with pytest.raises(UsageError, match="64-bit Arm"):
        offers.offer(market, CATALOGUE, wish("gh200"))
    assert market.asked == []
    assert offers.offer(market, CATALOGUE, wish("gh200", allow_arm=True)).region == "us-east-3"


def test_where_nothing_else_can_be_rented_either_that_is_told() -> None:
    with pytest.raises(RemoteError, match="Lambda no longer has gpu_1x_b200_sxm6; try later; nothing else that we"):
        chosen({}, gpu="b200")


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"hours_cap": 0.4}, "--max-hours: 24 min is not enough: a machine may take that long to start"),
        (
            {"hours_cap": None, "usd_cap": 0.5},
            "--max-usd: 15 min is not enough: a machine may take that long to start",
        ),
    ],
)
def test_what_would_be_over_before_it_has_started_is_refused(caps: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=f"{words}; allow at least 0.5 h"):
        chosen(**caps)
