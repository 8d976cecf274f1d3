from collections.abc import Sequence

import pytest

from kanjiprep.dataset.characters import Character
from kanjiprep.dataset.kanjivg import Component
from kanjiprep.evaluation.judge import parts


def component(element: str, *children: Component, original: str = "") -> Component:
    return Component(element, original, "", 0, children, 0)


def character(literal: str, *meanings: str, strokes: int | None = 4) -> Character:
    return Character(f"{literal}.png", literal, "", meanings, strokes)


CHARACTERS = (
    character("山", "mountain"),
    character("火", "fire"),
    character("水", "water"),
    character("木", "tree", "wood"),
    character("樹", "timber trees", "wood", strokes=16),
    character("中", "in", "inside", "middle"),
    character("虫", "insect", "bug", "temper"),
    character("狼", "wolf"),
    character("刀", "knife", "old coin"),
    character("女", "woman", "female"),
    character("日", "day", "sun", "Japan", "counter for days"),
    character("人", "person (human being)"),
    character("工", "craft", "construction", "katakana e radical (no. 48)"),
    character("車", "car"),
    character("一", "one", strokes=None),
)
COMPONENTS = tuple("人日木山火水氵樹中虫狼刀女工一")
PHRASES = parts.meanings(CHARACTERS, COMPONENTS)


def test_the_components_of_a_tree_are_all_its_names_and_their_originals() -> None:
    tree = component("休", component("亻", original="人"), component("", component("木", component("丨"))))
    assert parts.of_tree(tree) == frozenset("休亻人木丨")


def test_components_in_enough_characters_are_known_the_most_frequent_first() -> None:
    assert parts.known(["ab", "abc", "b", "cd"], 2) == ("b", "a", "c")
    assert parts.known([], 1) == ()


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("mountain", "山"),
        ("Mountains of fire, and a MOUNTAIN.", "山火"),
        ("wolves with knives", "狼刀"),
        ("three women in the sun", "女日"),
        ("people", "人"),
        ("wood", "木"),
        ("timber trees", "樹"),
        ("an old coin in water", "刀水"),
        ("a car inside", "中"),
        ("in one of it", ""),
        ("s", ""),
        ("happiness, the buses and fireside", ""),
        ("skyscraper", ""),
        ("", ""),
        ("山", ""),
    ],
)
def test_a_prompt_asks_for_the_components_that_its_words_mean(prompt: str, wanted: Sequence[str]) -> None:
    assert parts.wanted(prompt, PHRASES) == tuple(wanted)


def test_a_shared_meaning_stands_for_whoever_gives_it_first_and_is_most_frequent() -> None:
    shared = [character("忄", "heart", strokes=3), character("林", "grove", "heart"), character("心", "heart")]
    assert parts.meanings(shared, "林心忄") == {"heart": "心", "grove": "林"}


def test_characters_without_meanings_or_that_cannot_be_seen_ask_for_nothing() -> None:
    assert "car" not in PHRASES
    assert parts.meanings([character("山"), character("", "mountain")], "山") == {}
