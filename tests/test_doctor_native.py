from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.doctor import fixed, native
from tests import lora_files
from tests.lora_files import tensor, write

W = 6


def file(path: Path, *pairs: tuple[str, Any, Any], alpha: float | None = None) -> Path:
    tensors = {}
    for module, down, up in pairs:
        tensors[f"lora_unet_{module}.lora_down.weight"] = tensor(down, "F32")
        tensors[f"lora_unet_{module}.lora_up.weight"] = tensor(up, "F32")
        if alpha is not None:
            tensors[f"lora_unet_{module}.alpha"] = tensor(alpha, "F32")
    return write(path, tensors)


def products(path: Path) -> dict[str, Any]:
    tensors, _ = lora_files.everything(path)
    stems = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    return {
        stem.removeprefix("transformer."): tensors[f"{stem}.lora_B.weight"] @ tensors[f"{stem}.lora_A.weight"]
        for stem in stems
    }


def random(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).integers(-8, 8, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("fused", "leaves"),
    [
        ("x_block_attn_qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
        ("context_block_attn_qkv", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
        ("x_block_attn2_qkv", ("attn2.to_q", "attn2.to_k", "attn2.to_v")),
    ],
)
def test_a_fused_module_becomes_three_with_the_same_first_matrix(
    tmp_path: Path, fused: str, leaves: tuple[str, ...]
) -> None:
    down, up = random(3, W), random(3 * W, 3)
    path = file(tmp_path / "a", (f"joint_blocks_11_{fused}", down, up), alpha=6)
    changes = fixed.fix(path, tmp_path / "b")
    assert changes[0] == (
        f"split 1 fused modules, such as 'lora_unet_joint_blocks_11_{fused}', into query, key and value, "
        "which loses nothing"
    )
    found = products(tmp_path / "b")
    assert sorted(found) == sorted(f"transformer_blocks.11.{leaf}" for leaf in leaves)
    for index, leaf in enumerate(leaves):
        wanted = 2 * up[index * W : (index + 1) * W] @ down
        assert np.array_equal(found[f"transformer_blocks.11.{leaf}"], wanted)
    assert lora.inspect(tmp_path / "b").rank == 3
    assert lora.problems(lora.inspect(tmp_path / "b")) == ()
    assert fixed.fix(tmp_path / "b", tmp_path / "c") == ()


def test_three_pairs_in_one_are_taken_apart_at_a_third_of_the_rank(tmp_path: Path) -> None:
    down, up = random(6, W), np.zeros((3 * W, 6), np.float32)
    for index in range(3):
        up[index * W : (index + 1) * W, 2 * index : 2 * index + 2] = random(W, 2) + index
    path = file(tmp_path / "a", ("joint_blocks_0_x_block_attn_qkv", down, up), alpha=3)
    assert ", 1 of them at a third of the rank" in fixed.fix(path, tmp_path / "b")[0]
    assert lora.inspect(tmp_path / "b").rank == 2
    found = products(tmp_path / "b")
    for index, leaf in enumerate(("to_q", "to_k", "to_v")):
        assert np.array_equal(
            found[f"transformer_blocks.0.attn.{leaf}"], 0.5 * up[index * W : (index + 1) * W] @ down
        )


def test_one_number_beside_the_blocks_keeps_the_rank(tmp_path: Path) -> None:
    up = np.zeros((9, 3), np.float32)
    for index in range(3):
        up[3 * index : 3 * index + 3, index] = 1
    assert native.stacked(up)
    up[0, 2] = 1e-30
    assert not native.stacked(up)
    assert not native.stacked(np.zeros((9, 4), np.float32))
    assert not native.stacked(np.zeros((8, 3), np.float32))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("joint_blocks_3_x_block_attn_proj", "transformer_blocks.3.attn.to_out.0"),
        ("joint_blocks_3_context_block_attn_proj", "transformer_blocks.3.attn.to_add_out"),
        ("joint_blocks_3_x_block_attn2_proj", "transformer_blocks.3.attn2.to_out.0"),
        ("joint_blocks_3_x_block_mlp_fc1", "transformer_blocks.3.ff.net.0.proj"),
        ("joint_blocks_3_context_block_mlp_fc2", "transformer_blocks.3.ff_context.net.2"),
        ("joint_blocks_3_x_block_adaLN_modulation_1", "transformer_blocks.3.norm1.linear"),
        ("joint_blocks_3_context_block_adaLN_modulation_1", "transformer_blocks.3.norm1_context.linear"),
        ("x_embedder_proj", "pos_embed.proj"),
        ("y_embedder_mlp_2", "time_text_embed.text_embedder.linear_2"),
        ("final_layer_linear", "proj_out"),
    ],
)
def test_every_other_module_has_its_name(tmp_path: Path, name: str, module: str) -> None:
    down, up = random(2, W), random(6 * W, 2)
    path = file(tmp_path / "a", (name, down, up), ("context_embedder", down, up))
    assert fixed.fix(path, tmp_path / "b")[0].startswith("renamed 4 tensors")
    found = products(tmp_path / "b")
    assert set(found) == {module, "context_embedder"}
    assert np.array_equal(found[module], up @ down)
    assert native.is_of_diffusers(module)
    assert native.is_known(name)


@pytest.mark.parametrize(
    "name", ["joint_blocks_37_context_block_adaLN_modulation_1", "final_layer_adaLN_modulation_1"]
)
def test_shift_and_scale_change_places_where_there_is_nothing_else(tmp_path: Path, name: str) -> None:
    down, up = random(2, W), random(2 * W, 2)
    assert "swapped shift and scale where diffusers has the scale first" in fixed.fix(
        file(tmp_path / "a", (name, down, up)), tmp_path / "b"
    )
    (found,) = products(tmp_path / "b").values()
    assert np.array_equal(found, np.concatenate([up[W:], up[:W]]) @ down)


@pytest.mark.parametrize("name", ["joint_blocks_0_x_block_unheard_of", "joint_blocks_0_x_block_attn_qkv"])
def test_what_does_not_fit_has_no_name(tmp_path: Path, name: str) -> None:
    path = file(tmp_path / "a", (name, random(2, W), random(2 * W, 2)))
    with pytest.raises(TrainerError, match=f"there is no name for '{name}'"):
        fixed.fix(path, tmp_path / "b")


def test_names_of_other_models_are_not_known() -> None:
    assert not native.is_known("transformer_blocks_0_attn_to_q")
    assert not native.is_of_diffusers("joint_blocks_0_x_block_attn_qkv")
    assert not native.is_of_diffusers("transformer_blocks.0.attn.unheard_of")
