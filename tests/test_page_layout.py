from __future__ import annotations

from types import SimpleNamespace

from kanjiprep.publishing.page import layout
from kanjiprep.publishing.page.sitting import Room
from tests.test_page_sitting import painted, painter, room

__all__ = ["painter", "room"]


def test_the_negative_prompt_follows_the_style_unless_it_was_written(room: Room) -> None:
    negative = layout.negatives(room)
    assert negative("ink", "blurry") == "grey"
    assert negative("ink", "") == "grey"
    assert negative("caption", "grey") == ""
    assert negative("ink", "my own words") == "my own words"
    assert negative("baroque", "grey") == "grey"


def test_what_speaks_against_a_checkpoint_follows_the_choice(room: Room) -> None:
    told = layout.against(room)
    assert "look at its" in told("8")
    assert told("4") == ""
    assert told("baroque") == ""


def test_a_tab_that_is_closed_is_forgotten(room: Room) -> None:
    painted(room, "one")
    layout.leaving(room)(SimpleNamespace(session_hash="one"))
    assert room.sittings == {}
