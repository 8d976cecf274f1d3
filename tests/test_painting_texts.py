from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import UsageError
from kanjiprep.paths import unportable
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import texts
from kanjiprep.publishing.painting.texts import Asked, Named, seeds, short_name
from kanjiprep.publishing.painting.wish import Wish, refuse_size
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training.prompts import SHORT_NAME
from kanjiprep.training.run_spec import Validation
from kanjiprep.training.running.attempts import WEIGHTS
from tests import painting_models, run_folders

FILE = Tuned("lora", Path("a.safetensors"), "a", None, "given", "sd3", "large", "")


@pytest.fixture
def of_run(tmp_path: Path) -> Tuned:
    run = run_folders.trained(tmp_path)
    for number in (4, 8):
        painting_models.lora(run / "output" / f"checkpoint-{number}" / WEIGHTS, number)
    return tuneds.find(str(run), "8")


def test_seeds_are_a_list_with_ranges() -> None:
    assert seeds("1,2, 5-8 ,2") == (1, 2, 5, 6, 7, 8)
    assert seeds("0") == (0,)


@pytest.mark.parametrize("text", ["", "x", "4-1", "-1", "1,,2", "1.5", "4294967296", "1--2", "\u0661"])
def test_what_is_no_list_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no list of seeds; write it as 1,2,3 or 1-4"):
        seeds(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mountains", "mountains"),
        ("a robot, with 2 arms!", "a_robot_with_2_arms"),
        ("山の鳥", "u5c71_u306e_u9ce5"),
        ("Café", "cafe"),
        ("!!!", "prompt"),
        ("../../etc/passwd", "etc_passwd"),
        ("x" * 99, "x" * 40),
        ("Middle-Eastern Uncle who feeds shawarma to local monkeys", "middle_eastern_uncle_who_feeds_shawarma"),
    ],
)
def test_a_prompt_gets_a_short_name_fit_for_a_file(text: str, name: str) -> None:
    assert short_name(text) == name
    assert SHORT_NAME.fullmatch(name)


@given(st.text(max_size=300), st.sets(st.sampled_from(["a", "A", "con", "prompt"])))
def test_whatever_the_prompt_its_name_is_one_for_every_system_and_differs_by_more_than_case(
    text: str, taken: set[str]
) -> None:
    name = short_name(text, taken)
    assert SHORT_NAME.fullmatch(name)
    assert unportable(name) == ""
    assert name == name.lower()
    assert name not in taken


def test_a_prompt_that_names_a_device_of_windows_gets_another_name() -> None:
    assert short_name("CON") == "con_1"


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert short_name("a!", ["a", "a_2"]) == "a_3"


def test_the_subject_comes_first_in_the_style() -> None:
    (one,) = texts.pictures(Asked(("robot",), style="ink"), FILE, "sd3")
    assert one.wish.prompt.startswith("robot. A Japanese kanji character, black ink")
    assert (one.name, one.wish.subject, one.wish.style) == ("robot", "robot", "ink")
    assert one.wish.negative.startswith("color, grey background")


def test_a_file_is_painted_plainly_with_the_models_usual_settings() -> None:
    (one,) = texts.pictures(Asked(("robot",)), FILE, "sd3")
    wish = one.wish
    assert (wish.prompt, wish.style, wish.negative) == ("robot", "plain", "blurry, cropped, ugly")
    assert (wish.size_px, wish.steps, wish.guidance, wish.seed) == (1024, 40, 4.5, 42)
    assert (wish.shift, wish.t5_tokens) == (None, 256)
    (old,) = texts.pictures(Asked(("robot",)), FILE, "sd1x")
    assert (old.wish.size_px, old.wish.steps, old.wish.guidance) == (512, 50, 7.5)


def test_the_medium_model_has_steps_and_guidance_of_its_own() -> None:
    found = [
        *texts.pictures(Asked(("robot",)), replace(FILE, flavour="medium"), "sd3"),
        *texts.pictures(Asked(("robot",)), FILE, "sd3", "medium"),
    ]
    assert [(one.wish.size_px, one.wish.steps, one.wish.guidance) for one in found] == [(1024, 50, 5.0)] * 2


def test_options_come_before_everything() -> None:
    asked = Asked(("robot",), None, "ink", "", (3, 4), 64, 2, 0.0)
    first, second = texts.pictures(asked, FILE, "sd3")
    assert (first.wish.seed, second.wish.seed) == (3, 4)
    assert (first.wish.size_px, first.wish.steps, first.wish.guidance, first.wish.negative) == (64, 2, 0.0, "")


def test_the_creatures_are_painted_once_each_with_further_seeds_for_pikachus() -> None:
    made = texts.pictures(Asked(library="creatures", seeds=(1, 2)), FILE, "sd3")
    assert len(made) == 16
    assert [one.wish.seed for one in made if one.name.startswith("pikachu")] == [1, 2, 3, 4, 5, 6]
    (told,) = texts.repeated(made)
    assert told.startswith(
        "'Pikachu' is there 3 times, with further seeds each time: pikachu_1 from seed 1, pikachu_2"
    )


def test_prompts_that_all_have_the_seeds_of_the_validation_are_told_so() -> None:
    made = [Named(name, Wish("Pikachu", "Pikachu", seed=42)) for name in ("pikachu_1", "pikachu_2")]
    assert list(texts.repeated(made)) == [
        "'Pikachu' is there 2 times, each time with the same seeds, as in the run's validation: pikachu_1, pikachu_2"
    ]


def test_a_prompt_beside_a_library_is_added_and_the_same_one_counts_once() -> None:
    made = texts.pictures(Asked(("dragon", "cat", "cat"), "creatures"), FILE, "sd3")
    assert [one.name for one in made][-2:] == ["dragon_2", "cat"]


def test_nothing_to_paint_is_refused() -> None:
    with pytest.raises(UsageError, match="there is nothing to paint; give --prompt TEXT, or --library creatures"):
        texts.pictures(Asked(), FILE, "sd3")
    with pytest.raises(UsageError, match="a prompt is empty"):
        texts.pictures(Asked((" ",)), FILE, "sd3")


def test_words_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="is not Unicode; write it in UTF-8"):
        texts.pictures(Asked(("a\udcff",)), FILE, "sd3")
    with pytest.raises(UsageError, match="--guidance: nan is no number to multiply by"):
        texts.pictures(Asked(("a",), guidance=float("nan")), FILE, "sd3")


def test_too_many_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="80,000 pictures are too many at once"):
        texts.pictures(Asked(library="creatures", seeds=tuple(range(10_000))), FILE, "sd3")


@pytest.mark.parametrize("name", ["../a", "aux"])
def test_a_library_with_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.toml").write_text(f'[prompts]\n"{name}" = "cat"\n')
    with pytest.raises(UsageError, match="is no name for a file"):
        texts.pictures(Asked(library=str(tmp_path / "mine.toml")), FILE, "sd3")


def test_a_style_of_ones_own_is_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "wash.toml").write_text('prefix = "wash of "\nsubject = "within"\n')
    (one,) = texts.pictures(Asked(("cat",), style=str(tmp_path / "wash.toml")), FILE, "sd3")
    assert (one.wish.prompt, one.wish.style) == ("wash of cat", "wash")


def test_a_run_has_prompts_style_and_size_of_its_own(of_run: Tuned) -> None:
    assert of_run.asked is not None
    made = texts.pictures(Asked(), of_run, "sd3")
    assert {one.name: one.wish.subject for one in made} == dict(of_run.asked.prompts)
    assert {one.wish.size_px for one in made} == {of_run.asked.size_px}
    (one,) = texts.pictures(Asked(("cat",), style="ink"), of_run, "sd3")
    assert one.wish.prompt.startswith("cat. A Japanese")


def test_like_validation_paints_what_the_trainer_was_told(of_run: Tuned) -> None:
    assert of_run.run is not None
    assert of_run.asked is not None
    made = texts.pictures(Asked(like_validation=True), of_run, "sd3")
    told = json.loads((of_run.run / "config" / "prompts.json").read_text())
    assert {one.name: one.wish.prompt for one in made} == told
    first = made[0].wish
    config = json.loads((of_run.run / "config" / "config.json").read_text())
    assert first.negative == config["validation_negative_prompt"]
    assert (first.steps, first.guidance, first.seed) == (
        of_run.asked.inference_steps,
        of_run.asked.guidance,
        of_run.asked.seed,
    )
    (own,) = texts.pictures(Asked(("cat",), like_validation=True), of_run, "sd3")
    assert own.wish.prompt == "cat"


def test_like_validation_takes_the_shift_that_the_run_trains_with_and_what_its_t5_reads(of_run: Tuned) -> None:
    assert of_run.run is not None
    config = of_run.run / "config" / "config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "flow_schedule_shift": 1.5}))
    (like, *_) = texts.pictures(Asked(like_validation=True), of_run, "sd3")
    assert (like.wish.shift, like.wish.t5_tokens) == (1.5, 154)
    (usual, *_) = texts.pictures(Asked(), of_run, "sd3")
    assert (usual.wish.shift, usual.wish.t5_tokens, usual.wish.seed) == (None, 256, 42)
    (first, *_) = texts.pictures(Asked(like_validation=True), of_run, "sd1x")
    assert first.wish.shift is None


def test_where_the_subject_begins_is_known_and_not_searched(of_run: Tuned, tmp_path: Path) -> None:
    (first,) = texts.pictures(Asked(("Ink",), style="ink"), FILE, "sd3")
    assert first.start == 0
    style = tmp_path / "wash.toml"
    style.write_text('prefix = "Ink painting of "\nsuffix = ", Ink"\nsubject = "within"\n')
    (within,) = texts.pictures(Asked(("Ink",), style=str(style)), FILE, "sd3")
    assert within.wish.prompt[within.start :] == "Ink, Ink"
    assert of_run.run is not None
    assert of_run.asked is not None
    told = replace(of_run, asked=replace(of_run.asked, style=str(style), prompts={"ink": "Ink"}))
    (like,) = texts.pictures(Asked((" Ink",), like_validation=True), told, "sd3")
    assert (like.wish.prompt[like.start :], like.start) == ("Ink, Ink", 17)
    (of_run.run / "config" / "prompts.json").write_text('{"ink": "Ink painting of Ink, Ink"}')
    assert texts.pictures(Asked(like_validation=True), told, "sd3")[0].start == 16
    style.unlink()
    assert texts.pictures(Asked(like_validation=True), told, "sd3")[0].start == 0


def test_like_validation_needs_a_run_and_no_style(of_run: Tuned) -> None:
    with pytest.raises(UsageError, match="a: is of no run whose validation could be followed"):
        texts.pictures(Asked(like_validation=True), FILE, "sd3")
    with pytest.raises(UsageError, match="takes the style of the run"):
        texts.pictures(Asked(like_validation=True, style="ink"), of_run, "sd3")
    with pytest.raises(UsageError, match="is of no run whose validation"):
        texts.pictures(Asked(like_validation=True), replace(FILE, asked=Validation()), "sd3")


def test_a_runs_style_that_is_elsewhere_is_told(of_run: Tuned) -> None:
    assert of_run.asked is not None
    gone = replace(of_run, asked=replace(of_run.asked, style="gone.toml"))
    with pytest.raises(UsageError, match=r"no styles file 'gone.toml'.*; give --prompt and --style"):
        texts.pictures(Asked(), gone, "sd3")
    assert texts.pictures(Asked(("cat",), style="ink"), gone, "sd3")


@pytest.mark.parametrize(("size_px", "family", "near"), [(100, "sd3", 96), (1001, "sd1x", 1000), (3, "sd1x", 8)])
def test_a_size_that_the_model_has_not_is_refused(size_px: int, family: str, near: int) -> None:
    with pytest.raises(UsageError, match=f"give {near}"):
        refuse_size(size_px, family)
    refuse_size(near, family)
