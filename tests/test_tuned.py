"""What a user names to paint with: a run, a file, a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights.safetensors_file import Raw
from kanjiprep.publishing import tuned
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.lora_files import PEFT, SD3, UNET, flat
from tests.run_folders import keep, trained
from tests.test_attempts import TINY

FULL = presets.load("sd15-full", ("model.flavour=tiny",))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A run that trained a whole model."""
    made = trained(tmp_path, preset=FULL)
    for number in (4, 8):
        part = made / f"output/checkpoint-{number}/unet"
        part.mkdir()
        (part / "config.json").write_text('{"cross_attention_dim": 768}', "utf-8")
        (part.parent / WEIGHTS).unlink()
    return made


def write_lora(path: Path, width: int = 64, style: str = "diffusers-peft") -> Path:
    return lora_files.write(path, lora_files.named(lora_files.weights(SD3, width=width), style))


def write_scores(run: Path, chosen: int) -> None:
    (run / "report").mkdir()
    rows = "".join(f"{step},0.5,{'yes' if step == chosen else ''}\n" for step in (4, 8))
    (run / "report/scores.csv").write_text(f"step,score,chosen\n{rows}", "utf-8")


def test_a_run_gives_its_last_checkpoint_and_how_it_paints(run: Path) -> None:
    found = tuned.find(str(run))
    assert (found.kind, found.path) == ("lora", run / "output/checkpoint-8" / WEIGHTS)
    assert (found.name, found.step, found.run) == ("mine", 8, run)
    assert (found.family, found.flavour) == ("sd3", "tiny")
    assert found.asked == TINY.spec.validation
    assert "the last one" in found.how


def test_a_run_that_is_scored_gives_its_best_checkpoint(run: Path) -> None:
    write_scores(run, 4)
    assert tuned.find(str(run)).step == 4
    assert tuned.find(str(run), "last").step == 8


def test_the_base_is_what_the_trainer_was_told_to_load(run: Path) -> None:
    told = json.loads((run / "config/config.json").read_text("utf-8"))
    folder = Path(told["pretrained_model_name_or_path"])
    assert tuned.find(str(run)).base == "", "its folder is not on this machine, and a tiny model is on no other"
    folder.mkdir(parents=True)
    assert tuned.find(str(run)).base == str(folder)
    told["pretrained_model_name_or_path"] = "me/my-model"
    (run / "config/config.json").write_text(json.dumps(told), "utf-8")
    assert tuned.find(str(run)).base == "me/my-model"


def test_the_base_of_a_flavour_is_its_repository(tmp_path: Path) -> None:
    run = trained(tmp_path, preset=presets.load("sd35-large-lora"))
    assert tuned.find(str(run)).base == "stabilityai/stable-diffusion-3.5-large"


def test_a_flavour_that_is_none_is_refused(run: Path) -> None:
    spec = (run / "run.toml").read_text("utf-8")
    (run / "run.toml").write_text(spec.replace('flavour = "tiny"', 'flavour = "huge"'), "utf-8")
    with pytest.raises(TrainerError, match="run.toml: no flavour 'huge' of sd3"):
        tuned.find(str(run))


def test_every_checkpoint_with_its_weights_is_found(run: Path) -> None:
    assert [one.step for one in tuned.every(str(run))] == [4, 8]
    (run / "output/checkpoint-4" / WEIGHTS).unlink()
    assert [one.step for one in tuned.every(str(run))] == [8]
    (run / "output/checkpoint-8" / WEIGHTS).unlink()
    with pytest.raises(TrainerError, match="has no checkpoint whose weights are there; let it train"):
        tuned.every(str(run))


def test_a_whole_model_is_the_folder_of_its_trained_part(full: Path) -> None:
    found = tuned.find(str(full))
    assert (found.kind, found.path) == ("full", full / "output/checkpoint-8/unet")
    assert [one.step for one in tuned.every(str(full))] == [4, 8]
    alone = tuned.find(str(full / "output/checkpoint-4"))
    assert (alone.kind, alone.path, alone.step) == ("full", full / "output/checkpoint-4/unet", None)
    assert (alone.family, alone.base) == ("sd1x", "stable-diffusion-v1-5/stable-diffusion-v1-5")


@pytest.mark.parametrize(
    ("part", "config", "flavour", "base"),
    [
        ("transformer", {"num_attention_heads": 38, "attention_head_dim": 64}, "large", "3.5-large"),
        ("transformer", {"num_attention_heads": 24, "attention_head_dim": 64}, "medium", "3.5-medium"),
        ("transformer", {"num_attention_heads": 3, "attention_head_dim": 64}, "", ""),
        ("transformer", {"num_attention_heads": "many"}, "", ""),
        ("unet", {"cross_attention_dim": 768}, "1.5", "v1-5"),
        ("unet", {}, "", ""),
    ],
)
def test_a_folder_tells_its_flavour_by_the_shape_of_its_part(
    tmp_path: Path, part: str, config: dict[str, object], flavour: str, base: str
) -> None:
    (tmp_path / part).mkdir()
    (tmp_path / part / "config.json").write_text(json.dumps(config), "utf-8")
    found = tuned.find(str(tmp_path))
    assert found.flavour == flavour
    assert found.base.endswith(base)
    assert bool(found.base) == bool(base)


@pytest.mark.parametrize(
    ("width", "family", "flavour", "base"),
    [
        (2432, "sd3", "large", "stabilityai/stable-diffusion-3.5-large"),
        (1536, "sd3", "medium", "stabilityai/stable-diffusion-3.5-medium"),
        (64, "sd3", "tiny", ""),
        (77, "", "", ""),
    ],
)
def test_a_file_tells_which_model_it_belongs_to(
    tmp_path: Path, width: int, family: str, flavour: str, base: str
) -> None:
    found = tuned.find(str(write_lora(tmp_path / "my kanji.safetensors", width)))
    assert (found.family, found.flavour, found.base) == (family, flavour, base)
    assert (found.name, found.step, found.run) == ("my-kanji", None, None)


def test_a_file_of_sd15_is_of_its_usual_model(tmp_path: Path) -> None:
    tensors: dict[str, Raw] = {}
    for module, (down, up) in lora_files.weights(UNET, width=768).items():
        tensors |= {
            f"unet.{module}.{PEFT[0]}": lora_files.tensor(down),
            f"unet.{module}.{PEFT[1]}": lora_files.tensor(up),
        }
    found = tuned.find(str(lora_files.write(tmp_path / "one.safetensors", tensors)))
    assert (found.family, found.flavour) == ("sd1x", "1.5")
    assert flat(found.base) == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_a_folder_with_an_adapter_is_that_adapter(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-400").mkdir()
    path = write_lora(tmp_path / "checkpoint-400" / WEIGHTS)
    found = tuned.find(str(path.parent))
    assert (found.path, found.name) == (path, "checkpoint-400")


def test_a_checkpoint_in_a_run_folder_is_known_to_be_of_it(run: Path) -> None:
    file = run / "output/checkpoint-4" / WEIGHTS
    for wanted in (file, file.parent):
        found = tuned.find(str(wanted))
        assert (found.path, found.step, found.run, found.name) == (file, 4, run, "mine")
        assert found.how == "the checkpoint that was given"
        with pytest.raises(UsageError, match="is one checkpoint alone; give the folder of its run"):
            tuned.every(str(wanted))


def test_a_file_that_no_run_has_recorded_is_of_none(run: Path) -> None:
    keep(run, 12)
    path = write_lora(run / "output/checkpoint-12" / WEIGHTS)
    assert (tuned.find(str(path)).run, tuned.find(str(path)).step) == (None, None)


def test_a_path_of_no_file_is_told_from_the_name_of_a_run() -> None:
    for wanted in ("nosuch.safetensors", "a/b.ckpt"):
        with pytest.raises(UsageError, match="there is no such file; check its path"):
            tuned.find(wanted)
    with pytest.raises(UsageError, match="or give the file of a LoRA"):
        tuned.find("my-sd3.5-run")


def test_names_that_differ_behind_the_cut_stay_apart(tmp_path: Path) -> None:
    names = [tuned.find(str(write_lora(tmp_path / f"{'亜' * 60}{end}.safetensors"))).name for end in "ab"]
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 120 and name.startswith("亜" * 30) for name in names)


def test_a_name_without_a_letter_becomes_one(tmp_path: Path) -> None:
    assert tuned.find(str(write_lora(tmp_path / "...safetensors"))).name == "lora"


def test_a_checkpoint_of_a_file_is_refused(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "one.safetensors")
    with pytest.raises(UsageError, match="is one checkpoint alone; leave --checkpoint out"):
        tuned.find(str(path), "400")


@pytest.mark.parametrize("wanted", ["nothing", "", "x" * 5000, "a\0b"])
def test_what_is_not_there_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="or give the file of a LoRA"):
        tuned.find(wanted)


def test_a_folder_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="nothing was launched here; give a folder in which a run was launched, or give"
    ):
        tuned.find(str(tmp_path))


def test_a_run_of_which_more_is_known_warns(run: Path) -> None:
    write_scores(run, 4)
    text = (run / "report/scores.csv").read_text("utf-8").replace("8,0.5,", "8,0.5,,pictures")
    (run / "report/scores.csv").write_text(text.replace("chosen", "chosen,flags").replace("yes", "yes,"), "utf-8")
    assert tuned.find(str(run), "8").warnings


def test_a_checkpoint_that_is_not_on_record_is_refused(run: Path) -> None:
    keep(run, 12)
    with pytest.raises(TrainerError, match="has no checkpoint of step 12"):
        tuned.find(str(run), "12")


def test_the_alpha_is_that_of_the_runs_spec_else_its_rank(tmp_path: Path) -> None:
    for settings, alpha in ((("lora.rank=4", "lora.alpha=2"), 2.0), (("lora.rank=8",), 8.0)):
        run = trained(tmp_path / str(alpha), preset=presets.load("tiny-cpu", settings))
        assert tuned.find(str(run)).alpha == alpha
    path = lora_files.write(tmp_path / "a.safetensors", lora_files.named(lora_files.weights(), "diffusers-peft"))
    assert tuned.find(str(path)).alpha is None
