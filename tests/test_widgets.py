from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep.errors import TrainerError
from kanjiprep.publishing import widgets
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.widgets import Gallery, Widget
from kanjiprep.training import presets
from kanjiprep.training.running import files
from kanjiprep.training.running.events import Validation
from kanjiprep.training.running.picture_file import MOST_PIXELS
from kanjiprep.training.running.record import Record
from tests.run_folders import keep, paint, prepared, secret_texts, stitched, trained
from tests.test_attempts import record
from tests.test_events import attempt

NEGATIVE = "blurry, cropped, ugly"
TEN = "validation.prompts={ " + ", ".join(f'p{number} = "{number}"' for number in range(10)) + " }"
MANY = presets.load("tiny-cpu", ("training.steps=100", "checkpoints.every_steps=4", TEN))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return trained(tmp_path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def write(run: Path, out: Path, step: int = 8) -> Gallery:
    chosen = Chosen(step, run / "output" / f"checkpoint-{step}", "")
    return widgets.write(run, Record(run).state, chosen, out)


def widget(name: str, text: str, step: int = 8) -> Widget:
    return Widget(name, text, NEGATIVE, f"images/{name}.png", step)


def colour(path: Path) -> tuple[tuple[int, int], Any]:
    """Size and only colour of a picture; a failure if it has more."""
    with Image.open(path) as picture:
        (only,) = colours(picture)
        return picture.size, only


def colours(picture: Image.Image) -> set[Any]:
    return {found for _, found in picture.getcolors() or ()}


def test_the_pictures_of_a_step_are_shown_with_their_prompts(mine: Path, out: Path) -> None:
    for number in (4, 8):
        for name in ("pikachu", "mountains"):
            Record(mine).add(paint(mine, number, name, colour=(number, 0, 0)))
    found = write(mine, out)
    assert found == Gallery((widget("mountains", "mountains"), widget("pikachu", "Pikachu")), ())
    assert sorted(path.name for path in (out / "images").iterdir()) == ["mountains.png", "pikachu.png"]
    assert colour(out / "images" / "mountains.png") == ((64, 64), (8, 0, 0)), "without the strip below"
    assert write(mine, out, 4).widgets[0].step == 4
    assert colour(out / "images" / "mountains.png") == ((64, 64), (4, 0, 0))


def test_a_style_is_told_as_the_trainer_read_it(tmp_path: Path, out: Path) -> None:
    settings = ("training.steps=100", "checkpoints.every_steps=4", "validation.style=calligraphy")
    run = trained(tmp_path, preset=presets.load("tiny-cpu", settings))
    Record(run).add(paint(run, 8, "pikachu"))
    (found,) = write(run, out).widgets
    assert found.text.startswith("A minimal, black and white kanji character.")
    assert found.text.endswith("Pikachu")
    assert found.negative.startswith("color, colors")


def test_a_run_without_pictures_has_none(mine: Path, out: Path) -> None:
    assert write(mine, out) == Gallery((), ("there are no validation pictures of step 8 or before",))
    Record(mine).add(paint(mine, 9, "pikachu"))
    assert write(mine, out).widgets == ()
    assert not out.exists()


def test_pictures_of_the_nearest_step_before_are_told_as_such(mine: Path, out: Path) -> None:
    for number in (2, 6, 10):
        Record(mine).add(paint(mine, number, "pikachu", colour=(number, 0, 0)))
    notes = ("there are no pictures of step 8; those of step 6 are shown",)
    assert write(mine, out) == Gallery((widget("pikachu", "Pikachu", 6),), notes)
    assert colour(out / "images" / "pikachu.png")[1] == (6, 0, 0)


def test_what_the_guard_found_fault_with_comes_last(mine: Path, out: Path) -> None:
    Record(mine).add(paint(mine, 8, "mountains", "black", "noise"))
    Record(mine).add(paint(mine, 8, "pikachu"))
    found = write(mine, out)
    assert [one.name for one in found.widgets] == ["pikachu", "mountains"]
    assert found.notes == ("mountains: the guard found fault with its picture (black, noise)",)


def test_a_prompt_has_one_picture_and_a_sound_one_if_there_is_one(mine: Path, out: Path) -> None:
    bad, other = (
        paint(mine, 8, "pikachu", "black", colour="black"),
        "output/validation_images/step_8_pikachu_1_64x64.png",
    )
    Record(mine).add(bad)
    Image.new("RGB", (64, 64), "white").save(mine / other)
    Record(mine).add(Validation(8, "pikachu", other, ()))
    assert write(mine, out) == Gallery((widget("pikachu", "Pikachu"),), ())
    assert colour(out / "images" / "pikachu.png")[1] == (255, 255, 255)


def test_a_card_has_at_most_eight_pictures(tmp_path: Path, out: Path) -> None:
    run = trained(tmp_path, preset=MANY)
    names = sorted(MANY.prompts.plain)
    assert len(names) > 8
    for name in names:
        Record(run).add(paint(run, 8, name, *(["black"] if name == names[0] else [])))
    found = write(run, out)
    assert len(found.widgets) == len(list((out / "images").iterdir())) == 8
    assert names[0] not in [one.name for one in found.widgets], "the faulted one is left out first"
    assert found.notes == (f"pictures of {len(names) - 8} further prompts are left out: a card has at most 8",)


# The pictures themselves


def test_of_pictures_side_by_side_the_newest_is_shown(mine: Path, out: Path) -> None:
    one = paint(mine, 8, "pikachu", side_px=128)
    stitched(128, "red", "blue").save(mine / one.path)
    Record(mine).add(one)
    notes = ("pikachu: cut out from beside another picture; a label may be in its corner",)
    assert write(mine, out) == Gallery((widget("pikachu", "Pikachu"),), notes)
    with Image.open(out / "images" / "pikachu.png") as picture:
        assert picture.size == (128, 128)
        assert colours(picture) <= {(shade, shade, 255) for shade in range(256)}, "a white label on blue"
        assert all(picture.getpixel(corner) == (0, 0, 255) for corner in ((0, 0), (127, 0), (0, 127), (127, 127)))


def test_of_three_side_by_side_the_last_is_shown(mine: Path, out: Path) -> None:
    one = paint(mine, 8, "pikachu")
    whole = Image.new("RGB", (3 * 64 + 10, 64), "white")
    whole.paste(Image.new("RGB", (64, 64), "blue"), (138, 0))
    whole.save(mine / one.path)
    Record(mine).add(one)
    write(mine, out)
    assert colour(out / "images" / "pikachu.png") == ((64, 64), (0, 0, 255))


@pytest.mark.parametrize("size", [(60, 60), (64, 64), (65, 70), (127, 90)])
def test_a_picture_that_is_nearly_of_its_size_is_not_cut_in_two(mine: Path, out: Path, size: tuple[int, int]) -> None:
    one = paint(mine, 8, "pikachu")
    Image.new("RGB", size, "blue").save(mine / one.path)
    Record(mine).add(one)
    assert write(mine, out).notes == ()
    assert colour(out / "images" / "pikachu.png")[0] == (min(size[0], 64), min(size[1], 64))


def test_a_picture_under_another_name_is_shown_whole(mine: Path, out: Path) -> None:
    one = paint(mine, 8, "pikachu")
    (mine / one.path).rename(mine / "output" / "other.png")
    Record(mine).add(Validation(8, "pikachu", "output/other.png", ()))
    write(mine, out)
    with Image.open(out / "images" / "pikachu.png") as picture:
        assert picture.size == (64, 104)


def test_a_large_picture_is_made_small(mine: Path, out: Path) -> None:
    Record(mine).add(paint(mine, 8, "pikachu", side_px=1536, colour="blue"))
    write(mine, out)
    assert colour(out / "images" / "pikachu.png") == ((1024, 1024), (0, 0, 255))


def test_nothing_but_pixels_is_in_a_picture(mine: Path, out: Path) -> None:
    one = paint(mine, 8, "pikachu", pnginfo=secret_texts(), dpi=(300, 300), icc_profile=b"profile", exif=b"Exif\0\0")
    Record(mine).add(one)
    assert b"secret" in (mine / one.path).read_bytes()
    write(mine, out)
    data = (out / "images" / "pikachu.png").read_bytes()
    kinds = []
    at = 8
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize(("mode", "ink"), [("RGBA", (0, 0, 255, 0)), ("LA", (0, 0)), ("P", 0)])
def test_what_is_transparent_is_white(mine: Path, out: Path, mode: str, ink: Any) -> None:
    one = paint(mine, 8, "pikachu")
    picture = Image.new(mode, (64, 64), ink)
    picture.info |= {"transparency": 0} if mode == "P" else {}
    picture.save(mine / one.path)
    Record(mine).add(one)
    write(mine, out)
    assert colour(out / "images" / "pikachu.png")[1] == (255, 255, 255)


@pytest.mark.parametrize("kind", ["webp", "jpg"])
def test_other_kinds_of_pictures_become_png(mine: Path, out: Path, kind: str) -> None:
    path = f"output/validation_images/step_8_pikachu_0_64x64.{kind}"
    (mine / path).parent.mkdir()
    Image.new("RGB", (64, 90), "white").save(mine / path)
    Record(mine).add(Validation(8, "pikachu", path, ()))
    write(mine, out)
    assert colour(out / "images" / "pikachu.png") == ((64, 64), (255, 255, 255))
    assert (out / "images" / "pikachu.png").read_bytes()[:4] == b"\x89PNG"


# What cannot be shown


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(data[: len(data) // 2])
        case "garbled":
            path.write_bytes(data.replace(b"IDAT", b"IDAT\xff", 1))
        case "text":
            path.write_bytes(b"no picture")
        case "huge":
            Image.new("1", (MOST_PIXELS // 1000 + 1, 1000)).save(path)
        case "out":
            path.rename(path.parents[3] / "elsewhere.png")
            path.symlink_to(path.parents[3] / "elsewhere.png")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("gone", "is not there, and is left out"),
        ("out", "leads out of the run folder, and is left out"),
        *(
            (how, "cannot be read as a picture, and is left out")
            for how in ("empty", "half", "garbled", "text", "huge")
        ),
    ],
)
def test_a_picture_that_cannot_be_read_is_left_out(mine: Path, out: Path, how: str, says: str) -> None:
    bad, good = paint(mine, 8, "mountains"), paint(mine, 8, "pikachu")
    Record(mine).add(bad)
    Record(mine).add(good)
    damage(mine / bad.path, how)
    assert write(mine, out) == Gallery((widget("pikachu", "Pikachu"),), (f"{bad.path} {says}",))


def test_no_name_leads_a_picture_out_of_its_folder(mine: Path, out: Path) -> None:
    one = paint(mine, 8, "pikachu")
    Record(mine).add(one)
    Record(mine).add(Validation(8, "../../evil", one.path, ()))
    found = write(mine, out)
    assert found == Gallery(
        (widget("pikachu", "Pikachu"),), ("'../../evil' is no prompt of this run; its picture is left out",)
    )
    assert [path.name for path in out.rglob("*.png")] == ["pikachu.png"]


def test_without_the_rendered_prompts_those_of_the_spec_are_told(mine: Path, out: Path) -> None:
    Record(mine).add(paint(mine, 8, "pikachu"))
    for name in ("prompts.json", "config.json"):
        (mine / "config" / name).unlink()
    found = write(mine, out)
    assert found.widgets == (Widget("pikachu", "Pikachu", "", "images/pikachu.png", 8),)
    assert found.notes == (
        "config/prompts.json is not there: prompts are told without their style",
        "config/config.json is not there: the negative prompt is not known",
    )


@pytest.mark.parametrize("prompts", [{"../evil": "a"}, {"pikachu": 7}, {"Pikachu": "a"}])
def test_prompts_that_are_not_as_they_were_written_are_told(
    mine: Path, out: Path, prompts: dict[str, object]
) -> None:
    Record(mine).add(paint(mine, 8, "pikachu"))
    (mine / "config" / "prompts.json").write_text(json.dumps(prompts), "utf-8")
    with pytest.raises(TrainerError, match="prompts.json: has a prompt that is no text by a short name; restore it"):
        write(mine, out)


@pytest.mark.parametrize("name", ["prompts.json", "config.json"])
def test_a_damaged_config_is_told(mine: Path, out: Path, name: str) -> None:
    Record(mine).add(paint(mine, 8, "pikachu"))
    (mine / "config" / name).write_text("{", "utf-8")
    with pytest.raises(TrainerError, match=f"config/{name}: is no JSON"):
        write(mine, out)


def test_a_folder_that_cannot_be_made_is_told(mine: Path, out: Path) -> None:
    Record(mine).add(paint(mine, 8, "pikachu"))
    out.touch()
    with pytest.raises(TrainerError, match="out/images: cannot be made: not a directory; give another folder"):
        write(mine, out)


def test_a_picture_of_an_attempt_that_was_undone_is_not_shown(tmp_path: Path, out: Path) -> None:
    run = prepared(tmp_path)
    again = attempt(number=2, why="rollback", base_step=4, from_step=4, output="attempt-2/output")
    record(
        run, attempt(), keep(run, 4), paint(run, 8, "pikachu", "noise"), again, keep(run, 4, 4, "attempt-2/output")
    )
    assert files.find(run) == run
    assert write(run, out).widgets == ()
