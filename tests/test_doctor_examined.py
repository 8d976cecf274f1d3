from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.doctor import examined, readers
from tests.lora_files import SD3, UNET, named, said, tensor, weights, write

GOOD: dict[str, Any] = {"r": 4, "lora_alpha": 4.0}


def sd3(path: Path, style: str = "diffusers-peft", metadata: Any = None, **more: Any) -> Path:
    return write(path, named(weights(), style, **more), metadata)


def test_a_sound_file_is_told_in_full(tmp_path: Path) -> None:
    words = said(**GOOD, base_model_name_or_path="a/b") | {"software": "x\x1b[2J" + "y" * 200, "global_step": "8"}
    seen = examined.examine(sd3(tmp_path / "a", metadata=words))
    assert (seen.verdict, seen.kind, seen.family, seen.key_style) == ("sound", "LoRA", "sd3 tiny", "diffusers-peft")
    assert (seen.rank, seen.ranks, seen.alpha, seen.alpha_from, seen.scale) == (4, (4, 4), 4.0, "metadata", 1.0)
    assert (seen.modules, seen.blocks, seen.of_blocks, seen.dtypes) == (6, 2, 2, ("BF16",))
    assert (seen.comfyui.is_right, seen.diffusers.is_right) == (True, True)
    assert (seen.problems, len(seen.warnings), seen.numbers) == ((), 1, None)
    assert "older versions of PEFT refuse 1 of the settings" in seen.warnings[0].what
    assert seen.base_model == {"base_model_name_or_path": "a/b"}
    assert seen.metadata["global_step"] == "8"
    assert "\x1b" not in seen.metadata["software"]
    assert len(seen.metadata["software"]) < 130


def test_numbers_are_read_when_asked_for(tmp_path: Path) -> None:
    pairs = weights()
    pairs[SD3[0]][1][:] = 0
    write(tmp_path / "a", named(pairs, "diffusers-peft"), said(**GOOD))
    heard: list[int] = []
    seen = examined.examine(tmp_path / "a", True, lambda _stage, done, _total: heard.append(done))
    assert heard == [1, 2, 3, 4, 5, 6]
    assert seen.numbers is not None
    norms = {module: float(np.linalg.norm(second @ first)) for module, (first, second) in pairs.items()}
    assert seen.numbers.zero_modules == 1
    assert seen.numbers.most == pytest.approx(max(norms.values()), rel=1e-5)
    assert seen.numbers.least == pytest.approx(min(norms[module] for module in SD3[1:]), rel=1e-5)
    assert norms[seen.numbers.most_module] == max(norms.values())
    assert 0 < seen.numbers.spectral < seen.numbers.most
    assert len(seen.numbers.sha256) == 64


def test_a_file_of_nothing_but_zeros_is_unfit_only_when_its_numbers_are_read(tmp_path: Path) -> None:
    pairs = {module: (first, second * 0) for module, (first, second) in weights().items()}
    path = write(tmp_path / "a", named(pairs, "diffusers-peft"), said(**GOOD))
    assert examined.examine(path).verdict == "sound"
    seen = examined.examine(path, True)
    assert seen.verdict == "unfit"
    assert seen.numbers is not None
    assert (seen.numbers.most, seen.numbers.least, seen.numbers.most_module) == (0, 0, "")


def test_matrices_that_do_not_multiply_have_no_norm(tmp_path: Path) -> None:
    tensors = named(weights(SD3[:2]), "diffusers-peft")
    tensors[f"transformer.{SD3[0]}.lora_A.weight"] = tensor(np.ones((3, 64)))
    seen = examined.examine(write(tmp_path / "a", tensors), True)
    assert seen.verdict == "unfit"
    assert "do not multiply" in seen.problems[0].what


@pytest.mark.parametrize(
    ("style", "comfyui", "diffusers"),
    [
        ("diffusers-peft", 6, 6),
        ("diffusers-down-up", 6, 6),
        ("base_model.model", 6, 0),
        ("kohya", 0, 0),
        ("lora_transformer", 6, 0),
        ("lycoris", 6, 0),
        ("diffusion_model", 0, 0),
        ("no prefix", 0, 0),
    ],
)
def test_what_reads_which_names_of_sd3_is_told(tmp_path: Path, style: str, comfyui: int, diffusers: int) -> None:
    seen = examined.examine(sd3(tmp_path / "a", style))
    assert (seen.comfyui.modules, seen.diffusers.modules) == (comfyui, diffusers)
    assert seen.verdict == ("sound" if comfyui == diffusers == 6 else "to be mended")
    whats = [warning.what for warning in seen.warnings if warning.remedy == "mend a copy with --fix"]
    assert len(whats) == (comfyui < 6) + (diffusers < 6)


@pytest.mark.parametrize(
    ("style", "comfyui", "diffusers"),
    [("kohya", 6, 6), ("lycoris", 6, 0), ("diffusers-peft", 0, 0), ("no prefix", 0, 0)],
)
def test_what_reads_which_names_of_sd1x_is_told(tmp_path: Path, style: str, comfyui: int, diffusers: int) -> None:
    found = lora.outline(write(tmp_path / "a", named(weights(UNET), style)))
    assert (readers.comfyui(found).modules, readers.diffusers(found).modules) == (comfyui, diffusers)


def test_native_names_are_read_by_comfyui_alone(tmp_path: Path) -> None:
    tensors = {
        "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": tensor(np.ones((2, 64))),
        "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_up.weight": tensor(np.ones((192, 2))),
    }
    seen = examined.examine(write(tmp_path / "a", tensors))
    assert (seen.comfyui.modules, seen.diffusers.modules, seen.family) == (1, 0, "sd3 tiny")
    assert seen.targets == ("x_block_attn_qkv",)


def test_an_alpha_that_comfyui_does_not_see_is_told(tmp_path: Path) -> None:
    seen = examined.examine(sd3(tmp_path / "a", metadata=said(r=4, lora_alpha=2)))
    assert (seen.verdict, seen.comfyui.strength, seen.diffusers.is_right) == ("to be mended", 2.0, True)
    assert "applies it 2 times as strongly" in seen.warnings[0].what


@pytest.mark.parametrize(
    ("modules", "alpha", "metadata", "why"),
    [
        (SD3, 2, None, "it refuses the alphas beside the matrices"),
        (UNET, 2, said("unet", r=4, lora_alpha=2), "it refuses alphas beside lora_adapter_metadata"),
    ],
)
def test_alphas_that_diffusers_refuses_are_told(
    tmp_path: Path, modules: Any, alpha: float, metadata: Any, why: str
) -> None:
    style = "kohya" if modules is UNET else "diffusers-peft"
    seen = examined.examine(write(tmp_path / "a", named(weights(modules), style, alpha=alpha), metadata))
    assert (seen.diffusers.why, seen.alpha_from) == (why, "beside the matrices")


@pytest.mark.parametrize(
    ("words", "modules", "why"),
    [
        ({"target_modules": None}, 0, "does not say target_modules"),
        ({"target_modules": 3}, 0, "does not say target_modules"),
        ({"r": 4, "target_modules": None}, 0, "does not say lora_alpha or target_modules"),
        ({"lora_alpha": 4, "target_modules": ["to_q"]}, 0, "does not say r"),
        ({"r": 4, "target_modules": "to_q"}, 6, "does not say lora_alpha, for which it takes 8"),
    ],
)
def test_settings_that_diffusers_cannot_do_without_are_told(
    tmp_path: Path, words: dict[str, Any], modules: int, why: str
) -> None:
    words = words if words.keys() & {"r", "lora_alpha"} else {**GOOD, **words}
    seen = examined.examine(sd3(tmp_path / "a", metadata=said(**words)))
    assert (seen.verdict, seen.diffusers.modules, seen.comfyui.is_right) == ("to be mended", modules, True)
    assert seen.diffusers.why == f"lora_adapter_metadata of the metadata {why}"
    assert "mend a copy with --fix" in seen.warnings[0].remedy


def test_settings_of_another_component_are_none_to_diffusers(tmp_path: Path) -> None:
    seen = examined.examine(sd3(tmp_path / "a", metadata=said("unet", **GOOD)))
    assert "does not say r or lora_alpha or target_modules" in seen.diffusers.why
    tensors = named(weights(UNET), "no prefix")
    tensors = {f"unet.{name}": one for name, one in tensors.items()}
    assert examined.examine(write(tmp_path / "b", tensors, said("unet", **GOOD))).diffusers.is_right


def test_several_alphas_of_sd1x_are_one_to_diffusers(tmp_path: Path) -> None:
    tensors = named(weights(UNET[:3]), "kohya", alpha=2) | named(weights(UNET[3:]), "kohya", alpha=4)
    seen = examined.examine(write(tmp_path / "a", tensors))
    assert "it takes one for most modules" in seen.diffusers.why
    assert (seen.alpha, seen.scale, seen.of_blocks) == (None, None, None)


def test_what_else_is_worth_knowing_is_told(tmp_path: Path) -> None:
    tensors = named(weights(["transformer_blocks.0.ff.net.2"]), "diffusers-peft", dtype="F32")
    says = " ".join(warning.what for warning in examined.examine(write(tmp_path / "a", tensors)).warnings)
    for part in ("alpha = rank is assumed", "no model that is known here", "take 32 bits"):
        assert part in says
    seen = examined.examine(sd3(tmp_path / "b", metadata=said(**GOOD, velora_config=None)))
    assert "older versions of PEFT refuse 1 of the settings" in seen.warnings[0].what


def test_lokr_is_told_from_a_lora(tmp_path: Path) -> None:
    stem = "lycoris_transformer_blocks_0_attn_to_q"
    tensors = {f"{stem}.lokr_w1": tensor(np.ones((2, 2))), f"{stem}.lokr_w2": tensor(np.ones((4, 4)))}
    seen = examined.examine(write(tmp_path / "a", tensors), True)
    assert (seen.kind, seen.verdict, seen.modules, seen.ranks) == ("LoKr", "unfit", 0, None)
    (problem,) = seen.problems
    assert problem.what == "it is LoKr of LyCORIS, 1 module, which diffusers does not read"
    assert problem.remedy == "make a LoRA of it with --resize R"


def test_numbers_of_8_bits_are_unfit(tmp_path: Path) -> None:
    stem = f"transformer.{SD3[0]}.lora"
    tensors = {f"{stem}_A.weight": ("F8_E4M3", (1, 64), bytes(64)), f"{stem}_B.weight": ("I8", (64, 1), bytes(64))}
    (problem,) = examined.examine(write(tmp_path / "a", tensors)).problems
    assert problem.what == "its numbers are of type F8_E4M3 and I8"


def test_a_lora_of_two_widths_fits_no_model(tmp_path: Path) -> None:
    tensors = named(weights(SD3[:3]), "diffusers-peft") | named(weights(SD3[3:], width=128), "diffusers-peft")
    seen = examined.examine(write(tmp_path / "a", tensors))
    assert seen.verdict == "unfit"
    assert "it fits no model: its attention has 64 and 128 channels" in seen.problems[0].what
    assert (seen.comfyui.modules, seen.diffusers.modules, seen.diffusers.is_right) == (0, 0, False)


def test_names_of_several_ways_are_no_lora(tmp_path: Path) -> None:
    modules = [SD3[0], "joint_blocks.0.x_block.attn.proj"]
    seen = examined.examine(write(tmp_path / "a", named(weights(modules), "diffusers-peft")))
    assert "its modules are named in several ways, such as" in seen.problems[0].what


def test_numbers_that_are_too_large_are_unfit_when_they_are_read(tmp_path: Path) -> None:
    pairs = {module: (first * 1e30, second * 1e30) for module, (first, second) in weights().items()}
    path = write(tmp_path / "a", named(pairs, "diffusers-peft"), said(**GOOD))
    assert examined.examine(path).verdict == "sound"
    seen = examined.examine(path, True)
    assert seen.verdict == "unfit"
    assert "is larger than float16 has numbers for, and to 5 more modules" in seen.problems[0].what


@pytest.mark.parametrize(("alpha", "verdict", "scale"), [(4.0, "sound", 1.0), (2.0, "to be mended", 0.5)])
def test_the_alpha_of_a_run_counts_where_the_file_does_not_say(
    tmp_path: Path, alpha: float, verdict: str, scale: float
) -> None:
    seen = examined.examine(sd3(tmp_path / "a"), alpha=alpha)
    assert (seen.verdict, seen.alpha, seen.alpha_from, seen.scale) == (verdict, alpha, "run", scale)
    assert (seen.comfyui.strength, seen.diffusers.strength) == (1 / scale, 1 / scale)
    told = examined.examine(sd3(tmp_path / "b", metadata=said(**GOOD)), alpha=alpha)
    assert (told.verdict, told.alpha_from) == ("sound", "metadata")


def test_what_is_no_lora_is_unfit(tmp_path: Path) -> None:
    seen = examined.examine(write(tmp_path / "a", {"x": tensor(np.ones(2))}))
    assert (seen.verdict, seen.kind, seen.rank) == ("unfit", "", None)
    (tmp_path / "b").write_bytes(b"nothing")
    with pytest.raises(TrainerError, match="no .safetensors file"):
        examined.examine(tmp_path / "b")
