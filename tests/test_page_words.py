from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.publishing.page import asked, words
from kanjiprep.publishing.page.judged import Judgement
from kanjiprep.publishing.page.sitting import Card, Painting, Room, Sitting
from tests.test_page_sitting import FORM, OFFER, STYLES, painter, room

__all__ = ["painter", "room"]
HOSTILE = "<script>alert(1)</script> ${1} {{x}} \"'&"


def card(judgement: Judgement | BaseException | None, subject: str = "a dragon") -> Card:
    future: Future[Judgement] = Future()
    if isinstance(judgement, Judgement):
        future.set_result(judgement)
    elif judgement is not None:
        future.set_exception(judgement)
    (wish,) = asked.wishes(replace(FORM, subject=subject), OFFER)
    return Card(Path("/x/a b.png"), wish, OFFER.choices[0], future)


def shown(*found: Card) -> str:
    return words.cards(Sitting(Path("/x"), list(found)))


def test_the_heading_names_the_run_and_no_folder() -> None:
    assert "<h1" in words.heading(OFFER)
    assert "one LoRA, on owner/model" in words.heading(OFFER)
    told = words.heading(replace(OFFER, run=Path("runs/mine"), base="/home/alice/sd3"))
    assert "2 checkpoints, on sd3" in told
    assert "alice" not in told


def test_before_the_first_picture_it_says_where_they_come() -> None:
    assert "Pictures come here" in shown()


def test_a_card_has_picture_prompt_seed_checkpoint_score_and_download() -> None:
    told = shown(card(Judgement("sound", 84.2, "", 0.01, 1.02)))
    assert 'src="/gradio_api/file=/x/a%20b.png"' in told
    assert 'download="a b.png"' in told
    assert "seed 7, step 4, style ink" in told
    assert "sound, 84 of 100" in told
    assert "style 0.01, shape 1.02<" in told


def test_the_latest_card_comes_first() -> None:
    told = shown(card(None, "old"), card(None, "new"))
    assert told.index("new") < told.index("old")
    assert "being judged" in told


def test_why_pictures_are_not_judged_is_said_once() -> None:
    why = Judgement(None, None, "nobody knows")
    told = shown(card(why), card(why), card(ValueError("odd")))
    assert told.count("Not judged: nobody knows.") == 1
    assert told.count("Not judged: ValueError: odd.") == 1
    assert told.count(">not judged<") == 3


def test_an_exploded_picture_says_why() -> None:
    told = shown(card(Judgement("exploded", 0.4, "no ink on paper: colourful", 1.42, 10.7)))
    assert "kp-exploded" in told
    assert "style 1.42, shape 10.70; no ink on paper: colourful" in told


def test_no_word_of_a_user_is_markup(room: Room) -> None:
    for told in (
        shown(card(Judgement("sound", 1, HOSTILE, 1, 1), HOSTILE)),
        words.prompt(room, HOSTILE, "caption"),
        words.status(Painting(HOSTILE, kind="error")),
        words.heading(replace(OFFER, name=HOSTILE, base=HOSTILE)),
        words.warnings(replace(OFFER.choices[0], warnings=(HOSTILE,))),
    ):
        assert "<script" not in told
        assert "&lt;script&gt;" in told


def test_the_status_shows_how_far_it_is() -> None:
    assert 'value="25.0"' in words.status(Painting("step 1 of 4", 0.25))
    assert "progress" not in words.status(Painting("stopped", kind="stopped"))
    assert 'role="alert"' in words.status(Painting("no", kind="error"))
    assert 'href="#pictures"' in words.status(Painting("1 picture painted", 1.0, "done"))


def test_the_prompt_is_shown_in_its_style_with_the_subject_marked(room: Room) -> None:
    told = words.prompt(room, " a  dragon. ", "ink")
    assert "<b>a dragon</b>. In black ink." in told
    assert "Tokens: CLIP-L 7 of 77<" in told
    assert "kp-warning" not in told
    assert "CLIP-L at most 3 of 77<" in words.prompt(room, "maybe", "plain")
    assert "<b>a dragon</b>.</p>" in words.prompt(room, "a dragon.", "caption")
    assert words.prompt(room, "a dragon", "baroque") == ""


def test_without_a_prompt_it_is_shown_what_the_style_adds(room: Room) -> None:
    assert "<b>Your prompt</b>. In black ink." in words.prompt(room, "", "ink")
    assert "The character means: <b>Your prompt</b>." in words.prompt(room, "", "caption")
    assert "adds nothing" in words.prompt(room, "", "plain")


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("a " * 90, "The subject ends at token 92 of which CLIP reads 77; say it in fewer words"),
        ("maybe " * 90, "The subject may end as late as token 92 of which CLIP reads 77; say it in fewer words"),
        ("a " * 74, "The end of the style is cut, your prompt is not"),
        ("maybe " * 74, "The end of the style may be cut, your prompt is not"),
    ],
)
def test_what_is_cut_is_warned_of(room: Room, subject: str, said: str) -> None:
    told = words.prompt(room, subject, "ink")
    assert told.count("kp-warning") == 1
    assert f">{said}<" in told


def test_what_speaks_against_a_checkpoint_is_said() -> None:
    assert words.warnings(OFFER.choices[0]) == ""
    assert "look at its &lt;pictures&gt; first" in words.warnings(OFFER.choices[1])
    assert STYLES
