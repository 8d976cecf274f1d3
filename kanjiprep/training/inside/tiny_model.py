"""Makes a tiny pipeline of random weights in the layout of diffusers. Runs under the trainer's Python, offline.

Arguments: the folder to fill, the seed, and the family, ``sd3`` or ``sd1x``. The CLIP tokenizers read any text byte
by byte, kanji too; the T5 tokenizer knows ASCII alone, as the real one knows no kanji.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

_START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
_CLIP_WIDTH: Final = 32
_T5_WIDTH: Final = 2 * _CLIP_WIDTH
"""Both CLIP encoders side by side are as wide as T5, as the pipeline wants it."""
_JOINT_WIDTH: Final = 64
_UNET_LEVELS: Final = (16, 16, 32, 32)
"""Channels of the UNet of SD 1.5's layout, level by level."""


def byte_letters() -> list[str]:
    """The 256 letters that stand for the 256 bytes in a byte-level vocabulary, in the order of the bytes.

    A byte that Latin-1 prints is its own letter, the others get the letters from U+0100 on.
    """
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printed else chr(next(spare)) for byte in range(256)]


def clip_vocabulary() -> list[str]:
    """A letter for each byte, within a word and at its end, and the two marks."""
    letters = byte_letters()
    return [*letters, *(f"{letter}</w>" for letter in letters), _START, END]


def t5_vocabulary() -> list[tuple[str, float]]:
    """The three marks, the space and the printable ASCII letters, each with its score."""
    letters = [("\u2581", -2.0), *((chr(code), -3.0) for code in range(0x21, 0x7F))]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters]


def write_clip_tokenizer(folder: Path, pad: str) -> None:
    """A CLIP tokenizer without merges: one token a byte."""
    folder.mkdir()
    marks = {"bos_token": _START, "eos_token": END, "unk_token": END, "pad_token": pad}
    _write_json(folder / "vocab.json", {text: number for number, text in enumerate(clip_vocabulary())})
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    _write_json(folder / "special_tokens_map.json", marks)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "errors": "replace", **marks}
    _write_json(folder / "tokenizer_config.json", settings)


def write_t5_tokenizer(folder: Path) -> None:
    """A T5 tokenizer of one token a letter."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    folder.mkdir()
    tokenizer = Tokenizer(models.Unigram(t5_vocabulary(), unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    _write_json(folder / "special_tokens_map.json", marks)
    settings = {"tokenizer_class": "T5TokenizerFast", "extra_ids": 0, "model_max_length": 512, **marks}
    _write_json(folder / "tokenizer_config.json", settings)


def _clip_config() -> Any:
    """What a CLIP encoder of two layers is made by."""
    from transformers import CLIPTextConfig

    size = len(clip_vocabulary())
    return CLIPTextConfig(
        vocab_size=size, hidden_size=_CLIP_WIDTH, intermediate_size=2 * _CLIP_WIDTH, projection_dim=_CLIP_WIDTH,
        num_hidden_layers=2, num_attention_heads=4, bos_token_id=size - 2, eos_token_id=size - 1,
        pad_token_id=size - 1,
    )  # fmt: skip


def vae(latent_channels: int, **settings: object) -> Any:
    """A VAE that makes a latent of eight by eight pixels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4, latent_channels=latent_channels,
        sample_size=256, **settings,
    )  # fmt: skip


def _sd3_text_encoders() -> dict[str, Any]:
    """Two CLIP encoders and a T5 encoder of two layers each."""
    from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel

    clip = _clip_config()
    t5 = T5Config(
        vocab_size=-(-len(t5_vocabulary()) // 64) * 64, d_model=_T5_WIDTH, d_kv=16, d_ff=64, num_layers=2,
        num_heads=4, feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    return {
        "text_encoder": CLIPTextModelWithProjection(clip),
        "text_encoder_2": CLIPTextModelWithProjection(clip),
        "text_encoder_3": T5EncoderModel(t5),
    }


def sd3_parts() -> dict[str, Any]:
    """The encoders, a transformer of two blocks, a VAE and the scheduler."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    return {
        **_sd3_text_encoders(),
        "transformer": SD3Transformer2DModel(
            sample_size=32, patch_size=2, in_channels=16, out_channels=16, num_layers=2,
            attention_head_dim=16, num_attention_heads=4, joint_attention_dim=_T5_WIDTH,
            caption_projection_dim=_JOINT_WIDTH, pooled_projection_dim=2 * _CLIP_WIDTH, pos_embed_max_size=96,
            qk_norm="rms_norm", dual_attention_layers=(0,),
        ),
        "vae": vae(
            16, scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
            force_upcast=False,
        ),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
    }  # fmt: skip


def sd1x_parts() -> dict[str, Any]:
    """What SD 1.5 has but its safety checker; the UNet has as many blocks."""
    from diffusers import PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPImageProcessor, CLIPTextModel

    return {
        "text_encoder": CLIPTextModel(_clip_config()),
        "unet": UNet2DConditionModel(
            sample_size=32, in_channels=4, out_channels=4, block_out_channels=_UNET_LEVELS, layers_per_block=2,
            cross_attention_dim=_CLIP_WIDTH, attention_head_dim=2, norm_num_groups=8,
        ),
        "vae": vae(4, scaling_factor=0.18215),
        "scheduler": PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
            set_alpha_to_one=False, steps_offset=1, prediction_type="epsilon",
        ),
        "feature_extractor": CLIPImageProcessor(),
    }  # fmt: skip


class Family(NamedTuple):
    """How a family's pipeline is made: its class, its parts, and its tokenizers with their padding."""

    pipeline: str
    parts: Callable[[], dict[str, Any]]
    clip_tokenizers: Mapping[str, str]
    t5_tokenizers: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


FAMILIES: Final = {
    "sd3": Family("StableDiffusion3Pipeline", sd3_parts, {"tokenizer": END, "tokenizer_2": "!"}, ("tokenizer_3",)),
    "sd1x": Family("StableDiffusionPipeline", sd1x_parts, {"tokenizer": END}, empty=("safety_checker",)),
}


def _write_json(path: Path, document: object) -> None:
    """``document`` in ``path``."""
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")


def index(family: Family, parts: Mapping[str, Any]) -> dict[str, object]:
    """What model_index.json says of the parts."""
    import diffusers

    return {
        "_class_name": family.pipeline,
        "_diffusers_version": diffusers.__version__,
        **{name: [type(part).__module__.partition(".")[0], type(part).__name__] for name, part in parts.items()},
        **{name: ["transformers", "CLIPTokenizer"] for name in family.clip_tokenizers},
        **{name: ["transformers", "T5TokenizerFast"] for name in family.t5_tokenizers},
        **{name: [None, None] for name in family.empty},
    }


def main(folder: Path, seed: int, family: Family) -> None:
    """Fill ``folder``; model_index.json comes last."""
    import torch

    torch.manual_seed(seed)
    parts = family.parts()
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    for name, pad in family.clip_tokenizers.items():
        write_clip_tokenizer(folder / name, pad)
    for name in family.t5_tokenizers:
        write_t5_tokenizer(folder / name)
    _write_json(folder / "model_index.json", index(family, parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), FAMILIES[sys.argv[3]])
