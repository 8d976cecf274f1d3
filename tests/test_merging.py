from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from kanjiprep.errors import DatasetError, HubError, KanjiprepError
from kanjiprep.publishing.front_matter import join, split
from kanjiprep.publishing.merging import BEGIN, CONFIGS, END, FACTS, LICENCE, UNIONS, WIDGET, marked, merge
from tests.test_front_matter import NASTY, VALUES

OURS: dict[str, Any] = {
    "pretty_name": "Kanji",
    "language": ["en", "ja"],
    "license": "cc-by-sa-4.0",
    "tags": ["kanji", "text-to-image"],
    "size_categories": ["1K<n<10K"],
    "configs": [{"config_name": "default"}],
}
CARD = join(OURS, f"\n{marked('# Kanji')}")


def merged(theirs: str, ours: str = CARD) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    result = merge(ours, theirs, HubError, "README.md")
    table, body = split(result.text, "merged", HubError)
    assert merge(ours, result.text, HubError, "README.md").text == result.text
    return table, body, result.notes


@pytest.mark.parametrize("theirs", ["", "\n\n", "\ufeff", "---\n---\n", "---\r\n\r\n---\r\n\r\n"])
def test_where_no_card_stands_ours_is_taken_as_it_is(theirs: str) -> None:
    assert merge(CARD, theirs, HubError, "README.md").text == CARD
    assert merge(CARD, theirs, HubError, "README.md").notes == ()


def test_our_part_is_replaced_in_its_place_and_the_rest_stays_to_the_byte() -> None:
    before, after = "\r\n# Mine \t\r\n\r\n", "\r\n\n\nlast words, no line end"
    theirs = join(OURS, f"{before}  {BEGIN[:30]} of an older wording -->  \r\n\nold\n {END}\r{after[1:]}")
    table, body, notes = merged(theirs)
    assert body == f"{before}{marked('# Kanji').strip()}{after}"
    assert (table, notes) == (OURS, ())


@pytest.mark.parametrize(("end", "gap"), [("", "\n\n"), ("\n", "\n"), ("\n\n", ""), ("\r\n\r\n", "")])
def test_a_text_without_our_part_stays_and_our_part_follows_it(end: str, gap: str) -> None:
    _, body, notes = merged(f"# Mine{end}")
    assert body == f"# Mine{end}{gap}{marked('# Kanji')}"
    assert notes == ("the text of the card stays, and the generated part stands below it",)


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        (f"a\n{BEGIN}\nb", 6, "begin"),
        (f"a\n{END}\nb", 6, "end"),
        (f"{END}\n{BEGIN}\n", 5, "end, begin"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", 6, "begin, begin, end"),
        (f"{BEGIN}\n{END}\n{BEGIN}\n{END}", 8, "begin, end, begin, end"),
        (f"{BEGIN}\n{END}\n" * 9, 22, "begin, end, begin, end, begin, end"),
    ],
)
@pytest.mark.parametrize("kind", [DatasetError, HubError])
def test_marks_that_are_no_pair_are_refused(body: str, line: int, words: str, kind: type[KanjiprepError]) -> None:
    with pytest.raises(kind, match=rf"README.md:{line}: has the kanjiprep marks {words} where"):
        merge(CARD, f"---\na: 1\nb: 2\n---\n{body}", kind, "README.md")


def test_front_matter_of_theirs_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"README.md:2: .*an anchor"):
        merge(CARD, "---\na: &x 1\n---\n", DatasetError, "README.md")


def test_a_mark_inside_our_text_cannot_end_our_part() -> None:
    ours = join(OURS, f"\n{marked(f'a{chr(10)}{END}{chr(10)}{BEGIN}')}")
    _, body, _ = merged("# Mine\n", ours)
    assert body.count(BEGIN) == body.count(END) == 1


def test_facts_are_ours_lists_are_joined_and_the_rest_is_theirs() -> None:
    theirs = {
        "extra_gated_prompt": "ask\nme",
        "tags": ["mine", "kanji"],
        "size_categories": ["n<1K"],
        "language": "ja",
        "pretty_name": "My kanji",
        "version": 3,
    }
    table, _, notes = merged(join(theirs, ""))
    assert table == {
        "extra_gated_prompt": "ask\nme",
        "tags": ["mine", "kanji", "text-to-image"],
        "size_categories": ["1K<n<10K"],
        "language": ["ja", "en"],
        "pretty_name": "My kanji",
        "version": 3,
        "license": "cc-by-sa-4.0",
        "configs": [{"config_name": "default"}],
    }
    assert list(table) == [*theirs, "license", "configs"]
    assert notes == ()


def test_what_adds_nothing_changes_nothing() -> None:
    theirs = {"tags": "kanji", "task_categories": {"default": ["other"]}, "language": None}
    ours = join({"tags": ["kanji"], "task_categories": ["text-to-image"], "language": ["en"]}, "\n")
    table, _, _ = merged(join(theirs, ""), ours)
    assert table == {**theirs, "language": ["en"]}


def test_a_fact_that_no_longer_holds_is_taken_out_and_told() -> None:
    table, _, notes = merged(join({"dataset_info": {"a": 1}, "widget": [], "license": "cc-by-sa-4.0"}, ""))
    assert "dataset_info" not in table
    assert "widget" not in table
    assert notes == (
        "dataset_info was taken out of the card: it no longer holds",
        "widget was taken out of the card: it no longer holds",
    )


def test_another_licence_is_replaced_whole_and_told() -> None:
    theirs = {"license": "other", "license_name": "mine", "license_link": "LICENSE"}
    table, _, notes = merged(join(theirs, ""))
    assert {key: value for key, value in table.items() if key in LICENCE} == {"license": "cc-by-sa-4.0"}
    assert notes == ("the card said license: mine; it says cc-by-sa-4.0 now, as the files are",)


def test_a_licence_is_known_by_its_name_where_the_hub_has_no_word_for_it() -> None:
    ours = join({"license": "other", "license_name": "stabilityai-ai-community"}, "\n")
    assert merged(join({"license": "other", "license_name": "mine"}, ""), ours)[2] == (
        "the card said license: mine; it says stabilityai-ai-community now, as the files are",
    )
    assert merged(join({"license": "other", "license_name": "stabilityai-ai-community"}, ""), ours)[2] == ()


def test_where_we_know_no_licence_theirs_stays() -> None:
    theirs = {"license": "other", "license_name": "mine", "license_link": "LICENSE"}
    table, _, notes = merged(join(theirs, ""), join({"tags": ["a"]}, "\n"))
    assert table == {**theirs, "tags": ["a"]}
    assert notes == ()


INFO: Final[dict[str, Any]] = {"features": [{"name": "image", "dtype": "image"}], "dataset_size": 7}
MINE: Final[dict[str, Any]] = {"config_name": "mine", "data_files": "mine/*.parquet"}


@pytest.mark.parametrize("named", [{}, {"config_name": "default"}])
def test_other_configurations_stay_after_ours(named: dict[str, Any]) -> None:
    theirs = {
        "configs": [MINE, {"config_name": "default"}],
        "dataset_info": [{"config_name": "mine"}, {**INFO, **named}],
    }
    table, _, notes = merged(join(theirs, ""), join({**OURS, "dataset_info": {**INFO, "dataset_size": 8}}, "\n"))
    assert table["configs"] == [{"config_name": "default"}, MINE]
    assert table["dataset_info"] == [
        {"config_name": "default", **INFO, "dataset_size": 8},
        {"config_name": "mine"},
    ]
    assert notes == ()


def test_a_single_configuration_of_another_name_stays_too() -> None:
    theirs = {"dataset_info": {**INFO, "config_name": "mine"}}
    table, _, notes = merged(join(theirs, ""), join({"dataset_info": INFO}, "\n"))
    assert table["dataset_info"] == [{"config_name": "default", **INFO}, {**INFO, "config_name": "mine"}]
    assert notes == ()


def test_another_configuration_is_the_default_no_more_since_there_may_be_one() -> None:
    theirs = {"configs": [{**MINE, "default": True}, {"config_name": "b", "default": False}]}
    table, _, notes = merged(join(theirs, ""))
    assert table["configs"] == [{"config_name": "default"}, MINE, {"config_name": "b", "default": False}]
    assert notes == ("the configuration mine is not the default any more: what was pushed is",)


def test_the_library_loads_both_configurations_and_takes_ours_if_none_is_named() -> None:
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    theirs = {"configs": [{**MINE, "default": True}], "dataset_info": [{"config_name": "mine"}]}
    table, _, _ = merged(join(theirs, ""), join({**OURS, "dataset_info": INFO}, "\n"))
    configs = MetadataConfigs.from_dataset_card_data(DatasetCardData(**table))
    assert (list(configs), configs.get_default_config_name()) == (["default", "mine"], "default")
    infos = DatasetInfosDict.from_dataset_card_data(DatasetCardData(**table))
    assert {name: info.dataset_size for name, info in infos.items()} == {"default": 7, "mine": None}


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [
        ({"configs": [{"config_name": "default", "data_files": "a/*"}]}, {}, ["configs"]),
        ({"configs": "odd"}, {}, ["configs"]),
        ({"configs": [{"data_files": "a/*"}, MINE]}, {}, ["configs"]),
        ({"configs": None, "dataset_info": []}, {"dataset_info": INFO}, []),
        ({"dataset_info": {"features": []}}, {"dataset_info": INFO}, ["dataset_info"]),
        ({"dataset_info": {**INFO, "dataset_size": 5, "splits": []}}, {"dataset_info": INFO}, []),
        ({"base_model": "me/mine"}, {"base_model": "them/base"}, ["base_model"]),
        ({"base_model": ["me/mine", "them/base"]}, {"base_model": "them/base"}, ["base_model"]),
        ({"base_model": ["them/base"]}, {"base_model": "them/base"}, []),
        ({"license": "cc-by-sa-4.0", "license_link": "L"}, {"license_link": "M"}, ["license_link"]),
        ({"library_name": "peft", "size_categories": ["n<1K"]}, {"library_name": "diffusers"}, []),
    ],
)
def test_a_fact_that_is_replaced_is_told_if_an_owner_may_have_meant_something_else(
    theirs: dict[str, Any], ours: dict[str, Any], told: list[str]
) -> None:
    _, _, notes = merged(join(theirs, ""), join({**OURS, **ours}, "\n"))
    assert list(notes) == [f"{key} of the card was replaced: the files say otherwise" for key in told]


def test_the_rest_of_a_licence_goes_with_a_word() -> None:
    table, _, notes = merged(join({"license": "cc-by-sa-4.0", "license_link": "LICENSE"}, ""))
    assert "license_link" not in table
    assert notes == ("license_link was taken out of the card: it no longer holds",)


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    theirs = "\ufeff---\r\nlicense: mit\r\nauthors:\r\n- me\r\n---\r\n# Mine\r\n"
    table, body, notes = merged(theirs)
    assert table["authors"] == ["me"]
    assert body == f"# Mine\r\n\n{marked('# Kanji')}"
    assert notes[0] == "the card said license: mit; it says cc-by-sa-4.0 now, as the files are"


KEYS = st.sampled_from(sorted(FACTS | UNIONS)) | NASTY
ENTRY = st.dictionaries(st.sampled_from(["config_name", "default", "features"]), st.sampled_from(["default", "mine"]))
ENTRIES = st.lists(ENTRY | VALUES, max_size=3) | ENTRY
SHAPED = st.fixed_dictionaries({}, optional=dict.fromkeys(["configs", "dataset_info", "widget"], ENTRIES))
TABLES = st.builds(lambda one, more: {**one, **more}, st.dictionaries(KEYS, VALUES, max_size=6), SHAPED)
OUR_ENTRY = st.fixed_dictionaries({"config_name": st.just("default"), "features": VALUES})
OUR_SHAPED = {"configs": st.lists(OUR_ENTRY, min_size=1, max_size=1), "dataset_info": st.dictionaries(NASTY, VALUES)}
LISTS = st.lists(NASTY, max_size=4)
OUR_TABLES = st.fixed_dictionaries(
    {"pretty_name": NASTY},
    optional={**dict.fromkeys(sorted(UNIONS), LISTS), **dict.fromkeys(sorted(FACTS), VALUES), **OUR_SHAPED},
)
PIECES = st.lists(NASTY | st.sampled_from(["\n", f"{BEGIN}\n", f"\n{END}\n", "\r\n"]), max_size=8).map("".join)


@given(OUR_TABLES, NASTY, TABLES, PIECES)
def test_merging_twice_is_merging_once_and_nothing_of_theirs_is_lost(
    ours: dict[str, Any], text: str, theirs: dict[str, Any], body: str
) -> None:
    card = join(ours, f"\n{marked(text)}")
    try:
        their_table, their_body = split(join(theirs, body), "README.md", HubError)
        once = merge(card, join(theirs, body), HubError, "README.md")
    except HubError:
        reject()  # their body happens to be bad front matter, or has marks that are no pair
    assert merge(card, once.text, HubError, "README.md").text == once.text
    table, whole = split(once.text, "merged", HubError)
    for key, value in their_table.items():
        if key in UNIONS and isinstance(value, list):
            assert table[key][: len(value)] == value
        elif key not in FACTS | UNIONS and value is not None:
            assert table[key] == value
    assert all(table[key] == ours[key] for key in FACTS - CONFIGS - {WIDGET} if key in ours)
    for key in CONFIGS & ours.keys():
        first = table[key][0] if isinstance(table[key], list) else table[key]
        assert ours[key] in (first, [first], {name: first[name] for name in first if name != "config_name"})
        assert not isinstance(table[key], list) or not any(one.get("default") for one in table[key][1:])
    before, _, after = their_body.partition(BEGIN)
    if their_body.strip():
        assert whole.startswith(before)
        assert whole.endswith(after.partition(END)[2])


def test_pictures_of_others_stay_in_the_gallery_and_ours_are_renewed() -> None:
    ours = "---\nwidget:\n- text: new\n  output: {url: images/a.png}\n---\n"
    theirs = (
        "---\nwidget:\n- text: old\n  output: {url: images/b.png}\n"
        "- text: mine\n  output: {url: gallery/c.png}\n- odd\n---\n"
    )
    merged = merge(ours, theirs, HubError, "card").text
    table, _ = split(merged, "card", HubError)
    assert [one if isinstance(one, str) else one["text"] for one in table["widget"]] == ["new", "mine", "odd"]
    without = merge("---\nlicense: mit\n---\n", theirs, HubError, "card")
    assert "gallery/c.png" in without.text
    assert "images/b.png" not in without.text
