from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanjiprep.dataset.card import Example, card, size_category
from kanjiprep.dataset.folder import Counts
from tests.test_folder import RECIPE


def test_the_card_is_the_golden_one(golden: Any) -> None:
    certificate = replace(RECIPE, counts=Counts(6414, 79034, 147, 6980, 4959), digest="0123")
    golden("dataset_card.md", card(certificate, (Example("亜", "亜_kanji_04e9c.png", "means: Asia"),)))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (6414, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (10**6, "100K<n<1M"),
    ],
)
def test_sizes_are_the_hubs_words(samples: int, expected: str) -> None:
    assert size_category(samples) == expected


def test_the_card_has_front_matter_that_parses() -> None:
    from huggingface_hub import DatasetCard

    certificate = replace(RECIPE, counts=Counts(3, 9, 1, 4, 0))
    parsed = DatasetCard(card(certificate, ()).decode()).data.to_dict()  # type: ignore[no-untyped-call]
    assert parsed["license"] == "cc-by-sa-4.0"
    assert parsed["size_categories"] == ["n<1K"]
