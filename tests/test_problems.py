from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kanjiprep.dataset import problems
from kanjiprep.dataset.folder import Disagreement
from kanjiprep.dataset.inspection import Picture
from kanjiprep.dataset.problems import Facts, Item
from tests.test_folder import RECIPE


def picture(name: str, number: int) -> Picture:
    thumb = bytearray(1024)
    thumb[number] = 255
    return Picture(name, "", (64, 64), True, 0.1, 255, False, str(number), bytes(thumb))


GOOD = Facts(
    rows=(("a.png", "sun"), ("b.png", "moon"), ("c.png", "tree")),
    read_back={},
    files=frozenset({"a.png", "b.png", "c.png"}),
    pictures=tuple(picture(name, number) for number, name in enumerate(("a.png", "b.png", "c.png"))),
    changes=(),
    certificate=None,
)


def change(number: int, **fields: Any) -> Facts:
    pictures = list(GOOD.pictures)
    pictures[number] = pictures[number]._replace(**fields)
    return replace(GOOD, pictures=tuple(pictures))


def test_a_good_dataset_has_no_problem() -> None:
    assert problems.find(GOOD) == ()


CASES = {
    "no_rows": (replace(GOOD, rows=(), files=frozenset(), pictures=()), "metadata.csv"),
    "missing_picture": (replace(GOOD, files=frozenset({"a.png", "b.png"})), "c.png"),
    "missing_row": (replace(GOOD, files=GOOD.files | {"d.png"}), "d.png"),
    "duplicate_row": (replace(GOOD, rows=(*GOOD.rows, ("a.png", "star"))), "a.png"),
    "unsafe_name": (replace(GOOD, rows=(*GOOD.rows, ("d:.png", "star")), files=GOOD.files | {"d:.png"}), "d:.png"),
    "empty_caption": (replace(GOOD, rows=(("a.png", " "), *GOOD.rows[1:])), "a.png"),
    "misread_caption": (replace(GOOD, read_back={"a.png": "nan"}), "a.png: read as nan"),
    "unreadable_picture": (change(0, fault="truncated"), "a.png: truncated"),
    "wrong_size": (change(2, size_px=(32, 64)), "c.png: 32 x 64"),
    "blank_picture": (change(0, contrast=0), "a.png"),
    "caption_collision": (replace(GOOD, rows=(("a.png", "moon"), *GOOD.rows[1:])), "a.png ~ b.png: moon"),
    "long_for_clip": (replace(GOOD, rows=(("a.png", "abcde " * 40), *GOOD.rows[1:])), "a.png: 82 tokens"),
    "long_for_t5": (replace(GOOD, rows=(("a.png", "a" * 255), *GOOD.rows[1:])), "a.png: 257 tokens"),
    "touches_edge": (change(0, touches_edge=True), "a.png"),
    "not_grey": (change(0, is_grey=False), "a.png"),
    "duplicate_picture": (change(1, sha256="0"), "a.png ~ b.png"),
    "near_duplicate": (change(1, thumb=GOOD.pictures[0].thumb), "a.png ~ b.png: 1.000"),
    "changed": (replace(GOOD, changes=("a.png was changed",)), "a.png was changed"),
    "stroke_count": (
        replace(GOOD, certificate=replace(RECIPE, disagreements=(Disagreement("二", 2, (3, 4)),))),
        "二_kanji_04e8c.png: drawn 2, known 3/4",
    ),
}
ERRORS = {
    "no_rows", "missing_picture", "missing_row", "duplicate_row", "unsafe_name", "empty_caption", "misread_caption",
    "unreadable_picture", "wrong_size", "blank_picture",
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_found_with_its_place_and_severity(kind: str) -> None:
    facts, says = CASES[kind]
    found = {problem.kind: problem for problem in problems.find(facts)}
    assert str(found[kind].items[0]) == says
    assert found[kind].severity == ("error" if kind in ERRORS else "warning")


def test_errors_come_first() -> None:
    facts = replace(CASES["touches_edge"][0], read_back={"b.png": "1"})
    assert [problem.severity for problem in problems.find(facts)] == ["error", "warning"]


def test_the_certificates_size_is_the_wanted_one() -> None:
    facts = replace(GOOD, certificate=replace(RECIPE, style=replace(RECIPE.style, size_px=128)))
    (problem,) = problems.find(facts)
    assert problem.what == "pictures are not 128 x 128 px"
    assert len(problem.items) == 3


def test_a_faint_picture_counts_as_blank_but_not_the_lightest_kanji() -> None:
    assert [problem.kind for problem in problems.find(change(0, ink=0.0009))] == ["blank_picture"]
    assert problems.find(change(0, ink=0.0088)) == ()


def test_an_item_is_written_as_files_and_detail() -> None:
    assert str(Item(("a", "b"), "0.9")) == "a ~ b: 0.9"
    assert str(Item((), "only")) == "only"


@pytest.mark.parametrize(
    "name", ["a,b.png", "d:.png", "CON.png", " d.png", ".d.png", "\u304b\u3099.png", f"{'d' * 200}.png"]
)
def test_names_that_some_system_does_not_take_are_unsafe(name: str) -> None:
    found = problems.find(replace(GOOD, rows=(*GOOD.rows, (name, "star")), files=GOOD.files | {name}))
    assert [item.files for one in found if one.kind == "unsafe_name" for item in one.items] == [(name,)]
