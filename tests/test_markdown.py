from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kanjiprep.publishing import markdown

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
HARMFUL = st.text(alphabet="ab <>|`*_[]()!#\\~$&\"'{}-=+.:;/\n\t\r\u202e") | st.text()


def shown(source: str) -> str:
    """The text that a reader of Markdown sees of one table cell."""
    from lxml import html

    page = html.fromstring(READER.render(f"| a | b |\n| --- | --- |\n| {source} | last |\n"))
    (row,) = page.xpath("//tbody/tr")
    cells = [cell.text_content() for cell in row]
    assert cells[1:] == ["last"]
    assert {node.tag for node in row.iter()} <= {"tr", "td", "code"}
    return str(cells[0])


def plain(text: str) -> str:
    return markdown._line(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b `c` *d* _e_", r"a \| b \`c\` \*d\* \_e\_"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("one\n\n two\r\n---", "one two ---"),
        ("[a](b) $x$ ~~c~~ # \\", r"\[a\](b) \$x\$ \~\~c\~\~ \# \\"),
        ("bell\x07 and \u202eturned", "bell and turned"),
        ("亜 🐒 don't", "亜 🐒 don't"),
        ("- a", r"\- a"),
        ("12. a", r"12\. a"),
        ("---", r"\---"),
        ("12, a - b", "12, a - b"),
        ("0.5", "0.5"),
        ("2026-07-14", "2026-07-14"),
        ("-ous", "-ous"),
    ],
)
def test_prose_is_on_one_line_and_does_nothing(text: str, expected: str) -> None:
    assert markdown.prose(text) == expected


@given(HARMFUL)
def test_prose_says_in_a_table_what_the_text_says(text: str) -> None:
    assert shown(markdown.prose(text)) == plain(text)


@given(HARMFUL)
def test_prose_is_a_paragraph_wherever_it_stands(text: str) -> None:
    tokens = READER.parse(f"before\n\n{markdown.prose(text)}\n")
    assert [token.type for token in tokens[3:]] in ([], ["paragraph_open", "inline", "paragraph_close"])


@given(HARMFUL)
def test_code_says_in_a_table_what_the_text_says(text: str) -> None:
    assert shown(markdown.code(text)).strip() == plain(text)


def test_code_is_in_backticks_where_that_is_safe() -> None:
    assert markdown.code("adamw_bf16") == "`adamw_bf16`"
    assert markdown.code("a|`b`") == r"<code>a\|\`b\`</code>"
    assert markdown.code("") == "<code></code>"


@given(HARMFUL)
def test_an_attribute_cannot_be_left(text: str) -> None:
    from lxml import html

    page = html.fromstring(
        READER.render(f'| a | b |\n| --- | --- |\n| <img alt="{markdown.attribute(text)}"> | last |\n')
    )
    (picture,) = page.xpath("//img")
    assert picture.get("alt") == plain(text)
    assert [cell.tag for cell in picture.getparent().getparent()] == ["td", "td"]


@given(HARMFUL.map(lambda text: text.replace("\r", "")))
def test_nothing_in_a_fence_ends_it(text: str) -> None:
    tokens = READER.parse(f"{markdown.fence(text, 'text')}\n\nafter\n")
    assert tokens[0].type == "fence"
    assert tokens[0].content.rstrip() == text.replace("\x00", "\ufffd").rstrip()
    assert tokens[2].content == "after"


@given(HARMFUL)
def test_a_literal_is_the_text_to_python(text: str) -> None:
    assert ast.literal_eval(markdown.literal(text)) == text
    assert len(markdown.literal(text).split("\n")) == 1


def test_a_path_has_no_character_that_ends_an_address() -> None:
    assert markdown.path('亜 (a)|"<>#?.png') == "%E4%BA%9C%20%28a%29%7C%22%3C%3E%23%3F.png"
    assert markdown.path("samples/04e9c.png") == "samples/04e9c.png"


@pytest.mark.parametrize(
    ("value", "expected"), [(6414, "6,414"), (1e-4, "0.0001"), (1e-6, "1e-06"), (128.0, "128"), (1234.5, "1,234.5")]
)
def test_numbers_are_as_people_read_them(value: float, expected: str) -> None:
    assert markdown.number(value) == expected


def test_the_filters_of_cards_are_not_in_other_templates() -> None:
    from kanjiprep.resources import environment

    assert "{{" not in markdown.render("attribution.md")
    assert "prose" in markdown._environment().filters
    assert "prose" not in environment().filters
