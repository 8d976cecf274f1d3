from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep.errors import DatasetError
from kanjiprep.progress import Progress
from kanjiprep.publishing.page import sitting as sittings
from kanjiprep.publishing.page.asked import Form
from kanjiprep.publishing.page.judged import Judge
from kanjiprep.publishing.page.offer import BASE, Choice, Offer
from kanjiprep.publishing.page.sitting import Painting, Room
from kanjiprep.publishing.page.studio import Studio
from kanjiprep.publishing.painting.wish import Stepped, Wish
from kanjiprep.publishing.prompt_tokens import Count
from kanjiprep.training.prompts import Style
from kanjiprep.training.run_spec import Validation
from tests.test_page_studio import PATIENCE_S, FakePainter, tuned

STYLES = {
    "ink": Style(suffix="In black ink.", negative="grey"),
    "plain": Style(negative="blurry"),
    "caption": Style(prefix="The character means: ", suffix=".", subject="within"),
}
OFFER = Offer(
    name="mine",
    family="sd3",
    base="owner/model",
    choices=(
        Choice("4", "step 4, score 81.2, chosen", "step 4", tuned(4)),
        Choice("8", "step 8", "step 8", tuned(8), ("look at its <pictures> first",)),
        Choice(BASE, "base model alone", "base model alone", None),
    ),
    first="4",
    styles=STYLES,
    asked=Validation(style="plain", size_px=64, inference_steps=3, guidance=3.0, seed=42),
    examples=("dragon",),
    run=None,
)
FORM = Form("a dragon", "ink", "", "4", 7, 1, 64, 3, 3.0)


def nothing(progress: Progress) -> Any:
    raise DatasetError("nobody knows what it was trained on")


def save(path: Path, picture: Image.Image, wish: Wish, choice: Choice) -> None:
    picture.save(path)


@pytest.fixture
def painter() -> FakePainter:
    return FakePainter()


def counter(text: str) -> tuple[Count, ...]:
    return (Count("CLIP-L", 2 + len(text.split()), 77, is_exact="maybe" not in text, source="a test"),)


@pytest.fixture
def room(painter: FakePainter, tmp_path: Path) -> Iterator[Room]:
    made = Room(OFFER, Studio(painter.opened), Judge(nothing), save, tmp_path / "pictures", counter)
    yield made
    painter.gate.set()
    made.judge.close(PATIENCE_S)
    made.studio.close(PATIENCE_S)


def painted(room: Room, key: str, form: Form = FORM) -> list[Painting]:
    return list(sittings.paint(room, room.sitting(key), form))


def test_a_picture_is_painted_kept_and_looked_at(room: Room) -> None:
    told = painted(room, "one")
    (card,) = room.sitting("one").cards
    assert told[-1] == Painting("1 picture painted with step 4", 1.0, "done")
    assert all(one.kind == "work" for one in told[:-1])
    assert card.path.name == "mine_step4_seed7_001.png"
    assert card.wish.prompt == STYLES["ink"].composed("a dragon")
    assert "nobody knows" in card.judgement.result(PATIENCE_S).why
    assert room.sitting("one").is_judged


def test_several_pictures_have_seeds_that_follow(room: Room) -> None:
    told = painted(room, "one", replace(FORM, pictures=3, checkpoint=BASE))
    assert [one.wish.seed for one in room.sitting("one").cards] == [7, 8, 9]
    assert room.sitting("one").cards[2].path.name == "mine_base_seed9_003.png"
    assert told[-1].text == "3 pictures painted with base model alone"
    assert any(one.text.startswith("picture 2 of 3: ") for one in told)
    shares = [one.done for one in told if one.done is not None]
    assert shares == sorted(shares)


def test_tabs_do_not_mix_their_pictures(room: Room) -> None:
    painted(room, "one")
    painted(room, "two", replace(FORM, subject="a robot"))
    assert [one.wish.subject for one in room.sitting("one").cards] == ["a dragon"]
    assert [one.wish.subject for one in room.sitting("two").cards] == ["a robot"]
    assert room.sitting("one").folder != room.sitting("two").folder


def test_the_other_tab_waits_and_says_so(room: Room, painter: FakePainter) -> None:
    painter.gate.clear()
    first = sittings.paint(room, room.sitting("one"), FORM)
    next(first)
    second = sittings.paint(room, room.sitting("two"), FORM)
    assert next(second).text == "waiting for a picture of another tab"
    room.sitting("two").stop.set()
    told = list(second)
    assert told[-1] == Painting("stopped before it began", kind="stopped")
    painter.gate.set()
    assert list(first)[-1].kind == "done"


def test_cancel_ends_between_steps_and_keeps_what_is_done(room: Room, painter: FakePainter) -> None:
    here, told = room.sitting("one"), []
    for one in sittings.paint(room, here, replace(FORM, pictures=16)):
        told.append(one)
        if len(here.cards) == 2:
            here.stop.set()
    assert told[-1].kind == "stopped"
    assert told[-1].text.startswith("stopped ")
    assert 2 <= len(here.cards) < 16
    assert painted(room, "one")[-1].kind == "done"


def test_one_tab_paints_one_wish_at_a_time(room: Room, painter: FakePainter) -> None:
    painter.gate.clear()
    first = sittings.paint(room, room.sitting("one"), FORM)
    next(first)
    (refused,) = painted(room, "one")
    assert refused == Painting("this tab is painting already; cancel that first", kind="error")
    painter.gate.set()
    assert list(first)[-1].kind == "done"


def test_failures_are_told_in_a_line_and_the_page_goes_on(room: Room, painter: FakePainter) -> None:
    (empty,) = painted(room, "one", replace(FORM, subject="  "))
    assert empty.text == "the prompt is empty; say what is to be painted"
    painted(room, "one")
    painter.failing = True
    assert painted(room, "one", replace(FORM, checkpoint="8"))[-1].text == "belongs to another kind of model"
    painter.failing = False
    assert painted(room, "one")[-1].kind == "done"


def test_what_a_library_throws_is_told_too(room: Room, painter: FakePainter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(wish: Wish, stepped: Stepped) -> Image.Image:
        raise ValueError("no such thing")

    monkeypatch.setattr(painter, "paint", broken)
    assert painted(room, "one")[-1] == Painting("unexpected: ValueError: no such thing", kind="error")


def test_a_full_disk_is_told(room: Room, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("in the way")
    assert painted(room, "one")[-1] == Painting("the picture cannot be kept: not a directory", kind="error")


def test_a_tab_that_is_closed_takes_its_pictures_along(room: Room, painter: FakePainter) -> None:
    painted(room, "one")
    folder = room.sitting("one").folder
    assert folder.is_dir()
    room.leave("one")
    room.leave("one")
    assert not folder.exists()
    assert room.sitting("one").cards == []


def test_a_tab_closed_in_the_middle_frees_the_model(room: Room, painter: FakePainter) -> None:
    painter.gate.clear()
    going = sittings.paint(room, room.sitting("one"), FORM)
    next(going)
    going.close()  # type: ignore[attr-defined]
    painter.gate.set()
    assert painted(room, "two")[-1].kind == "done"
    assert room.sitting("one").cards == []


def test_a_picture_not_yet_looked_at_is_not_judged(room: Room) -> None:
    painted(room, "one")
    here = room.sitting("one")
    here.cards[0] = replace(here.cards[0], judgement=Future())
    assert not here.is_judged
