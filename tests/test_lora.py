from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import lora
from tests import lora_files
from tests.lora_files import SD3, STYLES, UNET, named, said, tensor, weights, write


def problems(path: Path) -> str:
    return "; ".join(lora.problems(lora.inspect(path)))


def shaped(module: str, rank: int, inputs: int) -> dict[str, Any]:
    return {
        f"transformer.{module}.lora_A.weight": tensor(np.ones((rank, inputs))),
        f"transformer.{module}.lora_B.weight": tensor(np.ones((inputs, rank))),
    }


def test_all_that_a_file_of_simpletuner_says_is_told(tmp_path: Path) -> None:
    metadata = said(r=4, lora_alpha=2.0, base_model_name_or_path="a/b") | {"modelspec.architecture": "sd3/lora"}
    path = write(tmp_path / "a", named(weights(), "diffusers-peft"), metadata)
    found = lora.inspect(path)
    assert (found.rank, found.alpha, found.modules, found.blocks, found.tensors) == (4, 2.0, 6, 2, 12)
    assert found.targets == ("to_k", "to_out.0", "to_q")
    assert (found.key_style, found.layout, found.family) == ("diffusers-peft", "transformer", "sd3 tiny")
    assert (found.parameters, found.dtypes) == (6 * 2 * 4 * 64, ("BF16",))
    assert found.bytes == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.finite, found.zero) == (True, False)
    assert found.base_model == {"modelspec.architecture": "sd3/lora", "base_model_name_or_path": "a/b"}
    assert lora.problems(found) == ()
    lora.refuse_unfit(found)


@pytest.mark.parametrize("modules", [SD3, UNET], ids=["sd3", "sd1x"])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_names_is_known(tmp_path: Path, style: str, modules: tuple[str, ...]) -> None:
    found = lora.inspect(write(tmp_path / "a", named(weights(modules), style)))
    assert found.key_style == style
    assert (found.modules, found.blocks, found.targets) == (6, 2, ("to_k", "to_out.0", "to_q"))
    assert (found.rank, found.alpha, found.base_model) == (4, None, {})
    assert lora.problems(found) == ()


@pytest.mark.parametrize(
    ("module", "width", "family"),
    [
        ("transformer_blocks.37.attn.to_q", 2432, "sd3 large"),
        ("transformer_blocks.0.attn2.to_k", 1536, "sd3 medium"),
        ("transformer_blocks.0.attn.to_q", 64, "sd3 tiny"),
        ("transformer_blocks.0.attn.to_q", 3072, "unknown"),
        ("transformer_blocks.0.ff.net.0.proj", 2432, "unknown"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", 768, "sd1x"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", 32, "sd1x"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", 2048, "unknown"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v", 320, "unknown"),
        ("joint_blocks.0.x_block.attn.qkv", 2432, "sd3 large"),
        ("layers.0.wq", 64, "unknown"),
    ],
)
def test_widths_tell_the_family(tmp_path: Path, module: str, width: int, family: str) -> None:
    assert lora.inspect(write(tmp_path / "a", shaped(module, 1, width))).family == family


def test_two_families_in_one_file_are_none(tmp_path: Path) -> None:
    tensors = shaped("transformer_blocks.0.attn.to_q", 1, 64) | shaped("transformer_blocks.0.attn.to_k", 1, 1536)
    assert lora.inspect(write(tmp_path / "a", tensors)).family == "unknown"


def test_several_ranks_and_alphas_are_told_by_module(tmp_path: Path) -> None:
    pairs = weights(SD3[:1], rank=4) | weights(SD3[1:2], rank=8)
    words: dict[str, Any] = {"rank_pattern": {"to_k": 8}, "alpha_pattern": {"to_k": 2}}
    found = lora.inspect(write(tmp_path / "a", named(pairs, "diffusers-peft"), said(r=4, lora_alpha=4, **words)))
    assert (found.rank, found.alpha) == (None, None)
    assert found.rank_by_module == {SD3[0]: 4, SD3[1]: 8}
    assert found.alpha_by_module == {SD3[0]: 4.0, SD3[1]: 2.0}
    assert [pair.scale for pair in sorted(found.pairs, key=lambda pair: pair.rank)] == [1.0, 0.25]
    assert lora.problems(found) == ()


def test_an_alpha_beside_the_matrices_counts(tmp_path: Path) -> None:
    found = lora.inspect(write(tmp_path / "a", named(weights(), "kohya", alpha=2)))
    assert (found.alpha, {pair.scale for pair in found.pairs}) == (2.0, {0.5})


def test_a_rank_stabilized_adapter_is_stronger(tmp_path: Path) -> None:
    metadata = said(r=4, lora_alpha=4, use_rslora=True)
    found = lora.inspect(write(tmp_path / "a", named(weights(), "diffusers-peft"), metadata))
    assert {pair.scale for pair in found.pairs} == {2.0}


def test_convolutions_have_ranks_too(tmp_path: Path) -> None:
    tensors = {
        "lora_unet_conv_in.lora_down.weight": tensor(np.ones((2, 4, 3, 3))),
        "lora_unet_conv_in.lora_up.weight": tensor(np.ones((8, 2, 1, 1))),
    }
    found = lora.inspect(write(tmp_path / "a", tensors))
    assert (found.rank, found.layout, lora.problems(found)) == (2, "unet", ())


def test_numbers_that_are_none_are_found(tmp_path: Path) -> None:
    pairs = weights()
    pairs[SD3[0]][1][3, 1] = np.nan
    pairs[SD3[1]][0][0, 0] = np.inf
    tensors = named(pairs, "diffusers-peft", dtype="F32")
    found = lora.inspect(write(tmp_path / "a", tensors))
    assert not found.finite
    names = [f"transformer.{SD3[1]}.lora_A.weight", f"transformer.{SD3[0]}.lora_B.weight"]
    assert sorted(found.not_finite) == sorted(names)
    with pytest.raises(TrainerError) as caught:
        lora.refuse_unfit(found)
    assert caught.value.where == str(tmp_path / "a")
    assert "NaN or infinity in 'transformer.transformer_blocks.0.attn" in caught.value.what


@pytest.mark.parametrize("part", [0, 1])
def test_an_adapter_of_zeros_is_found(tmp_path: Path, part: int) -> None:
    pairs = weights()
    for pair in pairs.values():
        pair[part][:] = 0
    path = write(tmp_path / "a", named(pairs, "diffusers-peft"))
    assert lora.inspect(path).zero
    assert problems(path) == "all its matrices multiply to zero, so it does nothing"


def test_one_module_of_zeros_is_nothing_bad(tmp_path: Path) -> None:
    pairs = weights()
    pairs[SD3[0]][1][:] = 0
    assert problems(write(tmp_path / "a", named(pairs, "diffusers-peft"))) == ""


def test_a_matrix_alone_is_a_problem(tmp_path: Path) -> None:
    tensors = named(weights(), "diffusers-peft")
    for module in SD3[:5]:
        del tensors[f"transformer.{module}.lora_B.weight"]
    assert "one matrix of two is missing beside" in problems(write(tmp_path / "a", tensors))
    assert "and 2 more" in problems(tmp_path / "a")


def test_matrices_that_do_not_multiply_are_a_problem(tmp_path: Path) -> None:
    tensors = named(weights(), "diffusers-peft")
    for module in SD3[:2]:
        tensors[f"transformer.{module}.lora_A.weight"] = tensor(np.ones((3, 64)))
    tensors[f"transformer.{SD3[2]}.lora_A.weight"] = tensor(np.float32(1))
    says = problems(write(tmp_path / "a", tensors))
    assert "the matrices of 'transformer_blocks.0.attn." in says
    assert "which do not multiply, and 2 more like it" in says


@pytest.mark.parametrize(
    "stranger",
    [
        "transformer.transformer_blocks.0.attn.to_q.lora_magnitude_vector",
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "transformer.transformer_blocks.0.attn.to_v.alpha",
        "proj_out.weight",
    ],
)
def test_more_than_a_lora_is_a_problem(tmp_path: Path, stranger: str) -> None:
    tensors = named(weights(), "diffusers-peft") | {stranger: tensor(np.float32(1))}
    assert f"it holds more than a LoRA of the model: '{stranger}'" in problems(write(tmp_path / "a", tensors))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ["model.diffusion_model.x.weight"],
            "it holds no LoRA of a known kind, but 'model.diffusion_model.x.weight'",
        ),
        (["exp_avg.0", "exp_avg_sq.0", "step", "shift"], "it holds no LoRA of a known kind, but 'exp_avg.0'"),
        (["lycoris_transformer_blocks_0_attn.lokr_w1"], "it holds LyCORIS matrices and no plain LoRA"),
        ([], "it holds no tensors"),
    ],
)
def test_what_is_no_lora_is_a_problem(tmp_path: Path, names: list[str], says: str) -> None:
    path = write(tmp_path / "a", {name: tensor(np.ones(2)) for name in names})
    assert problems(path).startswith(says)
    assert lora.inspect(path).rank is None


def test_two_styles_in_one_file_are_a_problem(tmp_path: Path) -> None:
    tensors = named(weights(SD3[:1]), "diffusers-peft") | named(weights(SD3[1:]), "diffusion_model")
    path = write(tmp_path / "a", tensors)
    assert lora.inspect(path).key_style == "diffusers-peft, diffusion_model"
    assert problems(path) == "its tensors are named in several ways"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"r": 8, "lora_alpha": 8}, "has the rank 4, and the metadata says 8, and 5 more like it"),
        ({"r": 4, "lora_alpha": "4"}, "its lora_adapter_metadata has the lora_alpha '4'"),
    ],
)
def test_metadata_that_contradicts_the_matrices_is_a_problem(
    tmp_path: Path, words: dict[str, Any], says: str
) -> None:
    assert says in problems(write(tmp_path / "a", named(weights(), "diffusers-peft"), said(**words)))


def test_an_alpha_that_contradicts_the_metadata_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "a", named(weights(), "diffusers-peft", alpha=2), said(r=4, lora_alpha=4))
    assert "has the alpha 2, and the metadata says 4, and 5 more like it" in problems(path)


@pytest.mark.parametrize("alpha", [0, -1, np.nan, np.inf, [1, 2]])
def test_an_alpha_that_is_no_amount_is_a_problem(tmp_path: Path, alpha: Any) -> None:
    path = write(tmp_path / "a", named(weights(), "kohya", alpha=alpha))
    assert "is no number above 0, and 5 more like it" in problems(path)


def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error")

    path = write(tmp_path / "a", named(weights(), "kohya"))
    monkeypatch.setattr(lora, "sha256_of", fail)
    with pytest.raises(TrainerError, match="cannot be read: input/output error"):
        lora.inspect(path)


def test_a_file_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    tensors = named(weights(), "kohya")
    name = next(iter(tensors))
    tensors[name] = ("I8", (4, 64), bytes(256))
    with pytest.raises(TrainerError, match="is of type I8"):
        lora.inspect(write(tmp_path / "a", tensors))


def test_the_rules_that_the_tests_hold_repairs_to_tell_good_files_from_bad_ones(tmp_path: Path) -> None:
    pairs = weights()
    good = write(tmp_path / "good", named(pairs, "diffusers-peft"), said(r=4, lora_alpha=4))
    for told in (lora_files.comfyui(good, SD3), lora_files.diffusers(good, SD3)):
        assert isinstance(told, dict)
        for module, (first, second) in pairs.items():
            assert np.array_equal(told[module], second @ first)
    half = write(tmp_path / "half", named(pairs, "diffusers-peft"), said(r=4, lora_alpha=2))
    found = lora_files.diffusers(half, SD3)
    assert isinstance(found, dict)
    assert np.array_equal(found[SD3[0]] * 2, lora_files.comfyui(half, SD3)[SD3[0]])
    beside = write(tmp_path / "beside", named(pairs, "diffusers-peft", alpha=2))
    assert lora_files.diffusers(beside, SD3) == "Invalid LoRA checkpoint"
    assert lora_files.comfyui(write(tmp_path / "bad", named(pairs, "diffusion_model")), SD3) == {}
