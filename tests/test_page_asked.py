from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.publishing.page import asked
from kanjiprep.publishing.painting.texts import MOST_SEED
from kanjiprep.training.prompts import Style
from tests.test_page_sitting import FORM, OFFER, STYLES


def test_a_form_becomes_wishes() -> None:
    first, second = asked.wishes(replace(FORM, pictures=2, subject=" a \n dragon ", negative="grey"), OFFER)
    assert (first.subject, first.prompt) == ("a dragon", STYLES["ink"].composed("a dragon"))
    assert (first.negative, first.style, first.size_px, first.steps, first.guidance) == ("grey", "ink", 64, 3, 3.0)
    assert (first.seed, second.seed) == (7, 8)


def test_seeds_begin_anew_after_the_last() -> None:
    found = asked.wishes(replace(FORM, pictures=2, seed=MOST_SEED), OFFER)
    assert [one.seed for one in found] == [MOST_SEED, 0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "\n"}, "the prompt is empty"),
        ({"subject": "x" * 2001}, "the prompt must be a text of at most 2,000 letters"),
        ({"subject": None}, "the prompt must be a text"),
        ({"negative": 3}, "the negative prompt must be a text"),
        ({"style": "baroque"}, "there is no style 'baroque'"),
        ({"seed": None}, "the seed must be from 0 to 4,294,967,295"),
        ({"seed": -1}, "the seed must be"),
        ({"seed": 1.5}, "the seed must be a whole number, not 1.5"),
        ({"seed": True}, "the seed must be"),
        ({"seed": "7"}, "the seed must be"),
        ({"pictures": 17}, "the number of pictures must be from 1 to 16"),
        ({"size_px": 100}, "the size must be a multiple of 64 px, not 100"),
        ({"size_px": 4096}, "the size must be from 64 to 2,048"),
        ({"steps": 0}, "the number of steps must be from 1 to 200"),
        ({"guidance": float("nan")}, "the guidance must be from 0 to 30"),
        ({"guidance": 1e99}, "the guidance must be from 0 to 30"),
    ],
)
def test_what_cannot_be_had_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked.wishes(replace(FORM, **changes), OFFER)


def test_a_run_with_larger_pictures_and_more_steps_can_be_followed() -> None:
    offer = replace(OFFER, asked=replace(OFFER.asked, size_px=4096, inference_steps=500))
    (wish,) = asked.wishes(replace(FORM, size_px=4096, steps=500), offer)
    assert (wish.size_px, wish.steps) == (4096, 500)


def test_a_prompt_is_parted_at_its_subject() -> None:
    assert asked.parted(Style(suffix="In ink."), "a dragon.") == ("", "a dragon", ". In ink.")
    assert asked.parted(Style(), "a dragon.") == ("", "a dragon", ".")
    assert asked.parted(STYLES["caption"], "a dragon.") == ("The character means: ", "a dragon", ".")
    assert asked.parted(Style(" in a ", " box a", subject="within"), "a") == ("in a ", "a", " box a")
    for style in STYLES.values():
        assert "".join(asked.parted(style, " ... ")) == style.composed(" ... ")
