from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import file_pattern
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.progress import silent
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import looked, origins, planned, series, sheet
from kanjiprep.publishing.painting.devices import Ways
from kanjiprep.publishing.painting.planned import Request
from kanjiprep.publishing.painting.series import Made
from kanjiprep.publishing.painting.texts import Asked
from kanjiprep.publishing.painting.wish import Stepped, Wish
from kanjiprep.training.running.attempts import WEIGHTS
from tests import painting_models, run_folders
from tests.painting_models import Fake
from tests.test_attempts import TINY

SMALL = Asked(("cat", "山"), seeds=(1, 2), size_px=32, steps=2)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run = run_folders.trained(tmp_path)
    for number in (4, 8):
        painting_models.lora(run / "output" / f"checkpoint-{number}" / WEIGHTS, number)
    return run


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return painting_models.base(tmp_path / "tiny")


@pytest.fixture
def request_(run: Path, base: Path) -> Request:
    return Request(str(run), SMALL, base=str(base))


def paint(request: Request, fake: Fake, said: list[str] | None = None) -> Made:
    told: Callable[[str], None] = (said if said is not None else []).append
    return series.paint(planned.plan(request), Ways(), fake.opened, silent, told)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_checkpoint_is_painted_with_names_that_score_can_read(request_: Request) -> None:
    fake = Fake()
    made = paint(request_, fake)
    assert made.folder == Path("pictures/mine").resolve()
    assert names(made.folder) == [
        "grid.json", "grid.png",
        "step-8_cat_seed-1.png", "step-8_cat_seed-2.png", "step-8_u5c71_seed-1.png", "step-8_u5c71_seed-2.png",
    ]  # fmt: skip
    assert fake.asked == [("opened", None, "tiny", "sd3"), "take 8", 1, 2, 1, 2]
    found = file_pattern.find(made.folder, "step-{step}_{prompt}_seed-{seed}.png")
    assert [(one.step, one.prompt, one.seed) for one in found] == [
        (8, "cat", 1), (8, "cat", 2), (8, "u5c71", 1), (8, "u5c71", 2),
    ]  # fmt: skip


def test_a_second_run_paints_nothing_and_loads_nothing(request_: Request) -> None:
    first = paint(request_, Fake())
    before = {one.name: one.read_bytes() for one in first.folder.iterdir()}
    fake = Fake()
    again = paint(request_, fake)
    assert fake.asked == []
    assert (again.painted, len(again.kept)) == ((), 4)
    assert {one.name: one.read_bytes() for one in first.folder.iterdir()} == before


def test_a_series_that_was_ended_goes_on(request_: Request) -> None:
    with pytest.raises(KeyboardInterrupt):
        paint(request_, Fake(raised={2: KeyboardInterrupt()}))
    assert names(Path("pictures/mine")) == ["step-8_cat_seed-1.png"]
    fake = Fake()
    made = paint(request_, fake)
    assert fake.asked[2:] == [2, 1, 2]
    assert made.kept == ("step-8_cat_seed-1.png",)
    whole = paint(replace(request_, out=Path("whole")), Fake())
    for name in whole.painted:
        assert (made.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_every_checkpoint_and_the_base_stand_side_by_side(request_: Request) -> None:
    fake = Fake()
    made = paint(replace(request_, every=True, with_base=True), fake)
    assert [one for one in fake.asked if isinstance(one, str)] == ["take base", "take 4", "take 8"]
    cells = json.loads((made.folder / "grid.json").read_text())["cells"]
    assert [(one["step"], one["prompt"], one["seed"]) for one in cells[:4]] == [
        (None, "cat", 1), (4, "cat", 1), (8, "cat", 1), (None, "cat", 2),
    ]  # fmt: skip
    assert {one["top"] for one in cells[:3]} == {cells[0]["top"]}
    with Image.open(made.folder / "grid.png") as page:
        shown = [page.convert("RGB").getpixel((one["left"] + 30, one["top"] + 30)) for one in cells[:3]]
    assert all(isinstance(colour, tuple) and colour[0] > 250 and max(colour[1:]) < 20 for colour in shown)


def test_seeds_stand_side_by_side_for_one_checkpoint(request_: Request) -> None:
    made = paint(request_, Fake())
    cells = json.loads((made.folder / "grid.json").read_text())["cells"]
    assert [one["seed"] for one in cells if one["top"] == cells[0]["top"]] == [1, 2]


def test_several_checkpoints_are_named_once_each(request_: Request) -> None:
    plan = planned.plan(replace(request_, checkpoints=("8", "4", "last")))
    assert [one.stem for one in plan.columns] == ["step-8", "step-4"]
    with pytest.raises(UsageError, match="--checkpoint and --every-checkpoint are two things"):
        planned.plan(replace(request_, checkpoints=("8",), every=True))


def test_a_file_paints_under_its_own_name(request_: Request, tmp_path: Path) -> None:
    file = painting_models.lora(tmp_path / "kanji lora.safetensors")
    made = paint(replace(request_, wanted=str(file), with_base=True), Fake())
    assert made.folder.name == "kanji-lora"
    assert "kanji-lora_cat_seed-1.png" in made.painted
    assert "base_cat_seed-1.png" in made.painted


def test_a_trained_part_is_opened_with_the_model(request_: Request, tmp_path: Path) -> None:
    painting_models.write_part(tmp_path / "full" / "transformer", 3)
    fake = Fake()
    made = paint(replace(request_, wanted=str(tmp_path / "full")), fake)
    assert fake.asked[0] == ("opened", "full", "tiny", "sd3")
    assert len(made.painted) == 4


def test_a_picture_that_failed_is_told_and_the_others_are_painted(request_: Request) -> None:
    said: list[str] = []
    made = paint(request_, Fake(unpainted=(2,)), said)
    assert (len(made.painted), made.missing) == (2, 2)
    assert said[1] == "warning: step 8: fake: the picture with the seed 2 is not a number in its latent"
    cells = json.loads((made.folder / "grid.json").read_text())["cells"]
    assert [one["file"] is None for one in cells] == [False, True, False, True]


def test_a_checkpoint_that_cannot_be_taken_is_told_and_the_others_paint(request_: Request) -> None:
    made = paint(replace(request_, every=True), Fake(unfit={4: TrainerError("is unfit")}))
    assert made.failed == ("step 4: is unfit",)
    assert (len(made.painted), made.missing) == (4, 4)


def test_a_failure_of_the_machine_ends_the_series(request_: Request) -> None:
    with pytest.raises(TrainerError, match="not enough memory"):
        paint(request_, Fake(raised={2: TrainerError("there is not enough memory for it")}))
    assert names(Path("pictures/mine")) == ["step-8_cat_seed-1.png"]


def test_a_picture_of_one_colour_is_saved_and_told(request_: Request) -> None:
    said: list[str] = []
    made = paint(request_, Fake(black=(1,)), said)
    assert made.blank == ("step-8_cat_seed-1.png", "step-8_u5c71_seed-1.png")
    assert (
        "warning: step-8_cat_seed-1.png is of one colour; other settings or another checkpoint may do better" in said
    )


def test_a_picture_that_is_all_red_is_of_one_colour_too(request_: Request) -> None:
    class Red(Fake):
        def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
            return Image.new("RGB", (wish.size_px, wish.size_px), "red")

    assert len(paint(request_, Red()).blank) == 4


def test_the_page_names_the_base_model_however_its_folder_was_given(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(sheet, "write", lambda _, __, note, *___: notes.append(note))
    paint(replace(request_, base=f"{request_.base}/"), Fake())
    assert notes == ["Painted with tiny by kanjiprep."]


def test_nothing_painted_makes_no_page(request_: Request) -> None:
    made = paint(request_, Fake(unpainted=(1, 2)))
    assert made.missing == 4
    assert names(made.folder) == []


def test_files_of_others_are_never_overwritten(request_: Request) -> None:
    folder = Path("pictures/mine")
    folder.mkdir(parents=True)
    theirs = folder / "step-8_cat_seed-2.png"
    theirs.write_bytes(b"a photograph")
    fake = Fake()
    with pytest.raises(
        UsageError, match="is in the way: it is no picture of this model with these words and settings"
    ):
        paint(request_, fake)
    assert theirs.read_bytes() == b"a photograph"
    assert fake.asked == []


@pytest.mark.parametrize("document", [None, "{", "[]", '{"kind": "grid"}'])
def test_a_page_of_something_else_is_never_overwritten(document: str | None, request_: Request) -> None:
    folder = Path("pictures/mine")
    folder.mkdir(parents=True)
    (folder / "grid.png").write_bytes(b"theirs")
    if document is not None:
        (folder / "grid.json").write_text(document)
    with pytest.raises(TrainerError, match="is in the way, and not a page of such pictures"):
        paint(request_, Fake())
    assert (folder / "grid.png").read_bytes() == b"theirs"


def test_a_page_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "grid.json").mkdir()
    with pytest.raises(TrainerError, match="cannot be read: is a directory"):
        sheet.refuse_other(tmp_path)


def test_a_picture_that_is_broken_by_now_is_told_by_the_page(request_: Request, tmp_path: Path) -> None:
    row = sheet.Row("cat", "cat", "", (sheet.Shown("seed 1", "a.png", "cat", "cat", 1, None, is_painted=True),))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainerError, match="is a picture that cannot be read"):
        sheet.write(tmp_path, "title", "", [row], Labels())


def test_a_page_shows_so_many_rows_and_says_so(tmp_path: Path) -> None:
    shown = sheet.Shown("seed 1", "a.png", "cat", "cat", 1, None, is_painted=False)
    sheet.write(
        tmp_path,
        "title",
        "",
        [sheet.Row(f"cat_{number}", "cat", "", (shown,)) for number in range(60)],
        Labels(),
    )
    assert len(json.loads((tmp_path / "grid.json").read_text())["cells"]) == 48


def test_a_folder_that_cannot_be_made_is_told(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="file: is no folder; give --out another folder"):
        planned.plan(replace(request_, out=tmp_path / "file" / "deeper"))
    plan = planned.plan(replace(request_, out=tmp_path / "later" / "deeper"))
    (tmp_path / "later").write_bytes(b"")
    with pytest.raises(TrainerError, match="cannot be"):
        series.paint(plan, Ways(), Fake().opened, silent, print)


def test_notes_and_warnings_tell_what_paints(request_: Request, run: Path) -> None:
    plan = planned.plan(request_)
    assert plan.notes[0].startswith("paints with step 8 of mine, ")
    assert planned.plan(replace(request_, every=True)).notes[0] == "paints with 2 checkpoints of mine"
    text = (run / "run.toml").read_text().replace("skip_layers = []", "skip_layers = [7, 8]")
    (run / "run.toml").write_text(text)
    asked = Asked(like_validation=True, size_px=32)
    warnings = planned.plan(replace(request_, asked=asked)).warnings
    assert any("skip_layers" in one for one in warnings)
    assert any("CFG-Zero*" in one and "not equal" in one for one in warnings)
    assert not any("CFG-Zero*" in one for one in plan.warnings)


def test_a_lora_of_another_family_is_refused_before_anything_is_loaded(request_: Request, tmp_path: Path) -> None:
    other = painting_models.base(tmp_path / "old", painting_models.SD1X)
    with pytest.raises(UsageError, match="mine: belongs to sd3 tiny, and old is sd1x tiny"):
        planned.plan(replace(request_, base=str(other)))


def test_a_base_model_that_is_not_here_leaves_its_size_open(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "here", lambda _: None)
    plan = planned.plan(replace(request_, base="some/model"))
    assert (plan.base, plan.family, plan.base_name) == (None, "sd3", "some/model")


def test_origins_tell_checkpoints_and_base_models_apart(run: Path, tmp_path: Path) -> None:
    tuned = tuneds.find(str(run), "8")
    found = [bases.here(str(painting_models.base(tmp_path / f"base{seed}", seed=seed))) for seed in (0, 1)]
    made = [origins.origin(base, one) for base in found if base for one in (tuned, tuneds.find(str(run), "4"), None)]
    assert len(set(made)) == 6
    assert not any(str(tmp_path) in repr(one) for one in made)
    gone = replace(tuned, path=tmp_path / "gone")
    assert found[0] is not None
    with pytest.raises(TrainerError, match="gone: cannot be read: no such file"):
        origins.origin(found[0], gone)


def test_the_tiny_preset_is_the_family_that_these_tests_paint_with() -> None:
    assert (TINY.spec.model.family, TINY.spec.model.flavour) == ("sd3", "tiny")


def test_checkpoints_that_are_unfit_are_left_out(request_: Request, run: Path) -> None:
    (run / "output" / "checkpoint-4" / WEIGHTS).write_bytes(b"weights")
    fake = Fake()
    made = paint(replace(request_, every=True), fake)
    assert [one for one in fake.asked if isinstance(one, str)] == ["take 8"]
    assert made.failed[0].startswith("step 4: ")
    assert made.remedies[0]
    assert (len(made.painted), made.missing) == (4, 4)


def test_older_pictures_that_the_page_does_not_show_are_told(request_: Request) -> None:
    paint(request_, Fake())
    said: list[str] = []
    paint(replace(request_, asked=replace(SMALL, seeds=(1,))), Fake(), said)
    assert said == ["note: grid.png shows the pictures of this command alone; 2 older pictures stay in the folder"]


def test_a_folder_that_cannot_be_made_is_told_before_a_model_is_opened(request_: Request, tmp_path: Path) -> None:
    fake, out = Fake(), tmp_path / "new" / ("x" * 300)
    with pytest.raises(TrainerError, match="cannot be written into: file name too long; give --out another folder"):
        paint(replace(request_, out=out), fake)
    assert fake.asked == []
    assert not out.parent.exists()


def test_a_folder_that_somebody_takes_meanwhile_is_told(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "taken"
    monkeypatch.setattr(looked, "try_folder", lambda folder: folder.write_text("mine", "utf-8"))
    with pytest.raises(TrainerError, match="cannot be made: file exists; give --out another folder"):
        paint(replace(request_, out=out), Fake())


def test_an_error_names_its_column_once(request_: Request) -> None:
    failure = TrainerError("is unfit", "mine", "take another")
    said: list[str] = []
    paint(replace(request_, every=True), Fake(unfit={4: failure}), said)
    assert "warning: step 4: is unfit; take another" in said
