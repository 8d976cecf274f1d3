"""Components: which ones the characters of a dataset are built of, and which ones a prompt's meaning asks for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from kanjiprep.dataset.characters import Character
from kanjiprep.dataset.kanjivg import Component

_IN_BRACKETS: Final = re.compile(r"\([^)]*\)")
_WORD: Final = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*")
_LONGEST: Final = 4
"""Words of the longest meaning that is looked for in a prompt."""
_GRAMMAR: Final = (
    "a again also an and as at be before but by can do down every for from has have if in is it may must no not of "
    "on one or out same should so some still such than that the their there this to under up will with"
)
"""Words that a prompt has for its grammar, though some are a character's meaning: ``in`` is one of 中."""
_SAY_NOTHING: Final = frozenset(_GRAMMAR.split())
_IRREGULAR: Final[Mapping[str, str]] = {
    "children": "child",
    "feet": "foot",
    "men": "man",
    "mice": "mouse",
    "people": "person",
    "teeth": "tooth",
    "women": "woman",
}
_PLURALS: Final = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))


def of_tree(tree: Component) -> frozenset[str]:
    """Every component in ``tree``, the whole character among them; a form counts as its original too (忄 as 心)."""
    names = {tree.element, tree.original} - {""}
    return frozenset(names.union(*map(of_tree, tree.children)))


def known(components: Iterable[Collection[str]], least: int) -> tuple[str, ...]:
    """The components that at least so many characters have, the most frequent first.

    Args:
        components: Of each character.
        least: In how many of them a component must be.
    """
    counts = Counter(name for one in components for name in one)
    frequent = (name for name, count in counts.items() if count >= least)
    return tuple(sorted(frequent, key=lambda name: (-counts[name], name)))


def meanings(characters: Iterable[Character], components: Sequence[str]) -> dict[str, str]:
    """The component that each meaning stands for, of those that are characters with meanings themselves.

    Where several share a meaning, it is the one that gives it earliest, then the most frequent one: 心 and not 忄,
    which counts as 心 too.

    Args:
        characters: Of the dataset.
        components: Those that can be seen, the most frequent first.
    """
    rank = {name: place for place, name in enumerate(components)}
    found: dict[str, tuple[int, int]] = {}
    for one in characters:
        if one.character in rank:
            for place, meaning in enumerate(one.meanings):
                claim = (place, rank[one.character])
                phrase = " ".join(_words(_IN_BRACKETS.sub(" ", meaning)))
                if phrase and phrase not in _SAY_NOTHING:
                    found[phrase] = min(claim, found.get(phrase, claim))
    return {phrase: components[claim[-1]] for phrase, claim in found.items()}


def wanted(prompt: str, phrases: Mapping[str, str]) -> tuple[str, ...]:
    """The components that a prompt asks for, in the order of its words.

    A meaning of several words is looked for before those of one, and no word is used twice. A plural asks for
    what its singular does.

    Args:
        prompt: Without the words of a style around it.
        phrases: As ``meanings`` gives them.
    """
    words = _words(prompt)
    found: list[str] = []
    start = 0
    while start < len(words):
        length, component = _longest(words[start:], phrases)
        found += [component] if component and component not in found else []
        start += length
    return tuple(found)


def _longest(words: Sequence[str], phrases: Mapping[str, str]) -> tuple[int, str]:
    """How many of the first words make a meaning, and its component; one and nothing if they make none."""
    for length in range(min(_LONGEST, len(words)), 0, -1):
        for last in _singulars(words[length - 1]):
            phrase = " ".join((*words[: length - 1], last))
            if phrase in phrases:
                return length, phrases[phrase]
    return 1, ""


def _singulars(word: str) -> tuple[str, ...]:
    """The word, and every word of which it may be the plural."""
    ends = (
        word.removesuffix(end) + rest for end, rest in _PLURALS if word.endswith(end) and len(word) > len(end) + 1
    )
    return word, *((_IRREGULAR[word],) if word in _IRREGULAR else ()), *ends


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
