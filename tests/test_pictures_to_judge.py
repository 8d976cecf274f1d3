from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.errors import InputError, TrainerError, UsageError
from kanjiprep.evaluation import cell_pixels, pictures
from kanjiprep.evaluation.cells import Cell
from kanjiprep.training.running import run_source
from kanjiprep.training.running.events import Event, Validation
from kanjiprep.training.running.picture_file import Box
from tests.run_folders import paint, prepared, stitched, trained
from tests.test_attempts import record
from tests.test_events import attempt, step

INSIDE = "output/validation_images"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return prepared(tmp_path)


def of_run(run: Path, *events: Event, ends: int = 8) -> tuple[tuple[Cell, ...], list[str]]:
    """The pictures of ``run`` when ``events`` are on record, and the notes."""
    record(run, attempt(), *map(step, range(1, ends + 1)), *events)
    notes: list[str] = []
    return pictures.of_run(run, run_source.state(run), notes), notes


def save(run: Path, name: str, picture: Image.Image) -> Validation:
    (run / INSIDE).mkdir(parents=True, exist_ok=True)
    picture.save(run / INSIDE / name)
    _, number, *prompt, _, _ = name.split("_")
    return Validation(int(number), "_".join(prompt), f"{INSIDE}/{name}", ())


def plain(side: int, colour: str = "white") -> Image.Image:
    return Image.new("RGB", (side, side), colour)


# Of a run


def test_the_pictures_of_a_run_are_without_the_strip_below(mine: Path) -> None:
    painted = [paint(mine, number, name) for number in (8, 4) for name in ("pikachu", "mountains")]
    cells, notes = of_run(mine, *painted)
    places = [(cell.step, cell.prompt, cell.seed, cell.is_base) for cell in cells]
    assert places == [(number, name, 0, False) for number in (4, 8) for name in ("mountains", "pikachu")]
    assert {cell.box for cell in cells} == {(0, 0, 64, 64)}
    assert cells[0].path == (mine / INSIDE / "step_4_mountains_0_64x64.png").resolve()
    assert notes == []


def test_a_picture_that_is_all_of_its_file_has_no_box(mine: Path) -> None:
    ((cell,), _) = of_run(mine, save(mine, "step_4_a_3_64x64.png", plain(64)))
    assert (cell.box, cell.seed) == (None, 3)


def test_a_file_under_another_name_is_a_whole_picture(mine: Path) -> None:
    one = save(mine, "step_4_a_3_64x64.png", plain(64))
    (mine / one.path).rename(mine / "output" / "other.png")
    ((cell,), _) = of_run(mine, Validation(4, "a", "output/other.png", ()))
    assert (cell.step, cell.prompt, cell.seed, cell.box) == (4, "a", 0, None)


def test_the_steps_are_the_runs_and_not_those_of_the_names(mine: Path) -> None:
    one = paint(mine, 4, "a")
    ((cell,), _) = of_run(mine, Validation(7, "a", one.path, ()))
    assert cell.step == 7


def test_what_was_painted_before_any_training_is_the_base_models(mine: Path) -> None:
    cells, _ = of_run(mine, paint(mine, 0, "a"), paint(mine, 4, "a"))
    assert [(cell.step, cell.is_base) for cell in cells] == [(0, True), (4, False)]


def test_of_pictures_side_by_side_the_newest_and_once_the_base_models_are_taken(mine: Path) -> None:
    painted = [
        save(mine, f"step_{number}_{name}_0_1024x1024.png", stitched(1024, "red", "blue"))
        for number in (4, 8)
        for name in ("a", "b")
    ]
    cells, notes = of_run(mine, *painted)
    base, new = (0, 48, 1024, 976), (1029, 48, 2053, 976)
    assert [(cell.step, cell.prompt, cell.box, cell.is_base) for cell in cells] == [
        *((0, name, base, True) for name in ("a", "b")),
        *((number, name, new, False) for number in (4, 8) for name in ("a", "b")),
    ]
    assert cells[0].path.name == "step_4_a_0_1024x1024.png"
    assert notes == []
    assert np.unique(cell_pixels.load(cells[0]).reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]
    assert np.unique(cell_pixels.load(cells[-1]).reshape(-1, 3), axis=0).tolist() == [[0, 0, 255]], (
        "without the label"
    )


@pytest.mark.parametrize(
    ("side", "boxes"),
    [(256, [(0, 48, 256, 256), (261, 48, 517, 256)]), (64, [(0, 32, 64, 64), (69, 32, 133, 64)])],
)
def test_in_small_pictures_side_by_side_only_the_label_is_cut_away(mine: Path, side: int, boxes: list[Box]) -> None:
    cells, _ = of_run(mine, save(mine, f"step_4_a_0_{side}x{side}.png", stitched(side, "red", "blue")))
    assert [cell.box for cell in cells] == boxes


def test_the_base_models_picture_before_training_goes_before_later_ones(mine: Path) -> None:
    cells, _ = of_run(
        mine,
        save(mine, "step_0_a_0_64x64.png", stitched(64, "red", "blue")),
        save(mine, "step_4_a_0_64x64.png", stitched(64, "red", "blue")),
    )
    assert [(cell.step, cell.is_base, cell.path.name[:6]) for cell in cells] == [
        (0, True, "step_0"),
        (4, False, "step_4"),
    ]
    assert cells[0].box == (69, 32, 133, 64)


def test_what_is_beside_averaged_weights_is_not_the_base_model(mine: Path) -> None:
    path = mine / "config" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(config | {"use_ema": True, "disable_benchmark": True}), "utf-8")
    cells, _ = of_run(mine, save(mine, "step_4_a_0_64x64.png", stitched(64, "red", "blue")))
    assert [(cell.step, cell.is_base) for cell in cells] == [(4, False)]
    path.unlink()
    record(mine, step(9))
    assert len(pictures.of_run(mine, run_source.state(mine), [])) == 2


def test_a_step_that_was_painted_twice_counts_once_and_the_later_one(mine: Path) -> None:
    first, again = paint(mine, 4, "a"), save(mine, "step_04_a_0_64x64.png", plain(64, "red"))
    ((cell,), _) = of_run(mine, first, again)
    assert cell.path.name == "step_04_a_0_64x64.png"


def test_mixed_sizes_are_refused_unless_one_is_asked_for(mine: Path) -> None:
    painted = [paint(mine, 4, "a"), paint(mine, 8, "a", side_px=96), paint(mine, 4, "b"), paint(mine, 8, "b")]
    record(mine, attempt(), *map(step, range(1, 9)), *painted)
    state = run_source.state(mine)
    with pytest.raises(InputError, match="pictures of a are 64 x 64 and 96 x 96 px, which cannot .* --size-px 96"):
        pictures.of_run(mine, state, [])
    assert [(one.step, one.prompt) for one in pictures.of_run(mine, state, [], 64)] == [(4, "a"), (4, "b"), (8, "b")]
    with pytest.raises(InputError, match="no picture that is 32 px wide; there are pictures of 64, 96 px"):
        pictures.of_run(mine, state, [], 32)


def test_seeds_of_different_sizes_are_no_mixture(mine: Path) -> None:
    _, notes = of_run(mine, paint(mine, 4, "a"), save(mine, "step_4_a_1_96x96.png", plain(96)))
    assert notes == []


def test_a_run_without_pictures_has_none(tmp_path: Path) -> None:
    run, notes = trained(tmp_path), list[str]()
    assert pictures.of_run(run, run_source.state(run), notes) == ()
    assert notes == []


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("gone", "is not there"),
        ("outside", "leads out of the run folder"),
        ("text", "cannot be read as a picture: is neither PNG nor WebP nor JPEG"),
        ("half", "cannot be read as a picture: truncated file read"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_told(mine: Path, how: str, says: str) -> None:
    bad, good = paint(mine, 4, "a"), paint(mine, 8, "a")
    path = mine / bad.path
    match how:
        case "gone":
            path.unlink()
        case "outside":
            path.rename(mine.parent / "elsewhere.png")
            path.symlink_to(mine.parent / "elsewhere.png")
        case "text":
            path.write_text("no picture")
        case "half":
            path.write_bytes(path.read_bytes()[:-20])
    cells, notes = of_run(mine, bad, good)
    assert [cell.step for cell in cells] == [8]
    (note,) = notes
    assert note.startswith(f"{bad.path} {says}")
    assert note.endswith(", and is left out")


def test_of_many_that_cannot_be_read_the_first_are_told(mine: Path) -> None:
    bad, good = [paint(mine, number, "a") for number in range(1, 7)], paint(mine, 8, "a")
    for one in bad:
        (mine / one.path).unlink()
    _, notes = of_run(mine, *bad, good)
    assert len(notes) == 4
    assert notes[-1] == "3 more pictures cannot be read, and are left out"


def test_if_none_can_be_read_the_first_is_told(mine: Path) -> None:
    painted = [paint(mine, number, "a") for number in (4, 8)]
    for one in painted:
        (mine / one.path).unlink()
    says = (
        "step_4_a_0_64x64.png: is not there, and none of the 2 pictures on record can be read; look whether the run"
    )
    with pytest.raises(TrainerError, match=says):
        of_run(mine, *painted)


def test_if_the_only_one_cannot_be_read_it_is_told(mine: Path) -> None:
    one = paint(mine, 4, "a")
    (mine / one.path).write_bytes(b"")
    with pytest.raises(TrainerError, match="_64x64.png: cannot be read as a picture: it is empty; look again"):
        of_run(mine, one)


# Of a folder


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        plain(64).save(path)
    return tmp_path / "there"


@pytest.mark.parametrize("inside", pictures.FOLDERS)
def test_without_a_pattern_simpletuners_names_are_found(tmp_path: Path, inside: str) -> None:
    folder = folder_of(
        tmp_path, *(f"{inside}step_{number}_my_kanji_2_{seed}_64x64.png" for number in (0, 400) for seed in (0, 1))
    )
    stitched(64, "red", "blue").save(folder / inside / "step_400_my_kanji_2_1_64x64.png")
    cells = pictures.of_folder(folder, None)
    assert [(cell.step, cell.seed, cell.box, cell.is_base) for cell in cells] == [
        (0, 0, None, True),
        (0, 1, None, True),
        (400, 0, None, False),
        (400, 1, (69, 32, 133, 64), False),
    ]
    assert {cell.prompt for cell in cells} == {"my_kanji_2"}


def test_the_pictures_of_a_pattern_are_found(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "checkpoint-400/a.png", "checkpoint-1200/a.png", "checkpoint-400/b.jpg", "x/a.png")
    cells = pictures.of_folder(folder, "checkpoint-{step}/{prompt}.*")
    assert [(cell.step, cell.prompt) for cell in cells] == [(400, "a"), (400, "b"), (1200, "a")]
    assert all(cell.path.is_absolute() for cell in cells)


def test_mixed_sizes_of_a_folder_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "1.png", "2.png")
    plain(32).save(folder / "2.png")
    with pytest.raises(InputError, match="pictures of picture are 64 x 64 and 32 x 32 px"):
        pictures.of_folder(folder, "{step}.png")
    assert len(pictures.of_folder(folder, "{step}.png", 64)) == 1


def test_a_folder_in_which_no_name_fits_is_told_with_what_is_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.png", "b/c.png", "d.png", "e.png")
    with pytest.raises(
        InputError, match=r"there: has no picture that step_\{step\}_.* fits; it has a.png, d.png, e.png and more"
    ):
        pictures.of_folder(folder, None)
    with pytest.raises(InputError, match=r"has no picture that \{step\}.png fits; it has a.png"):
        pictures.of_folder(folder, "{step}.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="it has no files; give a pattern with {step}"):
        pictures.of_folder(tmp_path / "empty", None)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, says in (("missing", "no such file"), ("file", "not a directory")):
        with pytest.raises(InputError, match=f"{name}: cannot be read: {says}.*; give a folder of pictures"):
            pictures.of_folder(tmp_path / name, None)


def test_a_picture_of_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "1.png", "2.png")
    (folder / "2.png").write_text("no picture")
    with pytest.raises(InputError, match="2.png: cannot be read as a picture: .*; give a whole PNG, WebP or JPEG"):
        pictures.of_folder(folder, "{step}.png")


# Of a strip


@pytest.fixture
def strip(tmp_path: Path) -> Path:
    whole = Image.new("RGB", (3 * 64, 2 * 64))
    for number in range(6):
        row, column = divmod(number, 3)
        whole.paste((40 * number, 40 * row, 40 * column), (64 * column, 64 * row, 64 * column + 64, 64 * row + 64))
    whole.save(tmp_path / "strip.png")
    return tmp_path / "strip.png"


def test_a_strip_is_split_into_its_pictures(strip: Path) -> None:
    notes: list[str] = []
    cells = pictures.of_strip(strip, 3, 2, (0, 400, 800), notes=notes)
    assert [(cell.step, cell.prompt, cell.is_base) for cell in cells] == [
        (number, name, number == 0) for number in (0, 400, 800) for name in ("row 1", "row 2")
    ]
    assert cells[1].box == (0, 64, 64, 128)
    assert cell_pixels.load(cells[3])[9, 9].tolist() == [160, 40, 40]
    assert notes == []


def test_steps_that_are_not_told_are_numbers(strip: Path) -> None:
    notes: list[str] = []
    cells = pictures.of_strip(strip, 3, 2, notes=notes)
    assert [(cell.step, cell.prompt) for cell in cells] == [
        (number, f"row {row}") for number in (1, 2, 3) for row in (1, 2)
    ]
    assert notes == ["the steps of strip.png are not known: its pictures are numbered 1 to 3"]
    assert {cell.prompt for cell in pictures.of_strip(strip, 3, notes=[])} == {"strip"}


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((1, 2), "2 steps for 3 columns; give one a column"),
        ((1, 3, 2), "the steps do not ascend"),
        ((1, 1, 2), "the steps do not ascend"),
    ],
)
def test_steps_that_do_not_fit_are_told(strip: Path, steps: tuple[int, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pictures.of_strip(strip, 3, 1, steps, notes=[])


def test_a_strip_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    for name in ("a.png", "missing.png"):
        with pytest.raises(InputError, match=f"{name}: cannot be read as a picture: .*; give a whole PNG"):
            pictures.of_strip(tmp_path / name, 3, notes=[])
