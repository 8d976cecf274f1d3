import pytest

from kanjiprep.dataset import kanjidic
from kanjiprep.errors import InputError
from tests import sources
from tests.sources import Entry


def test_every_field_is_read() -> None:
    extra = (
        '<reading r_type="ja_kun">やす.む</reading><reading r_type="pinyin">xiu1</reading>'
        '<meaning m_lang="en">retire</meaning><meaning> </meaning>'
    )
    entry = Entry("休", ("rest", "day off"), (6, 7), grade=1, jlpt=4, extra=extra)
    (read,) = kanjidic.parse(sources.kanjidic(entry), "f").entries
    assert read == kanjidic.KanjiEntry(
        "休",
        ("rest", "day off", "retire"),
        ("オン",),
        ("やす.む",),
        (6, 7),
        grade=1,
        jlpt=4,
        frequency=None,
        radical=1,
    )
    assert read.codepoint == 0x4F11


def test_the_files_order_and_header_are_kept() -> None:
    read = kanjidic.parse(sources.kanjidic(Entry("二"), Entry("一")), "f")
    assert [entry.literal for entry in read.entries] == ["二", "一"]
    assert (read.version, read.date) == ("2026-001", "2026-01-02")


def test_a_file_without_a_header_has_no_version() -> None:
    assert kanjidic.parse_header(sources.kanjidic(Entry("一"), header=""), "f") == ("", "")
    assert kanjidic.parse_header(b"<kanjidic2/>", "f") == ("", "")


def test_an_entry_without_readings_has_no_meaning() -> None:
    data = sources.kanjidic(Entry("一")).decode()
    start, end = data.index("<reading_meaning>"), data.index("</character>")
    (entry,) = kanjidic.parse((data[:start] + data[end:]).encode(), "f").entries
    assert (entry.meanings, entry.on) == ((), ())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (sources.kanjidic(), "f: holds no <character>"),
        (b"<html></html>", "the root element is <html>, not <kanjidic2>"),
        (sources.kanjidic(Entry("一"), Entry("一")), "f:5: 一 appears twice"),
        (sources.kanjidic(Entry("一二", ucs="4e00")), "<literal> is '一二', not one character"),
        (sources.kanjidic(Entry("一", ucs="4e01")), r"一 is U\+4E00, but its ucs code point says 4e01"),
        (
            sources.kanjidic(Entry("一")).replace(b"<stroke_count>1<", b"<stroke_count>x<"),
            "stroke_count of 一 is 'x'",
        ),
        (sources.kanjidic(Entry("一", grade=10**4000)).replace(b"0" * 1000, b"0" * 2000), "grade of 一 is '1000"),
        (sources.kanjidic(Entry("一", strokes=())), "一 lacks its stroke_count or rad_value"),
        (sources.kanjidic(Entry("一"))[:-20], "not well-formed XML"),
    ],
)
def test_what_breaks_the_schema_is_refused_with_its_line(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        kanjidic.parse(data, "f")
