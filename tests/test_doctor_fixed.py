from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.doctor import fixed
from tests import lora_files
from tests.lora_files import SD3, STYLES, UNET, Weights, named, said, tensor, weights, write

COMPONENTS = {SD3: "transformer", UNET: "unet"}


def product(pairs: Weights, scale: float = 1.0) -> dict[str, Any]:
    return {module: second @ first * np.float32(scale) for module, (first, second) in pairs.items()}


def assert_equal_in_both(path: Path, wanted: dict[str, Any], tolerance: float = 0.0) -> None:
    for told in (lora_files.comfyui(path, wanted), lora_files.diffusers(path, wanted)):
        assert isinstance(told, dict), told
        assert told.keys() == wanted.keys()
        for module, delta in wanted.items():
            assert np.abs(told[module] - delta).max() <= tolerance * np.abs(delta).max(), module
    found = lora.inspect(path)
    assert lora.problems(found) == ()
    assert not found.settings.superfluous


@pytest.mark.parametrize("style", ["diffusers-peft", "diffusers-down-up"])
@pytest.mark.parametrize("metadata", [{"format": "pt"}, said(r=4, lora_alpha=4.0, target_modules=["to_q"])])
def test_a_sound_file_is_copied_byte_for_byte(tmp_path: Path, style: str, metadata: dict[str, str]) -> None:
    path = write(tmp_path / "a", named(weights(), style), metadata)
    assert fixed.fix(path, tmp_path / "b", 4) == ()
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("alpha", [None, 2, 4])
def test_a_sound_file_of_sd1x_is_copied_byte_for_byte(tmp_path: Path, alpha: float | None) -> None:
    path = write(tmp_path / "a", named(weights(UNET), "kohya", alpha=alpha))
    assert fixed.fix(path, tmp_path / "b") == ()
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


@given(
    st.sampled_from([SD3, UNET]),
    st.sampled_from(sorted(STYLES)),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([0.5, 1, 2, 4, 8, 16, None]),
    st.sampled_from(["beside", "metadata", "run"]),
    st.sampled_from(["BF16", "F16", "F32"]),
)
def test_both_apply_what_was_trained_whatever_the_file_was(
    tmp_path_factory: Any,
    modules: tuple[str, ...],
    style: str,
    rank: int,
    alpha: float | None,
    where: str,
    dtype: str,
) -> None:
    path, out = (tmp_path_factory.getbasetemp() / name for name in ("any", "mended"))
    pairs = weights(modules, rank)
    words = said(COMPONENTS[modules], r=rank, lora_alpha=alpha) if where == "metadata" and alpha else None
    write(path, named(pairs, style, alpha if where == "beside" else None, dtype), words)
    changes = fixed.fix(path, out, alpha if where == "run" else None)
    assert_equal_in_both(out, product(pairs, 1 if alpha is None else alpha / rank))
    assert (out.read_bytes() == path.read_bytes()) == (not changes)
    assert fixed.fix(out, path) == ()


def test_a_bad_prefix_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusion_model"), said(r=4, lora_alpha=4))
    first = "transformer_blocks.0.attn.to_k.lora_A.weight"
    assert fixed.fix(path, tmp_path / "b") == (
        f"renamed 12 tensors, such as 'diffusion_model.{first}' to 'transformer.{first}', for diffusers and ComfyUI",
        "wrote rank and alpha into lora_adapter_metadata of the metadata",
    )


def test_alpha_is_multiplied_into_a_matrix_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), said(r=4, lora_alpha=2, lora_dropout=0.1))
    assert fixed.fix(path, tmp_path / "b", 4) == (
        "multiplied 6 of 6 second matrices by 0.5, alpha / rank, and set alpha to the rank; this is exact",
    )
    found = lora.inspect(tmp_path / "b")
    assert (found.alpha, found.settings.words["lora_dropout"]) == (4.0, 0.1)


def test_alpha_of_the_run_counts_where_the_file_does_not_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"))
    (change,) = fixed.fix(path, tmp_path / "b", 2)
    assert change.startswith("multiplied 6 of 6 second matrices by 0.5")
    assert_equal_in_both(tmp_path / "b", product(weights(), 0.5))
    assert lora.inspect(tmp_path / "b").alpha == 4


def test_rounding_is_told_and_small(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(rank=3), "diffusers-peft"), said(r=3, lora_alpha=1))
    (change,) = fixed.fix(path, tmp_path / "b")
    share = float(change.rpartition(" by ")[2].removesuffix("%"))
    assert "rounding changes them by" in change
    assert 0.05 < share < 0.3
    assert_equal_in_both(tmp_path / "b", product(weights(rank=3), 1 / 3), 0.01)


@pytest.mark.parametrize(("dtype", "factor"), [("F16", 30_000), ("BF16", 1e38), ("F32", 1e38)])
def test_what_does_not_fit_into_the_type_any_more_is_refused(tmp_path: Path, dtype: str, factor: float) -> None:
    pairs = {module: (first, second * np.float32(factor)) for module, (first, second) in weights().items()}
    path = write(tmp_path / "a", named(pairs, "diffusers-peft", dtype=dtype), said(r=4, lora_alpha=64))
    with pytest.raises(TrainerError, match=f"lora_B.weight' times 16 does not fit into {dtype}"):
        fixed.fix(path, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_alphas_beside_the_matrices_are_left_out_of_sd3(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft", alpha=4), said(r=4, lora_alpha=4))
    assert fixed.fix(path, tmp_path / "b") == (
        "left out the alphas beside the matrices, which diffusers does not read as ComfyUI does",
    )
    assert_equal_in_both(tmp_path / "b", product(weights()))


def test_settings_that_older_peft_refuses_are_left_out_and_the_matrices_stay(tmp_path: Path) -> None:
    metadata = said(r=4, lora_alpha=4, velora_config=None, peft_version="0.21.2") | {"global_step": "6"}
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), metadata)
    assert fixed.fix(path, tmp_path / "b") == (
        "left 2 settings that say nothing out of lora_adapter_metadata; older versions of PEFT refuse them",
    )
    before, after = lora_files.everything(path), lora_files.everything(tmp_path / "b")
    assert all(np.array_equal(before[0][name], after[0][name]) for name in before[0].keys() | after[0].keys())
    assert after[1]["global_step"] == "6"


def test_settings_under_another_name_are_written_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), said("unet", r=4, lora_alpha=4))
    assert fixed.fix(path, tmp_path / "b") == ("wrote rank and alpha into lora_adapter_metadata of the metadata",)
    assert_equal_in_both(tmp_path / "b", product(weights()))


@pytest.mark.parametrize(
    "words",
    [
        said(r=4),
        said(),
        said(target_modules=None),
        said(r=4, lora_alpha=4, target_modules=None),
        {"lora_adapter_metadata": '{"transformer.target_modules": null}'},
        said(r=4, lora_alpha=4, target_modules=[1]),
        said(r=4, lora_alpha=4, target_modules=3),
    ],
)
def test_settings_that_lack_something_are_written_whole(tmp_path: Path, words: dict[str, str]) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), words)
    assert fixed.fix(path, tmp_path / "b") == (
        "wrote rank, alpha and target_modules into lora_adapter_metadata of the metadata, which diffusers needs",
    )
    assert_equal_in_both(tmp_path / "b", product(weights()))
    assert lora.inspect(tmp_path / "b").settings.lacking == ()
    assert fixed.fix(tmp_path / "b", tmp_path / "a") == ()


def test_settings_that_lack_something_and_say_too_much_are_told_in_both_ways(tmp_path: Path) -> None:
    words = said(r=4, lora_alpha=4, target_modules=None, velora_config=None)
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), words)
    assert [change.split()[0] for change in fixed.fix(path, tmp_path / "b")] == ["left", "wrote"]


def test_a_file_of_sd1x_gets_the_names_of_kohya_and_keeps_its_matrices_and_alpha(tmp_path: Path) -> None:
    pairs = weights(UNET)
    metadata = said("unet", r=4, lora_alpha=3, velora_config=None) | {"global_step": "6"}
    path = write(tmp_path / "a", named(pairs, "no prefix"), metadata)
    changes = fixed.fix(path, tmp_path / "b")
    assert [change.split()[0] for change in changes] == ["renamed", "put", "left"]
    assert "put alpha 3 beside each pair of matrices, where both read it" in changes
    assert "left lora_adapter_metadata out of the metadata, which diffusers refuses beside alphas" in changes
    assert_equal_in_both(tmp_path / "b", product(pairs, 0.75), 1e-6)
    assert lora_files.everything(tmp_path / "b")[1] == {"format": "pt", "global_step": "6"}


@pytest.mark.parametrize("modules", [SD3, UNET], ids=["sd3", "sd1x"])
def test_several_ranks_and_alphas_become_a_plain_product(tmp_path: Path, modules: tuple[str, ...]) -> None:
    pairs = weights(modules[:3], rank=4) | weights(modules[3:], rank=8)
    tensors = named(weights(modules[:3], rank=4), "lycoris", alpha=4)
    tensors |= named(weights(modules[3:], rank=8), "lycoris", alpha=2)
    changes = fixed.fix(write(tmp_path / "a", tensors), tmp_path / "b")
    assert any(change.startswith("multiplied 3 of 6 second matrices by 0.25") for change in changes)
    wanted = product(pairs) | product(weights(modules[3:], rank=8), 0.25)
    assert_equal_in_both(tmp_path / "b", wanted)
    assert fixed.fix(tmp_path / "b", tmp_path / "c") == ()


def test_of_several_equal_factors_each_is_told_once(tmp_path: Path) -> None:
    words = said(r=4, lora_alpha=2, alpha_pattern={"to_q": 8})
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), words)
    (change,) = fixed.fix(path, tmp_path / "b")
    assert "by 0.5 or 2, alpha / rank" in change


def test_a_rank_stabilized_file_keeps_its_strength(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), said(r=4, lora_alpha=4, use_rslora=True))
    fixed.fix(path, tmp_path / "b")
    assert "transformer.use_rslora" not in json.loads(
        lora_files.everything(tmp_path / "b")[1]["lora_adapter_metadata"]
    )
    assert_equal_in_both(tmp_path / "b", product(weights(), 2))


@pytest.mark.parametrize("module", ["joint_blocks_0_x_block_attn_qkv", "transformer_blocks_0_attn_unheard_of"])
def test_modules_without_a_name_that_both_read_are_refused(tmp_path: Path, module: str) -> None:
    path = write(tmp_path / "a", named(weights([module]), "kohya"))
    with pytest.raises(TrainerError, match=f"there is no name for '{module}' that diffusers and ComfyUI both read"):
        fixed.fix(path, tmp_path / "b")


def test_modules_of_another_model_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(["layers_0_wq"]), "kohya"))
    with pytest.raises(TrainerError, match=r"it is no LoRA for SD3 or SD1.5: .* such as 'layers_0_wq'"):
        fixed.fix(path, tmp_path / "b")


def test_names_of_comfyui_behind_the_prefix_of_diffusers_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(["joint_blocks.0.x_block.attn.qkv"]), "diffusers-peft"))
    with pytest.raises(TrainerError, match="there is no name for 'joint_blocks"):
        fixed.fix(path, tmp_path / "b")


def test_two_modules_that_would_get_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(["down_blocks.0.to_q", "down_blocks.0_to_q"]), "no prefix"))
    with pytest.raises(TrainerError, match="two of its modules"):
        fixed.fix(path, tmp_path / "b")


def test_what_is_unfit_is_not_mended(tmp_path: Path) -> None:
    path = write(tmp_path / "a", {"a": tensor(np.ones(1))})
    with pytest.raises(TrainerError, match="unfit: "):
        fixed.fix(path, tmp_path / "b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_file_can_be_mended_in_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), said(r=4, lora_alpha=2))
    assert fixed.fix(path, path)
    assert_equal_in_both(path, product(weights(), 0.5))
