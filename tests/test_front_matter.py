from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import DatasetError, HubError, KanjiprepError
from kanjiprep.publishing.front_matter import MOST_BYTES, Verbatim, join, split

BARE = ("1.10", "no", "Yes", "2024-01-01", "2024-01-01T10:00:00Z", "010", "1e3", "08", "12:30:00", "-0", ".inf", "=")
"""Bare words that YAML 1.1 or 1.2 takes for something else than a text, and would write in other words."""


def table_of(text: str) -> dict[str, Any]:
    return split(f"---\n{text}\n---\n", "README.md", DatasetError)[0]


def test_a_card_is_split_into_its_table_and_its_text() -> None:
    text = "---\nlicense: mit\ntags: [a, b]\nnumber: 3\nis: true\nnothing:\n---\n\n# Title\n---\n"
    table, body = split(text, "README.md", DatasetError)
    assert table == {"license": "mit", "tags": ["a", "b"], "number": 3, "is": True, "nothing": None}
    assert body == "\n# Title\n---\n"


@pytest.mark.parametrize("text", ["", "# Title\n", "text\n---\na: b\n---\n", "----\n", "--- a\n", "\n\n# Title"])
def test_a_card_without_front_matter_is_all_text(text: str) -> None:
    assert split(text, "README.md", DatasetError) == ({}, text)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff---\nlicense: mit\n---\nbody\r\n",
        "---\r\nlicense: mit\r\n---\r\nbody\r\n",
        "\n \n---\nlicense: mit\n---\nbody\r\n",
        "--- \nlicense: mit\n---\t\nbody\r\n",
    ],
)
def test_byte_order_mark_windows_line_ends_and_blanks_are_tolerated(text: str) -> None:
    assert split(text, "README.md", DatasetError) == ({"license": "mit"}, "body\r\n")


@pytest.mark.parametrize("text", ["---\n---\n", "---\n\n# a comment\n---", "---\n~\n---\n"])
def test_empty_front_matter_is_an_empty_table(text: str) -> None:
    assert split(text, "README.md", DatasetError) == ({}, "")


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\na: b\n", r"README.md:1: front matter begins here and never ends"),
        ("---", r"README.md:1: front matter begins here and never ends"),
        (f"---\n{LAUGHS}\n---\n", r"README.md:2: .*an anchor \(&\) or an alias"),
        ("---\na: *b\n---\n", r"README.md:2: .*an anchor \(&\) or an alias"),
        ("---\na: 1\nb: !!python/object/apply:os.system [id]\n---\n", r"README.md:3: .*a tag \(!\)"),
        ("---\na: !!str 1\n---\n", r"README.md:2: .*a tag \(!\)"),
        ("---\na: ! b\n---\n", r"README.md:2: .*a tag \(!\)"),
        ("---\n- a\n- b\n---\n", r"README.md:2: front matter that is no table"),
        ("---\njust words\n---\n", r"README.md:2: front matter that is no table"),
        ("---\na: 1\n---\n".replace("1", "[" * 50 + "]" * 50), r"README.md:2: .*41 deep"),
        ("---\na: 1\nb: 2\na: 3\n---\n", r"README.md:4: .*the key 'a' a second time"),
        ("---\na:\n  b: 1\n  b: 2\n---\n", r"README.md:4: .*the key 'b' a second time"),
        ("---\n1: a\n---\n", r"README.md:2: .*a key that is no text"),
        ("---\non: a\n---\n", r"README.md:2: .*a key that is no text"),
        ("---\n<<: {license: mit}\n---\n", r"README.md:2: .*a key that is no text"),
        ("---\n? [a]\n: b\n---\n", r"README.md:2: .*a key that is no text"),
        ("---\na:\n\tb: 1\n---\n", r"README.md:3: .*a tab where only spaces may stand"),
        ("---\na: b\t\n---\n", r"README.md:2: .*a tab where only spaces may stand"),
        ("---\na: b: c\n---\n", r"README.md:2: .*mapping values are not allowed here"),
        ("---\na: [1\n---\n", r"README.md:\d: .*expected"),
        ("---\na: 1\n--- b\n---\n", r"README.md:3: .*another document"),
        ("---\na: 1\nb: \x07\n---\n", r"README.md:3: front matter with a control character"),
        ("# a\n" * 250_001, r"README.md: a card of 1,000,004 bytes; one may have 1,000,000"),
    ],
)
@pytest.mark.parametrize("kind", [DatasetError, HubError])
def test_poisoned_front_matter_is_refused_in_one_line(text: str, says: str, kind: type[KanjiprepError]) -> None:
    with pytest.raises(kind, match=says) as caught:
        split(text, "README.md", kind)
    assert "\n" not in str(caught.value)


def test_a_card_of_the_greatest_size_is_read() -> None:
    text = "x" * MOST_BYTES
    assert split(text, "README.md", DatasetError) == ({}, text)


@pytest.mark.parametrize("bare", BARE)
def test_bare_words_stay_as_they_were_written(bare: str) -> None:
    table = table_of(f"key: {bare}\nmore:\n- {bare}")
    assert table == {"key": Verbatim(bare), "more": [Verbatim(bare)]}
    assert join(table, "") == f"---\nkey: {bare}\nmore:\n- {bare}\n---\n"


@pytest.mark.parametrize("text", BARE)
def test_quoted_texts_stay_texts_for_every_reader(text: str) -> None:
    table = table_of(f'key: "{text}"')
    assert type(table["key"]) is str
    assert join(table, "") == f"---\nkey: '{text}'\n---\n"


def test_texts_of_several_lines_stay_readable() -> None:
    assert join({"why": "one\ntwo\n---\n"}, "body") == "---\nwhy: |\n  one\n  two\n  ---\n\n---\nbody"
    assert join({"why": "a\nb", "z": 1}, "") == "---\nwhy: |-\n  a\n  b\nz: 1\n---\n"


def test_kanji_stay_readable_and_long_lines_whole() -> None:
    assert join({"a": f"亜 {'word ' * 60}end 🐒"}, "") == f"---\na: 亜 {'word ' * 60}end 🐒\n---\n"


def test_the_same_list_twice_is_written_twice() -> None:
    same = ["a"]
    assert join({"x": same, "y": same}, "") == "---\nx:\n- a\ny:\n- a\n---\n"


def test_an_empty_table_is_left_out() -> None:
    assert join({}, "# Title\n") == "# Title\n"


NASTY = st.text() | st.text(alphabet="-\n .a:#'\"|>é\x85\u2028\r\t{}[]&*!%@`01eE+_") | st.sampled_from(BARE)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NASTY | st.sampled_from(BARE).map(Verbatim),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=8,
)
TABLES = st.dictionaries(NASTY, VALUES, min_size=1, max_size=4)


@given(TABLES, NASTY)
def test_what_is_joined_is_split_again_unharmed(table: dict[str, Any], body: str) -> None:
    text = join(table, body)
    again, rest = split(text, "README.md", DatasetError)
    assert (again, rest) == (table, body)
    assert join(again, rest) == text


@given(st.dictionaries(NASTY, NASTY | st.lists(NASTY, max_size=3), min_size=1, max_size=4), NASTY)
def test_the_libraries_of_the_hub_read_the_same(table: dict[str, Any], body: str) -> None:
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    text = join(table, body)
    block = REGEX_YAML_BLOCK.match(text)
    assert block is not None
    assert yaml.safe_load(block[2]) == table
    assert text[block.end() :] == body
