import pytest

from kanjiprep.dataset import kanjivg, raw
from kanjiprep.dataset.kanjivg import Component, KanjiVG, Stroke
from kanjiprep.errors import InputError
from tests import sources
from tests.sources import ONE, REST, TWO, Group


def test_strokes_and_tree_are_read_under_the_namespace_that_the_dtd_injects() -> None:
    glyph = kanjivg.parse_svg(sources.svg(0x4F11, REST), 0x4F11, "f")
    assert glyph.literal == "休"
    assert glyph.strokes[0] == Stroke("M40,15c1,4-10,30-25,40", "㇐")
    assert len(glyph.strokes) == 6
    assert glyph.tree == Component(
        "休", "", "", 0, (Component("亻", "人", "left", 0, (), 2), Component("木", "", "", 0, (), 4)), 6
    )
    assert glyph.svg is None


def test_strokes_of_nested_groups_count_in_every_group_around_them() -> None:
    inner = Group("木", ("M1,1C2,2,3,3,4,4", "M5,5C6,6,7,7,8,8"))
    whole = Group("休", ("M9,9C9,9,9,9,9,9",), (Group("", (), (inner, Group("亻"))),))
    tree = kanjivg.parse_svg(sources.svg(0x4F11, whole), 0x4F11, "f").tree
    assert [tree.strokes, tree.children[0].strokes] == [3, 2]
    assert [child.strokes for child in tree.children[0].children] == [2, 0]


def test_the_namespace_of_a_file_without_dtd_is_read_too() -> None:
    data = sources.svg(0x4E00, ONE).decode().replace(sources.KVG_DTD, "")
    data = data.replace("<svg ", '<svg xmlns:kvg="https://kanjivg.tagaini.net/" ')
    assert kanjivg.parse_svg(data.encode(), 0x4E00, "f").tree.element == "一"


@pytest.mark.parametrize(
    "data",
    [
        sources.svg(0x4E00, ONE, style=sources.STYLE.replace("#000000", "#ff0000")),
        sources.svg(0x4E00, ONE, style=sources.STYLE.replace("fill:none", "fill:#000000")),
        sources.svg(0x4E00, ONE, root='viewBox="0 0 218 218"'),
        sources.svg(0x4E00, ONE, root='viewBox="0 0 109 109" transform="scale(2)"'),
        sources.svg(0x4E00, Group("一", ONE.paths, attributes=' transform="rotate(9)"')),
        sources.svg(0x4E00, ONE).replace(b"</g>\n<g id=", b"</g><rect/>\n<g id="),
        sources.svg(0x4E00, ONE).replace(b"</svg>", b"<circle r='3'/></svg>"),
    ],
)
def test_anything_unusual_is_kept_whole_for_cairosvg(data: bytes) -> None:
    glyph = kanjivg.parse_svg(data, 0x4E00, "f")
    assert glyph.svg is not None
    assert b"StrokeNumbers" not in glyph.svg
    assert kanjivg.document(KanjiVG("f", "", b""), glyph) == glyph.svg


def test_the_single_file_gives_the_same_glyphs_as_the_svgs() -> None:
    single = kanjivg.parse(KanjiVG("f", "", sources.single_xml()))
    files = kanjivg.parse(KanjiVG("f", "", raw.GlyphFiles("f", sources_files(), 0)))
    assert {point: (one.strokes, one.tree) for point, one in single.items()} == {
        point: (one.strokes, one.tree) for point, one in files.items()
    }


def sources_files() -> dict[str, bytes]:
    return {name: data for name, data in sources.svg_files().items() if "-" not in name}


def test_a_glyphs_document_is_upstreams_own_without_numbers() -> None:
    source = KanjiVG("f", "", raw.GlyphFiles("f", {"04e8c.svg": sources.svg(0x4E8C, TWO)}, 0))
    document = kanjivg.document(source, kanjivg.parse(source)[0x4E8C])
    assert b"StrokePaths" in document
    assert b"StrokeNumbers" not in document
    single = KanjiVG("f", "", sources.single_xml())
    assert b'd="M25,30' in kanjivg.document(single, kanjivg.parse(single)[0x4E8C])


def test_digests_are_of_contents() -> None:
    files = raw.GlyphFiles("anywhere", sources_files(), 0)
    assert kanjivg.digest(files) == files.sha256()
    assert len(kanjivg.digest(b"x")) == 64


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html/>", "f:1: the root element is <html>, not <svg>"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "has no <g id="),
        (sources.svg(0x4E00, Group("一")), "一 has no strokes"),
        (sources.svg(0x4E00, Group("一", ONE.paths, attributes=' kvg:part="x"')), "kvg:part is 'x', not a number"),
        (sources.svg(0x4E00, Group("一", ONE.paths, attributes=f' kvg:part="{"1" * 5000}"')), "not a number"),
    ],
)
def test_what_is_no_drawing_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        kanjivg.parse_svg(data, 0x4E00, "f")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<kanjivg></kanjivg>", "holds no drawing"),
        (b'<kanjivg><kanji id="kvg:kanji_xyz"><g/></kanji></kanjivg>', "needs an id"),
        (b'<kanjivg><kanji id="kvg:kanji_04e00"/></kanjivg>', "and one <g>"),
        (
            b'<kanjivg><kanji id="kvg:kanji_04e00">' + b"<g>" * 70 + b"</g>" * 70 + b"</kanji></kanjivg>",
            "nest deeper",
        ),
        *(
            (f'<kanjivg><kanji id="kvg:kanji_{point}"><g><path/></g></kanji></kanjivg>'.encode(), "is no character")
            for point in ("110000", "d800", "f" * 9, "0" + "1" * 5000)
        ),
    ],
)
def test_a_single_file_out_of_shape_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        kanjivg.parse(KanjiVG("f", "", data))


def test_a_drawing_whose_name_is_no_character_is_refused() -> None:
    files = raw.GlyphFiles("f", {"ffffff.svg": sources.svg(0x4E00, ONE)}, 0)
    with pytest.raises(InputError, match="f/ffffff.svg: its code point ffffff is no character"):
        kanjivg.parse(KanjiVG("f", "", files))
