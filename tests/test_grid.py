from __future__ import annotations

import json

import numpy as np
import pytest

from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.strips import contents, grid, placed, sidecar
from tests.test_strip import LIMIT_PX, PLAIN, at, judged, load, scored

GOOD = judged([scored(0, is_base=True), *map(scored, (100, 200, 300))], chosen=200, tied=(200, 300), name="good")
UNSURE = judged(map(scored, (110, 210, 310)), status="cannot tell", tied=(110, 210), dropped=(310,), name="unsure")
BAD = judged(map(scored, (120, 220)), status="none", dropped=(120, 220), name="bad")
EMPTY = judged((), status="none", name="empty")
PICTURES_ONLY = judged(map(scored, (130, 230)), status="none", unsaved=(130, 230), name="pictures")


def notes(*runs: JudgedRun) -> list[tuple[str, int | None, str]]:
    return [(one.title, one.step, one.note) for one in grid.columns([contents.pictures(run) for run in runs])]


def test_each_run_shows_its_chosen_checkpoint_or_says_which_it_is() -> None:
    assert notes(GOOD, UNSURE, BAD, EMPTY, PICTURES_ONLY) == [
        ("Base model", contents.BASE, "without an adapter"),
        ("good", 200, "step 200, chosen"),
        ("unsure", 210, "step 210, the last sound one; cannot tell which is best"),
        ("bad", 220, "step 220, the last one; none is sound"),
        ("empty", None, "no pictures"),
        ("pictures", 230, "step 230, the last sound one; none is chosen"),
    ]
    assert notes(UNSURE)[0][0] == "unsure"


def test_pictures_stand_below_their_titles() -> None:
    layout, drawn = grid.layout([GOOD, UNSURE], PLAIN), grid.grid([GOOD, UNSURE], load, PLAIN)
    assert drawn.mode == "RGB"
    assert drawn.size == (layout.width_px, layout.height_px)
    assert [(one.shown.run, one.shown.step) for one in layout.cells] == [("good", 0), ("good", 200), ("unsure", 210)]
    for one, title in zip(layout.cells, ("Base model", "good", "unsure"), strict=True):
        words = next(words for words in layout.words if words.text == title)
        assert words.left == one.left
        assert words.base < one.top
        part = np.asarray(drawn)[one.top : one.top + one.side_px, one.left : one.left + one.side_px]
        assert one.shown.picture is not None
        assert (part == load(one.shown.picture.cell, one.side_px)).all()
    chosen = layout.cells[1]
    assert at(drawn, chosen.left + 50, chosen.top - 4) == placed.COLOURS["chosen"]


def test_the_base_model_fills_its_column_from_any_run_that_has_it() -> None:
    first = judged([scored(0, "sea", is_base=True), scored(100, "sea")], name="first")
    second = judged([scored(0, "love", is_base=True), scored(100, "love")], name="second")
    base = [one.shown for one in grid.layout([first, second], PLAIN).cells if one.shown.is_base]
    assert [(one.prompt, one.run, one.picture is None) for one in base] == [
        ("sea", "first", False),
        ("love", "second", False),
    ]


def test_a_run_without_a_picture_has_empty_frames_with_no_step() -> None:
    layout, drawn = grid.layout([GOOD, EMPTY], PLAIN), grid.grid([GOOD, EMPTY], load, PLAIN)
    empty = layout.cells[-1]
    assert (empty.shown.run, empty.shown.step, empty.shown.mark, empty.shown.picture) == ("empty", None, "", None)
    below = drawn.crop((empty.left, empty.top + empty.side_px + 2, empty.left + empty.side_px, layout.height_px))
    assert below.getcolors() == [(below.width * below.height, placed.PAPER)]
    assert at(drawn, empty.left + empty.side_px // 2, empty.top + empty.side_px // 2) == placed.GREY


def test_prompts_that_differ_between_runs_are_told() -> None:
    other = judged([scored(100)], prompts={"sea": "an ocean"})
    said = [words.text for words in grid.layout([GOOD, other], PLAIN).words]
    assert "the sea, 海 (in other words in other runs)" in said
    assert [words.text for words in grid.layout([GOOD, GOOD], PLAIN).words].count("the sea, 海") == 1
    assert "unknown" in [words.text for words in grid.layout([judged([scored(1, "unknown")])], PLAIN).words]


@pytest.mark.parametrize("runs", [[EMPTY], [EMPTY, EMPTY]])
def test_runs_without_pictures_make_a_grid_that_says_so(runs: list[JudgedRun]) -> None:
    layout = grid.layout(runs, PLAIN)
    assert layout.cells == ()
    assert "No picture was judged." in [words.text for words in layout.words]
    assert grid.grid(runs, load, PLAIN).height == layout.height_px


@pytest.mark.parametrize(("runs", "prompts"), [(2, 3), (8, 8), (50, 49), (1, 60), (47, 1)])
def test_no_side_of_a_grid_is_too_long(runs: int, prompts: int) -> None:
    words = {f"p{number:02}": "the sea of all " * 30 for number in range(prompts)}
    pictures = [scored(step, name, is_base=not step) for name in words for step in (0, 100)]
    layout = grid.layout([judged(pictures, chosen=100, prompts=words, name="run " * 30)] * runs, PLAIN)
    assert layout.width_px <= LIMIT_PX
    assert layout.height_px <= LIMIT_PX
    assert len(layout.cells) == min(prompts, contents.MOST_ROWS) * (min(runs, grid.MOST_RUNS) + 1)
    said = [one.text for one in layout.words]
    left_out = {
        (50, 49): "Shown are 48 of 50 runs and 48 of 49 rows of pictures.",
        (1, 60): "Shown are 48 of 60 rows of pictures.",
    }.get((runs, prompts))
    assert (left_out in said) if left_out else not any(text.startswith("Shown") for text in said)


def test_the_document_tells_of_all_runs_and_cells() -> None:
    table = json.loads(sidecar.grid_json([GOOD, UNSURE, EMPTY], PLAIN))
    drawn = grid.grid([GOOD, UNSURE, EMPTY], load, PLAIN)
    assert (table["kind"], table["width"], table["height"]) == ("grid", *drawn.size)
    assert [(run["run"], run["status"], run["step"]) for run in table["runs"]] == [
        ("good", "chosen", 200),
        ("unsure", "cannot tell", None),
        ("empty", "none", None),
    ]
    assert [(one["run"], one["step"], one["base"], one["chosen"], one["tied"]) for one in table["cells"]] == [
        ("good", 0, True, False, False),
        ("good", 200, False, True, True),
        ("unsure", 210, False, False, True),
        ("empty", None, False, False, False),
    ]
    assert table["cells"][1]["file"] == "output/validation_images/step_200_sea_0.png"
