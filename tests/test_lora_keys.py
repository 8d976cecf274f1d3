from __future__ import annotations

import pytest

from kanjiprep.evaluation.weights import lora_keys
from tests import lora_files


@pytest.mark.parametrize("style", lora_files.STYLES)
def test_names_of_every_style_are_taken_apart_and_put_together(style: str) -> None:
    stem, (down, up) = lora_files.STYLES[style]
    name = f"{stem('transformer_blocks.0.attn.to_out.0')}.{down}"
    key = lora_keys.parse(name)
    assert key is not None
    assert (key.style, key.part) == (style, "down")
    assert lora_keys.flat(key.module) == "transformer_blocks_0_attn_to_out_0"
    partner = f"{key.prefix}{key.module}.{up}"
    assert lora_keys.pair_names(key) == (name, partner)
    other = lora_keys.parse(partner)
    assert other is not None
    assert other.part == "up"
    assert lora_keys.pair_names(other) == (name, partner)
    alpha = lora_keys.parse(lora_keys.alpha_name(name))
    assert alpha is not None
    assert (alpha.module, alpha.part) == (key.module, "alpha")


@pytest.mark.parametrize(
    "name",
    [
        "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
        "lycoris_transformer_blocks_0_attn_to_q.lokr_w1",
        "transformer.transformer_blocks.0.attn.to_q.lora_magnitude_vector",
        "",
    ],
)
def test_names_of_other_tensors_are_none_of_a_lora(name: str) -> None:
    assert lora_keys.parse(name) is None


@pytest.mark.parametrize(
    ("modules", "kind"),
    [
        (["transformer_blocks.0.attn.to_q", "context_embedder", "proj_out"], "transformer"),
        (["transformer_blocks_0_attn_to_q"], "transformer"),
        (["down_blocks.0.attentions.0.proj_in", "mid_block.attentions.0.proj_in", "up_blocks_1_x"], "unet"),
        (["joint_blocks_0_x_block_attn_qkv"], "native"),
        (["input_blocks.1.1.proj_in"], "native"),
        (["layers.0"], "unknown"),
        (["transformer_blocks.0.attn.to_q", "single_transformer_blocks.0.attn.to_q"], "unknown"),
        ([], "unknown"),
    ],
)
def test_modules_tell_the_layout_of_the_model(modules: list[str], kind: str) -> None:
    assert lora_keys.layout(modules) == kind


def test_blocks_are_counted_by_their_names() -> None:
    sd3 = ["transformer_blocks.0.attn.to_q", "transformer_blocks_0_attn_to_k", "transformer_blocks.10.attn2.to_q"]
    assert lora_keys.blocks(sd3) == {"transformer_blocks_0", "transformer_blocks_10"}
    assert len(lora_keys.blocks([*lora_files.UNET, "mid_block.attentions.0.proj_in", "conv_in"])) == 3


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("transformer_blocks.0.attn.to_q", "to_q"),
        ("transformer_blocks_0_attn_to_out_0", "to_out.0"),
        ("transformer_blocks.0.attn.to_add_out", "to_add_out"),
        ("transformer_blocks.0.ff_context.net.0.proj", "ff_context.net.0.proj"),
        ("transformer_blocks_0_ff_net_2", "ff.net.2"),
        ("down_blocks.0.resnets.0.time_emb_proj", "time_emb_proj"),
        ("layers.0.wq", "wq"),
    ],
)
def test_the_end_of_a_name_is_its_target(module: str, target: str) -> None:
    assert lora_keys.target(module) == target


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("transformer_blocks_10_attn2_to_out_0", "transformer_blocks.10.attn2.to_out.0"),
        ("transformer_blocks_0_ff_context_net_0_proj", "transformer_blocks.0.ff_context.net.0.proj"),
        ("transformer_blocks.0.attn.unheard_of", "transformer_blocks.0.attn.unheard_of"),
        ("context_embedder", "context_embedder"),
    ],
)
def test_modules_of_sd3_get_names_that_diffusers_and_comfyui_read(module: str, name: str) -> None:
    names = (f"transformer.{name}.lora_A.weight", f"transformer.{name}.lora_B.weight")
    assert lora_keys.common_names(module, "transformer") == names


def test_modules_of_sd1x_get_names_that_diffusers_and_comfyui_read() -> None:
    stem = "lora_unet_down_blocks_0_attentions_0_proj_in"
    names = (f"{stem}.lora_down.weight", f"{stem}.lora_up.weight")
    assert lora_keys.common_names("down_blocks.0.attentions.0.proj_in", "unet") == names
    assert [lora_keys.stem(name) for name in names] == [stem, stem]


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("transformer_blocks_0_attn_unheard_of", "transformer"),
        ("time_text_embed_timestep_embedder_linear_1", "transformer"),
        ("joint_blocks_0_x_block_attn_qkv", "native"),
        ("layers.0.wq", "unknown"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q", "unet"),
    ],
)
def test_other_modules_get_none(module: str, kind: lora_keys.Layout) -> None:
    assert lora_keys.common_names(module, kind) is None
