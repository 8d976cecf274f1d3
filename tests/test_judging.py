from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import DatasetError, InputError, TrainerError
from kanjiprep.evaluation import judging, pictures, verdict
from kanjiprep.evaluation.judged import JudgedRun, JudgedStep
from kanjiprep.evaluation.judging import Ways
from kanjiprep.progress import silent
from kanjiprep.training import presets
from kanjiprep.training.running import files
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files, painted_run
from tests.painted_run import SMALL, forget, picture_of, small
from tests.run_folders import prepared, write_environment
from tests.test_score_table import written

RAW = "output/validation_images"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def judged(original: Path, ways: Ways) -> JudgedRun:
    return judging.of_run(original, ways, silent)


@pytest.fixture
def mine(original: Path, tmp_path: Path) -> Path:
    return painted_run.copied(original, tmp_path)


def of_run(run: Path, ways: Ways, **more: Any) -> JudgedRun:
    return judging.of_run(run, ways, silent, **more)


def witnesses(step: JudgedStep) -> set[str]:
    return {flag.about for flag in step.flags}


# Witnesses


def test_the_best_of_the_sound_checkpoints_is_chosen(judged: JudgedRun) -> None:
    assert judged.verdict.status == "chosen"
    assert judged.verdict.step in {50, 60, 70, 80}
    assert [one.step for one in judged.steps] == [10 * number for number in range(1, 9)]
    assert all(one.has_weights and one.path == f"output/checkpoint-{one.step}" for one in judged.steps)
    assert (judged.name, judged.status, judged.step, judged.total_steps) == ("mine", "completed", 80, 80)
    assert judged.prompts["a"].endswith("a")
    assert len(judged.pictures) == 24


def test_a_checkpoint_whose_pictures_have_exploded_is_dropped_by_them(judged: JudgedRun) -> None:
    (bad,) = [one for one in judged.steps if one.flags]
    assert (bad.step, witnesses(bad)) == (30, {"pictures"})
    assert bad.flags[0].text.startswith("3 of 3 pictures have exploded; ")
    assert {one.cell.step for one in judged.pictures if one.fault} == {30}


def test_an_explosion_of_the_gradient_drops_those_in_it_and_soon_after(tmp_path: Path, ways: Ways) -> None:
    painting = replace(SMALL, checkpoints=3, every_steps=60, exploded=(2,), best=1, prompts=("a",))
    found = of_run(small(tmp_path, painting), ways)
    assert [witnesses(one) for one in found.steps] == [set(), {"pictures", "gradient"}, {"gradient"}]
    assert found.verdict.step == 60
    (phase,) = found.phases
    assert 61 <= phase.start <= 80


def save_adapters(run: Path, sizes: dict[int, float]) -> None:
    pairs = lora_files.weights(rank=2, width=4)
    for step, size in sizes.items():
        sized = {name: (down, up * np.float32(size)) for name, (down, up) in pairs.items()}
        tensors = lora_files.named(sized, "diffusers-peft", dtype="F32")
        lora_files.write(run / f"output/checkpoint-{step}" / WEIGHTS, tensors)


def test_weights_that_jumped_drop_a_checkpoint_whatever_its_pictures_are(mine: Path, ways: Ways) -> None:
    save_adapters(mine, {step: 40.0 if step == 60 else 1 + step / 1000 for step in range(10, 90, 10)})
    found = of_run(mine, replace(ways, effort="all"))
    assert [one.step for one in found.weights] == [one.step for one in found.steps]
    assert "weights" in witnesses(found.steps[5])
    assert "weights" not in witnesses(found.steps[1])
    assert found.verdict.step != 60
    assert [one.name for one in (mine / "report").iterdir()] == ["norms.json"]
    assert found.facts[-1].how == f"computed from {len(lora_files.SD3)} modules of each adapter"


def test_an_adapter_with_nan_drops_its_checkpoint(mine: Path, ways: Ways) -> None:
    save_adapters(mine, {step: np.nan if step == 80 else 1.0 for step in range(10, 90, 10)})
    found = of_run(mine, replace(ways, effort="some"))
    assert witnesses(found.steps[-1]) == {"weights"}
    assert "NaN" in found.steps[-1].flags[0].text


def test_weights_that_cannot_be_read_are_a_warning_without_a_path(mine: Path, ways: Ways) -> None:
    (warning,) = [one for one in of_run(mine, replace(ways, effort="some")).warnings if "weights" in one]
    said = (
        "the weights were not looked at: output/checkpoint-10/pytorch_lora_weights.safetensors no .safetensors file"
    )
    assert warning.startswith(said)


def test_a_full_fine_tune_has_no_adapters_to_look_at(mine: Path, ways: Ways) -> None:
    path = mine / presets.SPEC
    text = path.read_text("utf-8")
    assert 'train = "lora"' in text
    path.write_text(text.replace('train = "lora"', 'train = "full"'), "utf-8")
    found = of_run(mine, replace(ways, effort="all"))
    assert found.weights == ()
    assert not any("weights" in one for one in found.warnings)


def test_nothing_is_written_into_the_run_without_a_look_at_weights(mine: Path, ways: Ways) -> None:
    before = sorted(mine.rglob("*"))
    of_run(mine, ways)
    assert sorted(mine.rglob("*")) == before


# What is there to be judged


def test_the_base_model_is_judged_and_is_no_candidate(tmp_path: Path, ways: Ways) -> None:
    found = of_run(small(tmp_path, replace(SMALL, checkpoints=2, exploded=(), has_base=True)), ways)
    assert [one.step for one in found.steps] == [10, 20]
    assert [one.cell.step for one in found.pictures if one.cell.is_base] == [0, 0, 0]
    assert [one.step for one in found.verdict.ranked] == [10, 20]


def test_checkpoints_that_are_gone_are_not_chosen(mine: Path, ways: Ways, judged: JudgedRun) -> None:
    shutil.rmtree(mine / f"output/checkpoint-{judged.verdict.step}")
    found = of_run(mine, ways)
    assert found.verdict.step != judged.verdict.step
    assert "1 of 8 checkpoints are no longer there, and are not chosen" in found.warnings
    assert [one.step for one in found.steps if not one.has_weights] == [judged.verdict.step]


def test_a_copy_without_any_checkpoint_is_judged_by_its_pictures(mine: Path, ways: Ways, judged: JudgedRun) -> None:
    for folder in (mine / "output").glob("checkpoint-*"):
        shutil.rmtree(folder)
    found = of_run(mine, ways)
    assert found.verdict == judged.verdict
    assert "no checkpoint is in the run folder; the choice is by their pictures alone" in found.warnings


def test_checkpoints_without_pictures_are_told(mine: Path, ways: Ways) -> None:
    forget(mine, '"validation"', '"step": 80')
    found = of_run(mine, ways)
    assert "1 of 8 checkpoints have no pictures, and are not judged" in found.warnings
    assert 80 not in [one.step for one in found.verdict.ranked]
    assert (found.steps[-1].step, found.steps[-1].pictures, found.steps[-1].score) == (80, 0, None)


def test_a_run_whose_checkpoints_have_no_pictures_at_all_chooses_none(mine: Path, ways: Ways) -> None:
    forget(mine, '"validation"')
    shutil.rmtree(mine / RAW)
    found = of_run(mine, ways)
    assert (found.verdict.status, found.pictures) == ("none", ())
    assert found.verdict.why == "none of its 8 checkpoints has a validation picture to be judged by"


def test_a_run_of_noise_alone_says_what_is_wrong_with_its_pictures(tmp_path: Path, ways: Ways) -> None:
    found = of_run(small(tmp_path, replace(SMALL, checkpoints=2, exploded=(1, 2))), ways)
    assert (found.verdict.status, found.verdict.step) == ("none", None)
    assert found.verdict.why.endswith("; exploded pictures: 6 of 6 (no ink on paper)")
    assert all(witnesses(one) == {"pictures"} for one in found.steps)


def test_a_run_without_a_sound_checkpoint_for_other_reasons_does_not_blame_its_pictures(
    mine: Path, ways: Ways
) -> None:
    save_adapters(mine, dict.fromkeys(range(10, 90, 10), float("nan")))
    forget(mine, '"validation"', '"step": 30')
    found = of_run(mine, replace(ways, effort="all"))
    assert found.verdict.status == "none"
    assert "exploded pictures" not in found.verdict.why


def test_a_run_that_crashed_is_judged_by_what_it_left(tmp_path: Path, ways: Ways) -> None:
    found = of_run(small(tmp_path, replace(SMALL, checkpoints=1, exploded=(), best=1), ends=False), ways)
    assert found.status in {"lost", "copy"}
    assert (found.verdict.status, found.verdict.step) == ("chosen", 10)
    assert "the only checkpoint" in found.verdict.why


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_run_that_has_not_begun_is_told(tmp_path: Path, ways: Ways, how: str) -> None:
    run = prepared(tmp_path)
    if how == "empty":
        (run / files.EVENTS).touch()
    with pytest.raises(InputError, match=f"^{run}: has not begun, so there is nothing to judge; let it run until"):
        of_run(run, ways)


def test_a_record_of_no_attempt_is_told(tmp_path: Path, ways: Ways) -> None:
    run = prepared(tmp_path)
    (run / files.EVENTS).write_text("what is this\n")
    with pytest.raises(TrainerError, match=r"events\.jsonl: tells of no attempt"):
        of_run(run, ways)


# Pictures that cannot be read


def test_a_picture_that_cannot_be_read_is_left_out_and_told(mine: Path, ways: Ways) -> None:
    picture_of(mine, 10).write_bytes(b"no picture")
    found = of_run(mine, ways)
    assert len(found.pictures) == 23
    assert any(one.startswith(f"{RAW}/step_10_a_0_128x128.png cannot be read") for one in found.warnings)


def test_if_none_can_be_read_it_is_an_error_or_a_note(mine: Path, ways: Ways) -> None:
    shutil.rmtree(mine / RAW)
    says = "is not there, and none of the 24 pictures on record can be read"
    with pytest.raises(InputError, match=f"^{RAW}/step_10_a_0_128x128.png: {says}; "):
        of_run(mine, ways, must_see=True)
    found = of_run(mine, ways)
    assert found.pictures == ()
    assert found.warnings == (f"{RAW}/step_10_a_0_128x128.png {says}",)


def test_a_width_is_looked_for_in_the_pictures(mine: Path, ways: Ways) -> None:
    assert len(of_run(mine, replace(ways, size_px=128)).pictures) == 24
    with pytest.raises(InputError, match="has no picture that is 64 px wide"):
        of_run(mine, replace(ways, size_px=64))


# The training pictures


def test_few_training_pictures_are_told(judged: JudgedRun) -> None:
    told = "the bands rest on 12 training pictures, and are sure with 100 or more"
    assert judged.warnings[0] == told


def test_many_training_pictures_are_not_worth_a_word(mine: Path, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FEW", 12)
    assert of_run(mine, ways).warnings == ()


def test_pictures_that_are_gone_can_be_given_with_a_dataset(
    original: Path, mine: Path, ways: Ways, judged: JudgedRun
) -> None:
    shutil.rmtree(mine / "pictures")
    with pytest.raises(DatasetError, match=r"give --dataset; it was /home/alice"):
        of_run(mine, ways)
    found = of_run(mine, replace(ways, dataset=original.parents[1]))
    assert found.verdict == judged.verdict
    assert any(
        one.endswith("is not the dataset, as it was then, that the run was trained on") for one in found.warnings
    )


def test_the_dataset_of_pictures_alone_is_the_one_beside_unless_another_is_given(
    tmp_path: Path, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert judging.dataset_of(replace(ways, dataset=tmp_path / "other")) == tmp_path / "other"
    with pytest.raises(DatasetError, match="^dataset/: is not there; give the training pictures with --dataset$"):
        judging.dataset_of(ways)
    (tmp_path / "dataset").mkdir()
    assert judging.dataset_of(ways) == Path("dataset")


def test_pictures_alone_are_judged_as_those_of_a_run(original: Path, ways: Ways, judged: JudgedRun) -> None:
    cells = pictures.of_folder(original, None)
    found = judging.of_cells("there", original, cells, replace(ways, dataset=original.parents[1]), silent)
    assert [one.score for one in found.pictures] == pytest.approx([one.score for one in judged.pictures])
    assert (found.verdict.step, found.status, found.total_steps) == (judged.verdict.step, "pictures", 80)
    assert (found.settings, found.phases, found.weights, found.prompts) == (
        {},
        (),
        (),
        {"a": "a", "b": "b", "c": "c"},
    )
    assert found.dataset.pictures == painted_run.TRAINING
    assert [one.what for one in found.facts] == ["score, style, shape", "interval and tie"]


def test_scores_of_before_are_not_looked_at(mine: Path, ways: Ways, judged: JudgedRun) -> None:
    assert of_run(written(mine, "no table"), ways).verdict == judged.verdict


def test_a_run_on_another_dataset_has_bands_of_its_own(mine: Path, ways: Ways) -> None:
    write_environment(mine, digest="cd" * 32)
    of_run(mine, ways)
    assert {"ab" * 32, "cd" * 32} <= {path.name.partition("-")[0] for path in ways.cache.iterdir()}


def test_candidates_are_those_with_weights_and_pictures(judged: JudgedRun) -> None:
    steps = [replace(one, has_weights=one.step != 10, pictures=0 if one.step == 20 else 2) for one in judged.steps]
    found = verdict.candidates(steps, judged.pictures)
    assert [one.step for one in found] == [30, 40, 50, 60, 70, 80]
    assert len(found[0].scores) == 3
    assert found[0].flags
