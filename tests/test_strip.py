from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import kanjiprep
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag, Ranked, Status, Verdict
from kanjiprep.evaluation.judged import Cost, Curves, DatasetShort, JudgedRun, JudgedStep, PictureScore
from kanjiprep.evaluation.strips import contents, files, palette, placed, sidecar, strip
from kanjiprep.evaluation.strips.contents import BASE, Mark
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import COLOURS, PAPER, Layout, Placed

PLAIN = Labels()
LIMIT_PX = 16_383
"""Widest and highest picture. Source: WebP and many viewers hold no more."""
NOISY = Flag("pictures", "3 of 4 pictures are exploded")
FOLDER = Path("/home/alice/runs/ink")


def scored(step: int, prompt: str = "sea", seed: int = 0, is_base: bool = False, fault: str = "") -> PictureScore:
    path = FOLDER / f"output/validation_images/step_{step}_{prompt}_{seed}.png"
    return PictureScore(Cell(step, prompt, seed, path, None, is_base), {}, 0.25, 0.5, 80 + step / 1000, fault, ())


def judged(
    pictures: Iterable[PictureScore],
    *,
    chosen: int | None = None,
    tied: Sequence[int] = (),
    dropped: Sequence[int] = (),
    unsaved: Sequence[int] = (),
    status: Status = "chosen",
    name: str = "ink",
    prompts: dict[str, str] | None = None,
    more: Sequence[int] = (),
) -> JudgedRun:
    """A run of which nothing matters but its pictures and its checkpoints."""
    all_pictures = tuple(pictures)
    numbers = sorted({one.cell.step for one in all_pictures if not one.cell.is_base} | set(more))
    steps = tuple(
        JudgedStep(step, step not in unsaved, "", 1, 0, 0, 80, (NOISY,) if step in dropped else ())
        for step in numbers
    )
    ranked = tuple(Ranked(step, 80, 80, 79, 81, (), step in tied) for step in numbers)
    return JudgedRun(
        name,
        FOLDER,
        "completed",
        "",
        0,
        0,
        {"sea": "the sea, 海"} if prompts is None else prompts,
        Verdict(status if chosen is not None or status != "chosen" else "none", chosen, "it is the best", ranked),
        steps,
        all_pictures,
        Curves((), (), (), ()),
        (),
        (),
        Cost(1, None, "", None),
        {},
        DatasetShort(1, "", "", "", ""),
        (),
        (),
    )


def load(cell: Cell, side_px: int) -> NDArray[np.uint8]:
    """A plain picture whose red tells the step; the base model's is blue."""
    colour = (0, 0, 200) if cell.is_base else (cell.step // 10, 60, 60)
    return np.full((side_px, side_px, 3), colour, np.uint8)


def at(picture: Image.Image, x: float, y: float) -> Any:
    return picture.getpixel((int(x), int(y)))


def of_step(layout: Layout, step: int, prompt: str = "sea", seed: int = 0) -> Placed:
    def fits(one: Placed) -> bool:
        shown = one.shown
        number = BASE if shown.is_base else shown.step
        return (number, shown.prompt, shown.seed) == (step, prompt, seed)

    return next(one for one in layout.cells if fits(one))


RUN = judged(
    [scored(0, is_base=True), *map(scored, (100, 200, 300, 400)), scored(500, fault="noise")],
    chosen=300,
    tied=(300, 400),
    dropped=(200,),
    unsaved=(100,),
)


def test_pictures_stand_where_the_layout_says_in_order_of_steps() -> None:
    layout, drawn = strip.layout(RUN, PLAIN), strip.strip(RUN, load, PLAIN)
    assert drawn.mode == "RGB"
    assert drawn.size == (layout.width_px, layout.height_px)
    assert [one.shown.step for one in layout.cells] == [0, 100, 200, 300, 400, 500]
    assert [one.left for one in layout.cells] == sorted({one.left for one in layout.cells})
    assert len({one.top for one in layout.cells}) == 1
    for one in layout.cells:
        part = np.asarray(drawn.crop((one.left, one.top, one.left + one.side_px, one.top + one.side_px)))
        assert (part == load(one.shown.picture.cell, one.side_px)).all() if one.shown.picture else False
    assert layout.cells[0].shown.is_base


@pytest.mark.parametrize(
    ("step", "mark"),
    [(BASE, ""), (100, "not saved"), (200, "dropped"), (300, "chosen"), (400, "tied"), (500, "exploded")],
)
def test_frame_and_tag_tell_what_is_said_of_a_checkpoint(step: int, mark: Mark) -> None:
    layout, drawn = strip.layout(RUN, PLAIN), strip.strip(RUN, load, PLAIN)
    one = of_step(layout, step)
    assert one.shown.mark == mark
    middle = one.left + one.side_px // 2
    assert at(drawn, middle, one.top - 1) == COLOURS[mark]
    has_tag = mark not in {"", "not saved"}
    assert (at(drawn, middle, one.top - 4) == COLOURS[mark]) is has_tag
    below = drawn.crop((one.left - 4, one.top + one.side_px + 24, one.left + 120, one.top + one.side_px + 50))
    assert (COLOURS[mark] in {colour for _, colour in below.getcolors(10000) or ()}) is has_tag


def test_no_label_reaches_into_a_picture_or_over_its_own_width() -> None:
    run = judged([scored(123_456_789), scored(999_999_999)], chosen=123_456_789)
    layout, drawn = strip.layout(run, PLAIN), strip.strip(run, lambda _, side: load(scored(1).cell, side), PLAIN)
    first, second = layout.cells
    gap = drawn.crop((first.left + first.side_px + 5, first.top, second.left - 2, layout.height_px))
    assert gap.getcolors() == [(gap.width * gap.height, PAPER)]


def test_a_missing_picture_is_a_frame_with_a_dash() -> None:
    run = judged([scored(100), scored(200, "love")], chosen=200, prompts={"sea": "sea", "love": "love"})
    layout, drawn = strip.layout(run, PLAIN), strip.strip(run, load, PLAIN)
    empty = of_step(layout, 200)
    assert empty.shown.picture is None
    middle = empty.top + empty.side_px // 2
    assert at(drawn, empty.left + empty.side_px // 2, middle) == placed.GREY
    assert at(drawn, empty.left + 10, middle) == PAPER
    assert at(drawn, empty.left + 10, empty.top - 1) == placed.PALE


def test_rows_are_in_the_order_of_the_prompts_and_each_has_its_heading() -> None:
    pictures = [scored(100, prompt, seed) for prompt in ("zoo", "sea", "love") for seed in (1, 0)]
    run = judged(pictures, prompts={"sea": "the sea", "love": "love of all"})
    layout = strip.layout(run, PLAIN)
    rows = [(one.shown.prompt, one.shown.seed) for one in layout.cells]
    assert rows == [("sea", 0), ("sea", 1), ("love", 0), ("love", 1), ("zoo", 0), ("zoo", 1)]
    said = [words.text for words in layout.words]
    assert [text for text in said if text in {"the sea", "love of all", "zoo"}] == [
        "the sea",
        "love of all",
        "zoo",
        "zoo",
    ]
    assert said.count("picture 2") == 3
    assert len(layout.rules) == 3
    assert [one.top for one in layout.cells] == sorted(one.top for one in layout.cells)


def test_the_verdict_and_every_mark_are_told_at_the_top() -> None:
    layout = strip.layout(RUN, PLAIN)
    assert [tag.mark for tag in layout.tags] == ["chosen", "tied", "dropped", "exploded"]
    assert layout.words[0].text == "ink"
    assert layout.words[1].text == "Chosen: it is the best."
    first = min(one.top for one in layout.cells)
    assert all(tag.top < first for tag in layout.tags)


@pytest.mark.parametrize(
    ("status", "step", "why", "text"),
    [
        ("chosen", 14_400, "step 14,400 scores 80", "Chosen: step 14,400 scores 80."),
        ("cannot tell", None, "so", "Cannot tell: so."),
        ("none", None, "none of 5 checkpoints is sound", "Nothing to choose: none of 5 checkpoints is sound."),
    ],
)
def test_verdicts_are_sentences(status: Status, step: int | None, why: str, text: str) -> None:
    assert strip.verdict_words(Verdict(status, step, why, ())) == text


@pytest.mark.parametrize("more", [(), (100, 200)])
def test_a_run_without_pictures_says_so(more: tuple[int, ...]) -> None:
    run = judged((), status="none", more=more)
    layout = strip.layout(run, PLAIN)
    assert layout.cells == ()
    assert "No picture was judged." in [words.text for words in layout.words]
    assert strip.strip(run, load, PLAIN).size == (layout.width_px, layout.height_px)


def test_a_long_run_wraps_into_lines_that_are_all_but_full() -> None:
    run = judged(scored(100 * number, prompt) for number in range(1, 91) for prompt in "abcdefgh")
    layout = strip.layout(run, PLAIN)
    tops = [one.top for one in layout.cells if one.shown.prompt == "a"]
    lines = [tops.count(top) for top in sorted(set(tops))]
    assert sum(lines) == 90
    assert len(set(lines[:-1])) == 1
    assert lines[0] - lines[-1] < len(lines)
    assert layout.cells[0].side_px >= 128
    assert layout.width_px <= 2700


@given(places=st.integers(1, 2500), rows=st.integers(1, 48))
def test_no_side_of_a_strip_is_too_long(places: int, rows: int) -> None:
    places = min(places, max(8, contents.MOST_CELLS // rows) + 1)
    side_px, columns = strip.size(places, rows)
    lines = -(-places // columns)
    high = 420 + rows * (placed.HEAD_PX + placed.SUBHEAD_PX + lines * placed.cell_height_px(side_px))
    assert high <= LIMIT_PX
    assert 56 + columns * (side_px + placed.GAP_PX) <= LIMIT_PX


def test_a_strip_with_long_texts_is_no_higher_than_was_reckoned() -> None:
    run = judged(
        [scored(100, seed=seed) for seed in (0, 1)], prompts={"sea": "the sea of all " * 90}, name="long " * 90
    )
    run = replace(run, verdict=replace(run.verdict, why="because of all that " * 90))
    assert strip.layout(run, PLAIN).cells[0].top <= 420 + placed.HEAD_PX + placed.SUBHEAD_PX


def test_of_too_many_checkpoints_some_are_shown_the_chosen_one_among_them() -> None:
    run = judged(map(scored, range(1, 4001)), chosen=1777, tied=(1777, 1778))
    layout = strip.layout(run, PLAIN)
    steps = [one.shown.step for one in layout.cells]
    assert len(steps) == contents.MOST_CELLS - 1
    assert {1, 1777, 1778, 4000} <= set(steps)
    assert f"Shown are {len(steps):,} of 4,000 steps." in [words.text for words in layout.words]
    assert layout.height_px <= LIMIT_PX


@given(count=st.integers(1, 3000), rows=st.integers(0, 600), wanted=st.lists(st.integers(0, 3000), max_size=3000))
def test_steps_are_spread_without_doubles(count: int, rows: int, wanted: list[int]) -> None:
    steps = tuple(range(count))
    found = contents.spread(steps, wanted, rows)
    room = max(8, contents.MOST_CELLS // max(1, rows))
    assert found == tuple(sorted(set(found) & set(steps)))
    assert len(found) == min(count, room - 1) or found == steps
    assert {0, count - 1} <= set(found)
    if wanted and wanted[0] < count:
        assert wanted[0] in found


def test_of_too_many_prompts_the_first_are_shown() -> None:
    run = judged(scored(step, f"p{number:03}") for number in range(100) for step in (1, 2))
    layout = strip.layout(run, PLAIN)
    assert len({one.shown.prompt for one in layout.cells}) == contents.MOST_ROWS
    assert "Shown are 48 of 100 rows of pictures." in [words.text for words in layout.words]
    assert layout.height_px <= LIMIT_PX


def test_the_document_tells_where_each_picture_is_and_what_is_known_of_it() -> None:
    table = json.loads(sidecar.strip_json(RUN, PLAIN))
    drawn = strip.strip(RUN, load, PLAIN)
    assert (table["width"], table["height"]) == drawn.size
    assert table["kind"] == "strip"
    assert table["tool"] == f"kanjiprep {kanjiprep.__version__}"
    assert table["runs"] == [
        {"run": "ink", "status": "chosen", "step": 300, "why": "it is the best", "tied": [300, 400]}
    ]
    dropped = table["cells"][2]
    part = drawn.crop((dropped["left"], dropped["top"], *_corner(dropped)))
    assert np.asarray(part).shape == (256, 256, 3)
    assert part.getcolors() == [(65536, (20, 60, 60))]
    assert {key: dropped[key] for key in dropped if key not in {"left", "top", "width", "height"}} == {
        "run": "ink",
        "step": 200,
        "base": False,
        "prompt": "sea",
        "text": "the sea, 海",
        "seed": 0,
        "file": "output/validation_images/step_200_sea_0.png",
        "box": None,
        "score": 80.2,
        "style": 0.25,
        "shape": 0.5,
        "fault": "",
        "flags": [{"about": "pictures", "text": "3 of 4 pictures are exploded"}],
        "chosen": False,
        "tied": False,
    }
    assert [one["step"] for one in table["cells"] if one["chosen"]] == [300]
    assert [one["step"] for one in table["cells"] if one["tied"]] == [300, 400]
    assert table["cells"][0]["base"] is True
    assert table["cells"][5]["fault"] == "noise"


def test_the_document_has_no_path_of_this_machine() -> None:
    elsewhere = replace(scored(200), cell=Cell(200, "sea", 0, Path("/secret/place/a.png"), (0, 0, 64, 64)))
    data = sidecar.strip_json(judged([scored(100), elsewhere]), PLAIN)
    assert b"/home" not in data
    assert b"secret" not in data
    assert json.loads(data)["cells"][1]["file"] == "a.png"
    assert json.loads(data)["cells"][1]["box"] == [0, 0, 64, 64]


def test_a_missing_picture_has_no_file_and_no_score() -> None:
    run = judged([scored(100), scored(200, "love")])
    empty = json.loads(sidecar.strip_json(run, PLAIN))["cells"][1]
    assert (empty["step"], empty["file"], empty["score"], empty["fault"]) == (200, None, None, None)


def test_a_name_that_is_no_text_can_be_told() -> None:
    run = judged([scored(100)], name="a\udc80")
    assert json.loads(sidecar.strip_json(run, PLAIN))["runs"][0]["run"] == "a\udc80"
    assert strip.strip(run, load, PLAIN)


def test_the_same_run_gives_the_same_bytes() -> None:
    assert files.encoded(strip.strip(RUN, load, PLAIN)) == files.encoded(strip.strip(RUN, load, PLAIN))
    assert sidecar.strip_json(RUN, PLAIN) == sidecar.strip_json(RUN, PLAIN)


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    drawn = strip.strip(RUN, load, PLAIN)
    files.write(tmp_path, "strip", drawn, b"{}\n")
    files.write(tmp_path, "strip", drawn, b"{ }\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["strip.json", "strip.png"]
    assert (tmp_path / "strip.json").read_bytes() == b"{ }\n"
    with Image.open(tmp_path / "strip.png") as found:
        assert found.size == drawn.size
        assert found.info == {}


def test_few_colours_keep_those_of_frames_and_all_others_nearly() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    levels[:8] = (190, 28, 32)
    levels[8:16] = (255, 255, 255)
    levels[16:24] = (250, 250, 248)
    found = palette.reduced(Image.fromarray(levels), ((250, 250, 248), (190, 28, 32), (255, 255, 255)), 128)
    assert found.mode == "P"
    assert len(found.getcolors() or ()) <= 128
    shown = np.asarray(found.convert("RGB"))
    assert (shown[:24] == levels[:24]).all()
    assert np.abs(shown[24:].astype(int) - levels[24:]).mean() < 24


def test_a_grey_ramp_stays_even_in_few_colours() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3).repeat(20, 0)
    shown = np.asarray(palette.reduced(Image.fromarray(ramp), ((255, 255, 255), (0, 0, 0)), 128).convert("RGB"))
    assert np.abs(shown.astype(int) - ramp).max() <= 4


def test_a_picture_of_noise_is_smaller_than_with_all_its_colours() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8))
    whole = io.BytesIO()
    noise.save(whole, "PNG")
    assert len(files.encoded(noise)) * 3 < len(whole.getvalue())


def _corner(one: dict[str, int]) -> tuple[int, int]:
    return one["left"] + one["width"], one["top"] + one["height"]
