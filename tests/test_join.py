from kanjiprep.dataset import kanjidic, kanjivg
from kanjiprep.dataset.join import Joined, Part, Reason, Skipped, join
from kanjiprep.dataset.kanjivg import Component, KanjiVG
from kanjiprep.dataset.selection import Selection
from tests import sources


def joined(selection: Selection = Selection(), glyphs: dict[int, sources.Group] = sources.GLYPHS) -> Joined:  # noqa: B008
    entries = kanjidic.parse(sources.kanjidic(*sources.ENTRIES), "f").entries
    return join(entries, kanjivg.parse(KanjiVG("f", "", sources.single_xml(glyphs))), selection)


def test_samples_come_in_the_dictionarys_order() -> None:
    assert [sample.entry.literal for sample in joined().samples] == ["休", "一", "二"]


def test_everything_left_out_has_its_reason() -> None:
    assert joined().skipped == (
        Skipped("丁", Reason.NO_MEANING),
        Skipped("人", Reason.NO_STROKES),
        Skipped("木", Reason.NO_STROKES),
        Skipped("あ", Reason.NOT_IN_KANJIDIC),
    )
    assert joined().skipped[0].codepoint == 0x4E01


def test_selection_and_limit_are_reasons_too() -> None:
    reasons = {one.literal: one.reason for one in joined(Selection(grades=(1,), limit=1)).skipped}
    assert reasons["二"] == "not_selected"
    assert reasons["一"] == "over_limit"
    assert reasons["人"] == "no_strokes"


def test_parts_carry_the_meaning_of_what_they_are_a_form_of() -> None:
    (rest, *_) = joined().samples
    assert rest.parts == (Part("亻", "person", "left"), Part("木", "tree", ""))


def test_a_split_component_counts_once_and_unnamed_groups_are_looked_through() -> None:
    piece = ' kvg:part="{}"'
    tree = sources.Group(
        "一",
        sources.ONE.paths,
        (
            sources.Group("行", attributes=piece.format(1)),
            sources.Group("", (), (sources.Group("重"),)),
            sources.Group("行", attributes=piece.format(2)),
        ),
    )
    one = next(sample for sample in joined(glyphs={0x4E00: tree}).samples)
    assert [part.literal for part in one.parts] == ["行", "重"]


def test_the_characters_own_name_is_not_its_part() -> None:
    inner = Component("木", "", "", 0, ())
    tree = Component("休", "", "", 0, (Component("休", "", "", 0, (inner,)),))
    from kanjiprep.dataset.join import direct_components

    assert list(direct_components(tree)) == [inner]
