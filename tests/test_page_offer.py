from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation import score_table
from kanjiprep.publishing.page.offer import BASE, offer
from kanjiprep.training import presets, prompts
from kanjiprep.training.prompts import Style
from tests import lora_files, run_folders

SCORES = 'step,score,chosen,flags\n4,81.25,yes,\n8,40.0,no,"gradient, pictures"\n'


def trained(folder: Path, **more: Any) -> Path:
    """A run whose base model is there, too."""
    (folder / "models/tiny-sd3").mkdir(parents=True, exist_ok=True)
    return run_folders.trained(folder, **more)


def scored(run: Path, text: str = SCORES) -> Path:
    path = run / score_table.NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return run


def test_all_checkpoints_of_a_run_are_offered_with_what_they_score(tmp_path: Path) -> None:
    found = offer(str(scored(trained(tmp_path))))
    assert [(one.key, one.label, one.short) for one in found.choices] == [
        ("4", "step 4, score 81.2, chosen", "step 4"),
        ("8", "step 8, score 40.0, dropped for its gradient, pictures", "step 8"),
        (BASE, "base model alone", "base model alone"),
    ]
    assert found.first == "4"
    assert (found.name, found.family) == ("mine", "sd3")
    assert found.choices[2].tuned is None
    assert any("flags the checkpoint" in one for one in found.choices[1].warnings)


def test_without_scores_the_last_is_chosen_and_settings_are_those_of_the_run(tmp_path: Path) -> None:
    run = trained(tmp_path)
    found = offer(str(run))
    assert [one.label for one in found.choices] == ["step 4", "step 8", "base model alone"]
    assert found.first == "8"
    assert (found.asked.size_px, found.asked.inference_steps, found.asked.guidance) == (256, 2, 3.0)
    assert found.asked.style == "plain"
    assert set(found.styles) == set(prompts.names("styles"))
    assert "dragon" in found.examples
    assert len(found.examples) == len(set(found.examples))
    assert offer(str(run), "owner/other").base == "owner/other"


def test_where_the_chosen_one_is_gone_the_others_are_offered(tmp_path: Path) -> None:
    run = scored(trained(tmp_path))
    shutil.rmtree(run / "output/checkpoint-4")
    found = offer(str(run))
    assert [one.key for one in found.choices] == ["8", BASE]
    assert found.first == "8"


def test_a_style_of_the_run_is_offered_too(tmp_path: Path) -> None:
    style = tmp_path / "ink.toml"
    style.write_text('suffix = ", in my ink"\n', "utf-8")
    preset = presets.load(
        "tiny-cpu", ("training.steps=100", "checkpoints.every_steps=4", f"validation.style={style}")
    )
    found = offer(str(trained(tmp_path, preset=preset)))
    assert found.asked.style == "ink of the run"
    assert found.style("ink of the run") == Style(suffix=", in my ink")
    style.unlink()
    assert offer(str(tmp_path / "runs/mine")).asked.style == "plain"


def test_a_file_is_offered_alone_with_the_usual_settings(tmp_path: Path) -> None:
    path = lora_files.write(
        tmp_path / "cat.safetensors", lora_files.named(lora_files.weights(lora_files.UNET), "kohya")
    )
    found = offer(str(path), "owner/model")
    assert [one.label for one in found.choices] == ["cat", "base model alone"]
    assert (found.first, found.base, found.run) == ("file", "owner/model", None)
    assert found.asked.style == "ink"
    assert found.choice("file").tuned is not None


@pytest.mark.parametrize(
    ("modules", "width", "settings"),
    [
        (lora_files.SD3, 2432, (1024, 40, 4.5, 42)),
        (lora_files.SD3, 1536, (1024, 50, 5.0, 42)),
        (lora_files.UNET, 768, (512, 50, 7.5, 42)),
    ],
)
def test_a_file_begins_with_what_is_usual_for_its_model(
    modules: tuple[str, ...], width: int, settings: tuple[float, ...], tmp_path: Path
) -> None:
    style = "diffusers-peft" if modules is lora_files.SD3 else "kohya"
    tensors = lora_files.named(lora_files.weights(modules, width=width), style)
    asked = offer(str(lora_files.write(tmp_path / "a.safetensors", tensors))).asked
    assert (asked.size_px, asked.inference_steps, asked.guidance, asked.seed) == settings


def test_a_file_of_an_unknown_model_needs_its_base(tmp_path: Path) -> None:
    modules = ("odd.layer",)
    path = lora_files.write(tmp_path / "odd.safetensors", lora_files.named(lora_files.weights(modules), "no prefix"))
    with pytest.raises(UsageError, match="--base"):
        offer(str(path))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the file of a LoRA"):
        offer(str(tmp_path / "nothing"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nonsense")
    with pytest.raises(TrainerError, match="broken"):
        offer(str(broken))
    run = trained(tmp_path)
    shutil.rmtree(run / "output")
    with pytest.raises(TrainerError, match="checkpoint"):
        offer(str(run))


def test_only_what_is_offered_can_be_chosen(tmp_path: Path) -> None:
    found = offer(str(trained(tmp_path)))
    assert found.choice("4").short == "step 4"
    with pytest.raises(UsageError, match="no checkpoint '5'"):
        found.choice("5")
    with pytest.raises(UsageError, match="no style 'x'"):
        found.style("x")
