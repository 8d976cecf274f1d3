from __future__ import annotations

import pytest

from kanjiprep.training import prices
from kanjiprep.training.prices import LivePrice, NoPrices, Prices

KEY = "secret_kanji_0123456789"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://cloud.lambda.ai",
        "http://cloud.lambda.ai@127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "cloud.lambda.ai",
        "https://[",
    ],
)
def test_a_key_does_not_travel_in_the_clear(endpoint: str) -> None:
    assert prices.fetch(KEY, endpoint) == NoPrices("the key is sent over https only")


@pytest.mark.parametrize("key", ["", " ", f"{KEY}\n", f"{KEY}\r\nX-Evil: 1", "sécret", "two words"])
def test_a_key_that_is_none_is_not_sent_and_not_repeated(key: str) -> None:
    said = prices.fetch(key)
    assert said == NoPrices("the API key is empty or holds spaces or letters that no key has")


def test_a_live_price_says_when_it_was_read() -> None:
    one = LivePrice("gpu_1x_a100_sxm4", 1.99, ("us-east-1",))
    read = Prices("2026-11-25T15:00:00+00:00", {one.name: one})
    assert (
        str(prices.live_price(read, one.name))
        == "1.99 USD/h, published: Lambda's API, read 2026-11-25T15:00:00+00:00"
    )
    assert prices.live_price(read, "gpu_1x_none") is None
