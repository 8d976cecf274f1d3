"""What a workflow says, from words to nodes; its files are in test_comfyui_export.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.publishing.comfyui import nodes
from kanjiprep.publishing.comfyui.graph import Link, Workflow
from kanjiprep.publishing.comfyui.written import export, model_files, recipe, wording
from kanjiprep.publishing.comfyui.written.order import Order
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.sampling import Sampling, Skip
from kanjiprep.publishing.painting import texts
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import presets
from tests import lora_files
from tests.run_folders import prepared

FILE = Tuned("lora", Path("lora.safetensors"), "lora", None, "the file that was given", "sd3", "large", "")
LARGE = presets.load("sd35-large-lora")
SUBJECTS = ("A dragon!", "a  DRAGON", "山", "Äpfel")
CAPTION = replace(LARGE.spec.validation, style="caption")


def of_run(folder: Path, preset: str, *settings: str) -> Tuned:
    """A checkpoint of a run of ``preset``, as ``tuned.find`` gives it."""
    found = presets.load(preset, settings)
    run = prepared(folder, found)
    spec = found.spec
    return Tuned(
        "lora", run / "w", "mine", 8, "the last one", spec.model.family, spec.model.flavour, "", run, spec.validation
    )


def made(tuned: Tuned = FILE, **order: Any) -> Recipe:
    return recipe.recipe(tuned, Order(**order))


def drawn(tuned: Tuned = FILE, **order: Any) -> Workflow:
    return export.workflow(made(tuned, **order))


def said(found: Recipe) -> dict[str, tuple[str, str]]:
    return {one.name: (one.value, one.source) for one in found.settings}


def test_without_a_run_pictures_are_as_stability_makes_them() -> None:
    found = made()
    assert found.sampling == Sampling(40, 4.5, "dpmpp_2m", "sgm_uniform", 3.0)
    assert (found.size_px, found.seed, found.negative, found.prompts[0].text) == (1024, 42, "", "mountains")
    assert made(replace(FILE, flavour="medium")).sampling == Sampling(50, 5.0, "dpmpp_2m", "sgm_uniform", 3.0)


def test_the_encoders_are_loaded_by_themselves_and_both_texts_read_by_them() -> None:
    graph = drawn()
    (encoders,) = graph.of_kind("TripleCLIPLoader")
    assert list(encoders.inputs.values()) == [
        "clip_l.safetensors",
        "clip_g.safetensors",
        "t5xxl_fp16.safetensors",
    ]
    assert [node.inputs["clip"] for node in graph.of_kind("CLIPTextEncode")] == 2 * [Link(encoders.id, 0)]
    assert [node.kind for node in graph.nodes] == [
        "CheckpointLoaderSimple",
        "LoraLoaderModelOnly",
        "TripleCLIPLoader",
        "CLIPTextEncode",
        "EmptySD3LatentImage",
        "CLIPTextEncode",
        "KSampler",
        "VAEDecode",
        "SaveImage",
    ]
    assert graph.of_kind("KSampler")[0].inputs["model"] == Link("2", 0)


def test_every_node_and_every_input_is_one_of_comfyuis(tmp_path: Path) -> None:
    medium = of_run(tmp_path, "sd35-medium-lora")
    first = replace(FILE, family="sd1x", flavour="1.5")
    for graph in (drawn(prompts=("a", "b")), drawn(medium, like_validation=True), drawn(first)):
        ids = [node.id for node in graph.nodes]
        assert len(set(ids)) == len(ids)
        for node in graph.nodes:
            kind = nodes.TABLE[node.kind]
            assert set(node.inputs) == {one.name for one in kind.inputs if one.required}
            for source in node.inputs.values():
                assert not isinstance(source, Link) or source.node in ids[: ids.index(node.id)]


def test_the_smaller_variant_differs_in_the_largest_encoder_alone() -> None:
    loader = drawn(variant="fp8").of_kind("TripleCLIPLoader")[0]
    assert loader.inputs["clip_name3"] == "t5xxl_fp8_e4m3fn.safetensors"
    assert drawn(variant="fp8").nodes[0].inputs["ckpt_name"] == "sd3.5_large.safetensors"


def test_a_checkpoint_that_holds_encoders_is_taken_only_when_it_is_named() -> None:
    graph = drawn(checkpoint_file="sd3.5_large_fp8_scaled.safetensors")
    assert not graph.of_kind("TripleCLIPLoader")
    assert {node.inputs["clip"] for node in graph.of_kind("CLIPTextEncode")} == {Link("1", 1)}
    assert drawn(checkpoint_file="mine/kanji.safetensors").of_kind("TripleCLIPLoader")


@pytest.mark.parametrize(
    "name", ["", "/abs.safetensors", "../x.safetensors", "a\\b.ckpt", "model", "a\n.safetensors"]
)
def test_a_checkpoint_file_is_named_as_comfyui_lists_it(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a checkpoint file"):
        made(checkpoint_file=name)


def test_the_tiny_model_of_rehearsals_has_no_file_in_comfyui() -> None:
    tiny = replace(FILE, flavour="tiny")
    with pytest.raises(UsageError, match="the tiny model of sd3, which is for rehearsals; give --checkpoint-file"):
        made(tiny)
    assert made(tiny, checkpoint_file="tiny.safetensors").sampling.steps == 40
    assert made(replace(tiny, family="sd1x"), checkpoint_file="tiny.safetensors").sampling.shift is None


def test_a_full_fine_tune_is_refused_with_what_to_do() -> None:
    full = replace(FILE, kind="full", path=Path("runs/mine/checkpoint-8/unet"), name="mine", step=8)
    with pytest.raises(UsageError) as told:
        made(full)
    assert str(told.value).startswith(
        "mine-step-8: is a full fine-tune, and this workflow is for LoRAs; put the weights"
    )
    assert "checkpoint-8/unet" in str(told.value)
    assert "models/diffusion_models" in str(told.value)
    assert "single file" in str(told.value)


def test_a_lora_of_an_unknown_model_is_refused(tmp_path: Path) -> None:
    path = lora_files.write(
        tmp_path / "a.safetensors", lora_files.named(lora_files.weights(width=48), "diffusers-peft")
    )
    with pytest.raises(UsageError, match="a LoRA for a model that is not known"):
        made(replace(FILE, path=path, family="", flavour=""))


def test_a_file_that_is_no_lora_at_all_is_not_called_one(tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "a b.safetensors", {"unet.weight": lora_files.tensor([[1.0]])})
    with pytest.raises(TrainerError) as told:
        made(replace(FILE, path=path, family="", flavour=""))
    assert "unfit: it holds no LoRA of a known kind, but 'unet.weight'; look at it with kanjiprep" in str(told.value)
    assert str(told.value).endswith(f"lora '{path}'")


@pytest.mark.parametrize("tuned", [FILE, replace(FILE, family="sd1x", flavour="1.5")])
def test_control_characters_in_prompts_become_spaces_with_a_note(tuned: Tuned) -> None:
    found = made(tuned, prompts=("a\x1b[31mred\nx\ty\x9b",), negative="b\x07c")
    assert found.prompts[0].text == found.prompts[0].subject == "a [31mred\nx\ty "
    assert found.negative == "b c"
    assert "control characters in the prompts were made spaces" in found.notes
    assert "\x1b" not in str(found.settings)
    assert not any("control" in note for note in made(tuned, prompts=("a\nb",)).notes)


def test_a_first_lora_reads_text_with_its_own_checkpoint() -> None:
    first = replace(FILE, family="sd1x", flavour="1.5")
    graph = drawn(first)
    assert graph.nodes[0].inputs["ckpt_name"] == "v1-5-pruned-emaonly.safetensors"
    assert {node.inputs["clip"] for node in graph.of_kind("CLIPTextEncode")} == {Link("1", 1)}
    assert graph.of_kind("EmptyLatentImage")[0].inputs["width"] == 512
    assert made(first).sampling == Sampling(50, 7.5, "dpmpp_2m", "karras")


def test_several_prompts_share_the_loaders() -> None:
    graph = drawn(prompts=("dragon", "the internet", "dragon"))
    assert [node.inputs["text"] for node in graph.of_kind("CLIPTextEncode")] == ["", "dragon", "the internet"]
    assert [node.inputs["filename_prefix"] for node in graph.of_kind("SaveImage")] == [
        "lora_dragon",
        "lora_the_internet",
    ]
    assert len(graph.of_kind("KSampler")) == 2
    assert len(graph.of_kind("LoraLoaderModelOnly")) == 1


def test_names_of_prompts_are_fit_for_files_and_unlike() -> None:
    found = wording.short_names([*SUBJECTS, "_", "x" * 99])
    assert found == ("a_dragon", "a_dragon_2", "u5c71", "apfel", "prompt", "x" * 40)
    assert list(found[:4]) == [texts.short_name(one, found[:at]) for at, one in enumerate(SUBJECTS)]


def test_a_style_has_the_subject_first() -> None:
    found = made(prompts=("dragon",), style="ink")
    assert found.prompts[0].text.startswith("dragon. A Japanese kanji character")
    assert (found.prompts[0].name, found.prompts[0].subject) == ("dragon", "dragon")
    assert found.negative.startswith("color, grey background")
    assert made(prompts=("dragon",), style="ink", negative=" red ").negative == "red"
    with pytest.raises(UsageError, match="no styles file 'inc'"):
        made(style="inc")


def test_a_run_has_the_style_that_generate_paints_in(tmp_path: Path) -> None:
    for preset, settings in (
        ("sd35-large-lora", ("validation.style=caption",)),
        ("sd35-large-lora", ("validation.style=calligraphy",)),
        ("sd15-full", ()),
    ):
        tuned = of_run(tmp_path / f"{preset}{len(settings)}{settings}", preset, *settings)
        for subject in ("fire", "a dragon.", "竜"):
            found = made(tuned, prompts=(subject,))
            (named,) = texts.pictures(texts.Asked(prompts=(subject,)), tuned, tuned.family)
            wish = named.wish
            assert (found.prompts[0].name, found.prompts[0].text, found.negative) == (
                named.name,
                wish.prompt,
                wish.negative,
            )
            assert said(found)["style"] == (wish.style, "the run's own")
        whole = texts.pictures(texts.Asked(), tuned, tuned.family)
        assert [one.text for one in made(tuned).prompts] == [whole[0].wish.prompt]


def test_the_style_is_told(tmp_path: Path) -> None:
    assert said(made())["style"] == ("none", "give --style for one")
    assert said(made(style="ink"))["style"] == ("ink", "as asked for")
    assert wording.words(FILE, ("dragon",), None, None, like_validation=True).prompts[0].text == "dragon"
    tuned = of_run(tmp_path, "sd35-large-lora")
    assert said(made(tuned, like_validation=True))["style"] == ("plain", "the run's own")
    assert said(made(tuned, prompts=("dragon",)))["prompt dragon"] == ("dragon", "in the style, the subject first")


def test_a_run_whose_style_is_gone_has_only_the_prompts_that_it_recorded(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora", "validation.style=caption")
    recorded = json.loads((tuned.run or Path()).joinpath("config/prompts.json").read_text("utf-8"))
    gone = replace(tuned, asked=replace(CAPTION, style="/gone/style.toml"))
    assert made(gone).prompts[0].text == next(iter(recorded.values()))
    assert made(gone, prompts=("mountains",)).prompts[0].text == recorded["mountains"]
    assert said(made(gone))["style"] == ("style", "the run's own")
    with pytest.raises(UsageError, match="the style of the run is not here, so a new prompt cannot be put into it"):
        made(gone, prompts=("whale song",))
    assert made(gone, prompts=("whale song",), style="plain").prompts[0].text == "whale song"


def test_a_seed_that_a_browser_would_round_is_refused(tmp_path: Path) -> None:
    most = 2**53 - 1
    assert made(seed=most).seed == most
    with pytest.raises(
        UsageError, match=f"--seed: {most + 1} is too large: .* would round it; give one up to {most}"
    ):
        made(seed=most + 1)
    with pytest.raises(UsageError, match=r"--seed: 10+\.\.\.0+ is too large"):
        made(seed=10**400)


def test_the_first_validation_prompt_is_taken_word_for_word(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora", "validation.style=caption")
    name, text = next(
        iter(json.loads((tuned.run or Path()).joinpath("config/prompts.json").read_text("utf-8")).items())
    )
    found = made(tuned)
    assert [(one.name, one.text) for one in found.prompts] == [(name, text)]
    assert text.startswith("Image of a Japanese kanji character")
    assert found.prompts[0].subject in text
    assert found.prompts[0].subject != text
    assert said(found)[f"prompt {name}"][1] == "in the style"
    assert said(found)["style"] == ("caption", "the run's own")
    assert made(tuned, prompts=(name,)).prompts[0].text == text, "its short name means the same"
    assert made(tuned, style="ink").prompts[0].text.startswith(f"{found.prompts[0].subject}. A Japanese")
    assert made(tuned, style="ink", prompts=(name,)).prompts == made(tuned, style="ink").prompts


def test_a_run_without_its_file_of_prompts_has_them_from_its_spec(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora")
    before = made(tuned).prompts
    (tuned.run or Path()).joinpath("config/prompts.json").unlink()
    assert made(tuned).prompts == before


def test_like_validation_is_the_runs_own_settings(tmp_path: Path) -> None:
    tuned = of_run(
        tmp_path, "sd35-large-lora", "validation.inference_steps=28", "validation.seed=7", "validation.size_px=512"
    )
    found = made(tuned, like_validation=True)
    assert found.sampling == Sampling(28, 3.0, "euler", "normal", 1.0)
    assert (found.size_px, found.seed, found.negative) == (512, 7, "blurry, cropped, ugly")
    assert said(found)["cfg"] == ("3", "as in the validation of the run")
    assert any("its own shift 1" in note for note in found.notes)
    assert made(tuned, like_validation=True, guidance=5.0, steps=4, seed=1).sampling.guidance == 5.0
    assert made(tuned).sampling == Sampling(40, 4.5, "dpmpp_2m", "sgm_uniform", 3.0)


def test_the_shift_is_the_one_that_the_trainer_was_told(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora")
    path = (tuned.run or Path()) / "config/config.json"
    told = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(told | {"flow_schedule_shift": 2}), "utf-8")
    (shift,) = drawn(tuned, like_validation=True).of_kind("ModelSamplingSD3")
    assert shift.inputs == {"model": Link("2", 0), "shift": 2.0}
    del told["flow_schedule_shift"]
    path.write_text(json.dumps(told), "utf-8")
    assert made(tuned, like_validation=True).sampling.shift == 1.0
    assert not drawn(of_run(tmp_path / "other", "sd35-large-lora-lr1.05e-3"), like_validation=True).of_kind(
        "ModelSamplingSD3"
    )


def test_skipped_layers_come_after_the_shift(tmp_path: Path) -> None:
    graph = drawn(of_run(tmp_path, "sd35-medium-lora"), like_validation=True)
    (skip,) = graph.of_kind("SkipLayerGuidanceSD3")
    assert skip.inputs == {
        "model": Link("3", 0),
        "layers": "7, 8, 9",
        "scale": 2.8,
        "start_percent": 0.01,
        "end_percent": 0.2,
    }
    assert graph.of_kind("KSampler")[0].inputs["model"] == Link(skip.id, 0)


def test_layers_are_skipped_of_medium_when_asked() -> None:
    medium = replace(FILE, flavour="medium")
    assert made(medium).sampling.skip is None
    assert made(medium, skip_layers=True).sampling.skip == Skip((7, 8, 9), 2.5, 0.01, 0.30)
    with pytest.raises(UsageError, match="is for SD3.5 Medium"):
        made(skip_layers=True)


def test_like_validation_puts_the_runs_style_around_new_prompts(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora", "validation.style=caption")
    found = made(tuned, like_validation=True, prompts=("whale song", "mountains"))
    texts = json.loads((tuned.run or Path()).joinpath("config/prompts.json").read_text("utf-8"))
    assert [one.text for one in found.prompts] == [
        "Image of a Japanese kanji character in plain font. The character means: whale song.",
        texts["mountains"],
    ]
    elsewhere = replace(tuned, asked=replace(CAPTION, style="/gone/style.toml"))
    assert made(elsewhere, like_validation=True, prompts=("mountains",)).prompts[0].text == texts["mountains"]
    with pytest.raises(UsageError, match="the style of the run is not here"):
        made(elsewhere, like_validation=True, prompts=("whale song",))


def test_a_negative_prompt_that_the_trainer_was_not_told_is_of_the_style(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora")
    path = (tuned.run or Path()) / "config/config.json"
    told = json.loads(path.read_text("utf-8"))
    del told["validation_negative_prompt"]
    path.write_text(json.dumps(told), "utf-8")
    assert made(tuned, like_validation=True).negative == "blurry, cropped, ugly"


def test_like_validation_needs_a_run_and_no_other_style(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of no run, so there is no validation to be like"):
        made(like_validation=True)
    with pytest.raises(UsageError, match="--style: and --like-validation are two styles"):
        made(of_run(tmp_path, "sd35-large-lora"), like_validation=True, style="ink")


@pytest.mark.parametrize(
    ("prompt", "what"), [(" ", "is empty"), ("\udcff", "no Unicode"), ("a\0", "a NUL"), ("x" * 10_001, "longer")]
)
def test_a_prompt_that_cannot_be_used_is_refused(prompt: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        made(prompts=("dragon", prompt))


def test_a_size_that_no_latent_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="1000 is no multiple of 16; the nearest is 992"):
        made(size_px=1000)
    assert made(replace(FILE, family="sd1x", flavour="1.5"), size_px=1000).size_px == 1000


def test_a_model_of_ones_own_is_pointed_out(tmp_path: Path) -> None:
    tuned = of_run(tmp_path, "sd35-large-lora", "model.path=me/model")
    assert any("a model of its own" in note for note in made(tuned).notes)
    assert not made(tuned, checkpoint_file="mine.safetensors").notes


def test_every_file_has_a_folder_and_ours_have_a_page() -> None:
    for variant in ("fp16", "fp8"):
        file = model_files.checkpoint("sd3", "large", None)
        for one in (file, *model_files.encoders(file, variant)):
            assert re.fullmatch(r"models/\w+", one.folder)
            assert one.page.startswith("https://huggingface.co/")
            assert one.size


@pytest.mark.slow
@pytest.mark.parametrize("steps", [20, 28, 30, 40])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_series_of_like_validation_is_that_of_the_trainers_scheduler(steps: int, shift: float) -> None:
    """ComfyUI's ``normal``, re-stated: equal steps of time from the first noise level to the last, then shifted."""
    schedulers = pytest.importorskip("diffusers.schedulers.scheduling_flow_match_euler_discrete")
    theirs = schedulers.FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(steps)

    def shifted(time: float) -> float:
        return shift * time / (1 + (shift - 1) * time)

    last = shifted(1 / 1000)
    times = [1 + (last - 1) * number / (steps - 1) for number in range(steps)]
    assert theirs.sigmas.tolist() == pytest.approx([*map(shifted, times), 0], abs=3e-7)
