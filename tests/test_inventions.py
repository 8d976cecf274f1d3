from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from kanjiprep.dataset import kanjivg
from kanjiprep.dataset.kanjivg import GlyphStrokes
from kanjiprep.evaluation.proof.curves import curves_of, drawn
from kanjiprep.evaluation.proof.inventions import PRIVATE_USE, invent
from tests import sources
from tests.sources import Group


def half(element: str, position: str, path: str, more: str = "") -> Group:
    return Group(element, (path,), attributes=f' kvg:position="{position}"{more}')


def left(element: str, edge: int = 45, more: str = "") -> Group:
    return half(element, "left", f"M10,20C20,30,30,40,{edge},50", more)


def right(element: str, edge: int = 55, more: str = "") -> Group:
    return half(element, "right", f"M{edge},20C70,30,80,40,95,50", more)


def top(element: str) -> Group:
    return half(element, "top", "M20,10C30,20,40,30,50,45")


def bottom(element: str) -> Group:
    return half(element, "bottom", "M20,55C30,70,40,80,50,95")


def glyphs(**characters: Group | tuple[Group, ...]) -> Mapping[int, GlyphStrokes]:
    groups = {
        literal: whole if isinstance(whole, Group) else Group(literal, (), whole)
        for literal, whole in characters.items()
    }
    return {
        ord(literal): kanjivg.parse_svg(sources.svg(ord(literal), group), ord(literal), f"{literal}.svg")
        for literal, group in groups.items()
    }


THREE: dict[str, Group | tuple[Group, ...]] = {
    "明": (left("日"), right("月")),
    "林": (left("木"), right("木")),
    "好": (left("女"), right("子")),
}


def halves_of(glyph: GlyphStrokes) -> str:
    return "".join(child.element for child in glyph.tree.children)


def pairs(inventions: Iterable[GlyphStrokes]) -> set[str]:
    return set(map(halves_of, inventions))


def test_each_is_the_first_half_of_one_and_the_second_of_another() -> None:
    real = glyphs(**THREE)
    found = invent(real, 6, 0)
    assert pairs(found) == {"日木", "日子", "木月", "木子", "女月", "女木"}
    for invention in found:
        first, second = (
            real[ord(literal)] for literal in invention.where.removeprefix("invented from ").split(" and ")
        )
        assert invention.strokes == (first.strokes[0], second.strokes[1])
        assert invention.tree.children == (first.tree.children[0], second.tree.children[1])
        assert invention.tree.strokes == 2
    assert [invention.codepoint - PRIVATE_USE for invention in found] == [0, 1, 2, 3, 4, 5]


def test_a_seed_gives_the_same_whatever_the_order_of_the_characters() -> None:
    backwards = dict(reversed(THREE.items()))
    assert invent(glyphs(**THREE), 3, 7) == invent(glyphs(**backwards), 3, 7)
    assert len({halves_of(invent(glyphs(**THREE), 1, seed)[0]) for seed in range(20)}) > 2


def test_what_exists_is_not_invented_however_it_lies_or_is_written() -> None:
    more: dict[str, Group | tuple[Group, ...]] = {
        "杲": (top("日"), bottom("木")),
        "字": Group("字", (), (Group("字", (), (half("子", "left", "M1,1C2,2,3,3,4,4"), right("日"))),)),
        "休": (left("亻", more=' kvg:original="人"'), right("木")),
        "从": (left("女"), right("⺅", more=' kvg:original="人"')),
    }
    found = pairs(invent(glyphs(**THREE, **more), 100, 0))
    assert found == {"日⺅", "木月", "木子", "女月", "女木", "亻月", "亻子", "亻⺅"}


def test_halves_above_each_other_are_swapped_among_themselves() -> None:
    real = glyphs(明=(left("日"), right("月")), 杏=(top("木"), bottom("口")), 呆=(top("品"), bottom("土")))
    assert pairs(invent(real, 100, 0)) == {"木土", "品口"}


def test_halves_that_would_meet_or_gape_are_not_joined() -> None:
    narrow = (left("氵", 30), right("可", 38))
    assert not invent(glyphs(明=THREE["明"], 河=narrow), 1, 0)
    nearly = (left("氵", 42), right("可", 52))
    assert pairs(invent(glyphs(明=THREE["明"], 河=nearly), 2, 0)) == {"日可", "氵月"}


@pytest.mark.parametrize(
    "odd",
    [
        (left(""), right("可")),
        (left("氵", more=' kvg:part="1"'), right("可")),
        (right("可"), left("氵")),
        (left("氵"), right("可"), Group("一", ("M1,1C2,2,3,3,4,4",))),
        Group("河", ("M1,1C2,2,3,3,4,4",), (left("氵"), right("可"))),
        (Group("氵", (), attributes=' kvg:position="left"'), right("可")),
        (left("氵", more=' transform="scale(2)"'), right("可")),
        Group("河", ("M1,1C2,2,3,3,4,4",)),
    ],
    ids=["nameless", "in parts", "written right first", "of three", "more strokes", "empty", "for CairoSVG", "whole"],
)
def test_only_two_whole_halves_that_are_all_of_a_character_are_taken(odd: Group | tuple[Group, ...]) -> None:
    assert not invent(glyphs(明=THREE["明"], 河=odd), 1, 0)


def test_halves_may_be_taken_from_some_characters_only() -> None:
    assert pairs(invent(glyphs(**THREE), 100, 0, made_from={ord("明"), ord("好")})) == {"日子", "女月"}
    assert invent(glyphs(**THREE), 1, 0, made_from=()) == ()


def test_there_are_no_more_than_are_wanted_or_can_be() -> None:
    assert [len(invent(glyphs(**THREE), most, 0)) for most in (0, 1, 6, 7)] == [0, 1, 6, 6]


def test_an_invention_is_drawn_like_any_character() -> None:
    one, other = invent(glyphs(**THREE), 2, 0)
    assert [one.codepoint, other.codepoint] == [PRIVATE_USE, PRIVATE_USE + 1]
    assert one.where.startswith("invented from ")
    picture = drawn(curves_of(one), 64)
    assert picture.shape == (64, 64)
    assert np.count_nonzero(picture[:, :32] < 128) > 30
    assert np.count_nonzero(picture[:, 32:] < 128) > 30
