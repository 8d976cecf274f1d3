from pathlib import Path

import pytest

from kanjiprep.dataset import caption
from kanjiprep.errors import UsageError
from tests.test_join import joined

REST, ONE, TWO = joined().samples
EXPECTED = {
    "published": "Image of a Japanese kanji character 休 in plain font. The character means: rest, day off.",
    "meaning": "rest, day off",
    "components": "Image of a Japanese kanji character 休 in plain font, made of 亻 (person) and 木 (tree). "
    "The character means: rest, day off.",
}
"""What each shipped template says of 休."""


def test_every_shipped_template_has_an_example() -> None:
    assert set(EXPECTED) == set(caption.names())


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_the_shipped_templates(name: str, expected: str) -> None:
    assert caption.caption(caption.load(name), REST) == expected


def test_a_character_without_parts_has_no_such_clause() -> None:
    expected = "Image of a Japanese kanji character 一 in plain font. The character means: one."
    assert caption.caption(caption.load("components"), ONE) == expected


def test_a_template_of_ones_own_sees_every_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.j2"
    path.write_text("|".join(f"{{{{ {name} }}}}" for name in caption.FIELDS if name != "components"), "utf-8")
    text = caption.caption(caption.load(str(path)), REST)
    assert text == "休|04f11|('rest', 'day off')|('オン',)|()|6|1|4|None|1"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ok\n{{ meening }}", r"mine\.j2:2: \{\{ meening \}\} is not a field, did you mean 'meanings'\?; use one of"),
        ("{{ literal ", r"mine\.j2:1: not a Jinja template"),
        ("a\n{% for x in y %}", r"mine\.j2:2: not a Jinja template"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_its_line(tmp_path: Path, source: str, says: str) -> None:
    path = tmp_path / "mine.j2"
    path.write_text(source, "utf-8")
    with pytest.raises(UsageError, match=says):
        caption.load(str(path))


def test_a_template_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.j2"
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        caption.load(str(path))
    with pytest.raises(UsageError, match=r"no caption template 'publishd', did you mean 'published'\?; give one of"):
        caption.load("publishd")

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(UsageError, match="cannot be read: permission denied"):
        caption.load("published")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{% if grade == 2 %}x{% endif %}", "for 休: the caption is empty"),
        ("{{ literal }}\n{{ literal }}", "holds a line break"),
        ("{{ meanings.first }}", "the caption template fails: .* has no attribute 'first'"),
        ("{{ stroke_count / 0 }}", "the caption template fails: division by zero"),
        ("{{ stroke_count | dictsort }}", "the caption template fails"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "the caption template fails: maximum recursion"),
        ("{{ stroke_count + literal }}", "the caption template fails: unsupported operand"),
    ],
)
def test_a_template_that_fails_on_a_sample_names_it(tmp_path: Path, source: str, says: str) -> None:
    path = tmp_path / "mine.j2"
    path.write_text(source, "utf-8")
    with pytest.raises(UsageError, match=says):
        caption.caption(caption.load(str(path)), REST)


def test_an_empty_name_is_no_file() -> None:
    with pytest.raises(UsageError, match=r"^--caption: is empty; leave it out, or give one of .*published"):
        caption.load(" ")
