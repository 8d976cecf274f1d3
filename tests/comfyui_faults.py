"""Workflows that are wrong by one change, each with its name."""

from __future__ import annotations

from kanjiprep.publishing.comfyui.graph import Link, Workflow
from tests.comfyui_workflows import SD1, SD3, given, left_out, of_kind, titled, with_node, without

LARGE = "sd3.5_large.safetensors"
_TURBO = given(SD3, "1", ckpt_name="sd3.5_large_turbo.safetensors")
_MEDIUM = given(SD3, "1", ckpt_name="sd3.5_medium.safetensors")


def _dual(**inputs: Link | str) -> Workflow:
    names: dict[str, Link | str | int | float | bool | None] = {
        "clip_name1": "clip_l.safetensors",
        "clip_name2": "clip_g.safetensors",
        "type": "sd3",
    }
    return of_kind(SD3, "2", "DualCLIPLoader", **{**names, **inputs})


def _behind(kind: str, **inputs: Link | str | int | float | bool | None) -> Workflow:
    """One more patch of the model before the sampler."""
    return given(with_node(SD3, "20", kind, model=Link("3", 0), **inputs), "7", model=Link("20", 0))


_SKIPPED = _behind("SkipLayerGuidanceSD3", layers="7, 8, 9", scale=3.0, start_percent=0.01, end_percent=0.15)

RIGHT: dict[str, Workflow] = {
    "sd3": SD3,
    "sd1": SD1,
    "two encoders": _dual(),
    "turbo": given(_TURBO, "7", cfg=1.0, steps=4),
    "skipped layers of medium": given(_SKIPPED, "1", ckpt_name="sd3.5_medium.safetensors"),
    "another shift": _behind("ModelSamplingSD3", shift=4.0),
    "all in one": given(
        given(given(without(SD3, "2"), "4", clip=Link("1", 1)), "5", clip=Link("1", 1)),
        "1",
        ckpt_name="SD3.5\\sd3.5_large_fp8_scaled.safetensors",
    ),
    "negative zeroed": given(
        with_node(without(SD3, "5"), "5", "ConditioningZeroOut", conditioning=Link("4", 0)), "7", cfg=4.5
    ),
    "wide medium": given(_MEDIUM, "6", width=1440, height=1440),
    "a seed from a primitive": given(with_node(SD3, "20", "PrimitiveInt", value=7), "7", seed=Link("20", 0)),
}
"""Workflows without a finding."""

WRONG: dict[str, Workflow] = {
    "issue 5388": given(given(without(SD3, "2"), "4", clip=Link("1", 1)), "5", clip=Link("1", 1)),
    "issue 5388 behind a lora": given(
        of_kind(
            SD3, "3", "LoraLoader",
            model=Link("1", 0), clip=Link("1", 1), lora_name="kanji.safetensors", strength_model=1.0,
            strength_clip=1.0,
        ),
        "4",
        clip=Link("3", 1),
    ),
    "no vae in a bare model": given(SD3, "1", ckpt_name="diffusion_pytorch_model.safetensors"),
    "no clip in a unet": given(
        given(of_kind(SD3, "1", "UNETLoader", unet_name=LARGE, weight_dtype="default"), "4", clip=Link("1", 1)),
        "8",
        vae=Link("2", 0),
    ),
    "file undefined": given(SD3, "3", lora_name="undefined"),
    "file empty": given(SD3, "1", ckpt_name=""),
    "file null": given(SD3, "2", clip_name3=None),
    "file a number": given(SD3, "2", clip_name3=3),
    "encoder twice": given(SD3, "2", clip_name2="clip_l.safetensors"),
    "encoder missing": given(SD3, "2", clip_name3="sub/clip_l_v2.safetensors"),
    "encoder twice in dual": _dual(clip_name2="clip_l.safetensors"),
    "encoder type": _dual(type="sdxl"),
    "encoder type of one": of_kind(SD3, "2", "CLIPLoader", clip_name="t5xxl_fp16.safetensors", type="flux2"),
    "encoders of sd1": given(
        given(with_node(SD3, "20", "CheckpointLoaderSimple", ckpt_name="v1-5-pruned.safetensors"), "4",
              clip=Link("20", 1)), "5", clip=Link("20", 1),
    ),
    "triple for sd1": given(
        given(Workflow((*SD1.nodes, SD3.nodes[1])), "4", clip=Link("2", 0)), "5", clip=Link("2", 0)
    ),
    "vae of sd1": given(
        with_node(SD3, "20", "VAELoader", vae_name="vae-ft-mse-840000-ema-pruned.safetensors"), "8", vae=Link("20", 0)
    ),
    "lora as checkpoint": given(SD3, "1", ckpt_name="pytorch_lora_weights.safetensors"),
    "latent of 4 channels": of_kind(SD3, "6", "EmptyLatentImage"),
    "latent of 16 channels": of_kind(SD1, "6", "EmptySD3LatentImage"),
    "unknown node": of_kind(SD3, "7", "Ksampler"),
    "custom node": with_node(SD3, "20", "easy positive", positive="kanji"),
    "missing link": left_out(SD3, "8", "vae"),
    "missing value": left_out(SD3, "7", "steps"),
    "missing file": left_out(SD3, "3", "lora_name"),
    "unknown input": given(SD3, "7", sampler="euler"),
    "link to nowhere": without(SD3, "6"),
    "slot of nowhere": given(SD3, "8", vae=Link("1", 3)),
    "negative slot": given(SD3, "8", vae=Link("1", -1)),
    "slot of an end": with_node(SD3, "20", "PreviewImage", images=Link("9", 0)),
    "wrong type of link": given(SD3, "8", vae=Link("1", 0)),
    "wrong node": given(SD3, "7", positive=Link("2", 0)),
    "value for a link": given(SD3, "7", model=LARGE),
    "link for a value": given(SD3, "7", steps=Link("6", 0)),
    "text for a number": given(SD3, "7", steps="many"),
    "none for a number": given(SD3, "7", cfg=None),
    "nan for a number": given(SD3, "7", cfg=float("nan")),
    "digits for a number": given(SD3, "7", steps="30"),
    "part of a step": given(SD3, "7", steps=30.5),
    "none for a text": given(SD3, "4", text=None),
    "number for a text": given(SD3, "4", text=12),
    "text for a flag": with_node(SD3, "20", "PrimitiveBoolean", value="false"),
    "too small": given(SD3, "7", steps=0),
    "too large": given(SD3, "7", denoise=1.5),
    "seed below 0": given(SD3, "7", seed=-1),
    "seed too large": given(SD3, "7", seed=2**64),
    "off step": given(SD3, "6", width=1000),
    "unknown sampler": given(SD3, "7", sampler_name="dpm++_2m"),
    "sampler of another program": given(SD3, "7", sampler_name="DPM++ 2M SDE"),
    "unknown scheduler": given(SD3, "7", scheduler="turbo"),
    "cycle": given(SD3, "3", model=Link("20", 0)),
    "no output": without(SD3, "9"),
    "nothing painted": given(with_node(SD3, "20", "LoadImage", image="old.png"), "9", images=Link("20", 0)),
    "idle node": with_node(SD3, "20", "VAELoader", vae_name="sd3_vae.safetensors"),
    "lora unused": given(SD3, "7", model=Link("1", 0)),
    "lora without strength": given(SD3, "3", strength_model=0),
    "lora twice": _behind("LoraLoaderModelOnly", lora_name="kanji.safetensors", strength_model=0.5),
    "skipped layers of large": _SKIPPED,
    "shift superfluous": _behind("ModelSamplingSD3", shift=3),
    "high cfg": given(SD3, "7", cfg=12.0),
    "few steps": given(SD3, "7", steps=4),
    "many steps": given(SD3, "7", steps=150),
    "guidance of turbo": given(_TURBO, "7", steps=4),
    "prompts the same": given(SD3, "7", negative=Link("4", 0)),
    "prompts swapped": given(SD3, "7", positive=Link("5", 0), negative=Link("4", 0)),
    "denoise of nothing": given(SD3, "7", denoise=0.6),
    "small picture": given(SD3, "6", width=512, height=512),
    "large picture": given(SD3, "6", width=2048),
    "prefix twice": with_node(SD3, "20", "SaveImage", images=Link("8", 0), filename_prefix="kanji"),
}  # fmt: skip
"""Workflows that differ from a right one by one change."""

WRONG["cycle"] = with_node(WRONG["cycle"], "20", "ModelSamplingSD3", model=Link("3", 0), shift=4.0)
WRONG["prompts swapped by title"] = titled(SD1, "4", "Negative prompt")
