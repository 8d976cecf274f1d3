import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep import tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 2), ("sun", 3), ("Image", 4), ("a 12", 5), ("one, two.", 6), ("亜", 5), ("Tz'u", 5)],
)
def test_clip_is_estimated_from_letters_digits_and_bytes(text: str, expected: int) -> None:
    assert tokens.clip_tokens(text) == expected


def test_t5_is_bounded_by_characters() -> None:
    assert tokens.t5_tokens("sun 亜") == 7
    assert tokens.t5_tokens("㌍") > 5


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("A cat's 12.", ["a", "cat", "'s", "1", "2", "."]),
        ("the 'store!'s", ["the", "'s", "tore", "!'", "s"]),
        ("caf\u00e9\u3000\u732b\u00bd\u2026", ["caf\u00e9", "\u732b", "\u00bd", "\u2026"]),
        ("a\x1cb\x85c\u2003d", ["a", "\x1c", "b", "c", "d"]),
        ("e\u0301t\u0378t", ["\u00e9t\u0378t"]),
        ("\u0130", ["i", "\u0307"]),
        ("half \ud800", ["half", "?"]),
        (" \n", []),
    ],
)
def test_a_text_is_cut_as_clip_cuts_it(text: str, pieces: list[str]) -> None:
    assert list(tokens.clip_pieces(text)) == pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 2),
        ("sun", 3),  # listed
        ("SUN sun", 4),
        ("sunny", 2 + 3),  # s un n y is none: n and y would be merged
        ("sun\u732b", 2 + 6),  # one piece, so not the listed word
        ("qz", 2 + 2),  # a pair that is kept apart
        ("qzqz", 2 + 4),
        ("ab", 2 + 1),
        ("xa", 2 + 1),  # at the end of a word it is merged
        ("xam", 2 + 2),
        ("19.", 2 + 3),
        ("\u732b", 2 + 3),
        ("it's", 2 + 1 + 2),
    ],
)
def test_clip_is_bounded_by_the_list_by_pairs_and_by_bytes(text: str, expected: int) -> None:
    assert tokens.clip_at_most(text, {"sun": 1}) == expected


APART = {"bq", "bx", "bz", "qb", "qx", "qz", "xa", "xb", "xq", "xz", "zb", "zq", "zx"}
"""Of the letters a, b, q, x and z, by CLIP's merges.txt."""
APART_LAST = {"bq", "qq", "qz", "xz", "zb", "zq"}


def is_possible(way: list[str]) -> bool:
    places = [place for place in range(len(way) - 1) if len(way[place]) == len(way[place + 1]) == 1]
    return all(way[place] + way[place + 1] in (APART_LAST if place + 2 == len(way) else APART) for place in places)


def ways(word: str) -> list[list[str]]:
    cuts = range(1, len(word) + 1)
    return [[word[:cut], *way] for cut in cuts for way in ways(word[cut:])] if word else [[]]


@given(st.text(alphabet="abxqz", min_size=1, max_size=9))
def test_the_bound_of_a_word_is_the_most_of_all_ways_to_cut_it(word: str) -> None:
    assert tokens.clip_at_most(word, {}) == 2 + max(len(way) for way in ways(word) if is_possible(way))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1),
        (" \n", 1),
        ("sun", 1 + 1),  # listed
        ("Sun", 1 + 4),  # it tells capitals from small letters
        ("sun, (sun)", 1 + 2 + 1 + 5),  # listed after a space only
        ("sun-sun", 1 + 1 + 4),
        ("sunny", 1 + 6),
        ("sun\u732b", 1 + 5),
        ("sun\x1csun", 1 + 8),  # its table drops the sign between them
        ("\uff33un", 1 + 4),
        ("12", 1 + 3),
    ],
)
def test_t5_is_bounded_by_the_list_and_by_characters(text: str, expected: int) -> None:
    assert tokens.t5_at_most(text, {"sun": 1}) == expected


@given(st.text(max_size=60))
def test_the_tighter_bound_of_t5_is_never_above_the_other(text: str) -> None:
    spaced = " ".join(text.split())
    assert tokens.t5_at_most(spaced, {}) <= tokens.t5_tokens(spaced)
