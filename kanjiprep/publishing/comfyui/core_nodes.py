"""The nodes of ComfyUI that text-to-image workflows of Stable Diffusion use, written down by hand.

Source: ComfyUI 0.3.64, its GET /object_info; TripleCLIPLoader's ``device`` is of a later version.
Names of model files are not in it: they are a matter of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kanjiprep.publishing.comfyui.graph import Value
from kanjiprep.publishing.comfyui.kinds import Input, NodeKind

VERSION: Final = "0.3.64"
"""Of the ComfyUI that is written down."""
MOST_SEED: Final = 2**64 - 1
_LARGEST_PX: Final = 16384
_MOST_STEPS: Final = 10_000


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SAMPLERS: Final = _words(
    """
    euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 dpm_2 dpm_2_ancestral lms dpm_fast
    dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp
    dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm
    ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral res_multistep_ancestral_cfg_pp
    gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc
    uni_pc_bh2
    """
)
SCHEDULERS: Final = _words(
    "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal"
)
_CLIP_TYPES: Final = _words(
    """
    stable_diffusion stable_cascade sd3 stable_audio mochi ltxv pixart cosmos lumina2 wan hidream chroma ace omnigen2
    qwen_image hunyuan_image
    """
)
_DUAL_TYPES: Final = ("sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image")
_LATENT_METHODS: Final = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
_IMAGE_METHODS: Final = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_UNION_TYPES: Final = (
    "auto", "openpose", "depth", "hed/pidi/scribble/ted", "canny/lineart/anime_lineart/mlsd", "normal", "segment",
    "tile", "repaint",
)  # fmt: skip


def _socket(name: str, type_: str | None = None, *, required: bool = True) -> Input:
    return Input(name, type_ or name.upper(), required)


def _file(name: str, folder: str) -> Input:
    return Input(name, "COMBO", folder=folder)


def _combo(name: str, *choices: Value, required: bool = True) -> Input:
    return Input(name, "COMBO", required, choices[0], choices=choices)


def _whole(name: str, default: int, least: int, most: int, step: int = 1) -> Input:
    return Input(name, "INT", True, default, least, most, step)


def _real(name: str, default: float, least: float, most: float, step: float = 0.01) -> Input:
    return Input(name, "FLOAT", True, default, least, most, step)


def _flag(name: str, *, default: bool) -> Input:
    return Input(name, "BOOLEAN", default=default)


def _text(name: str, default: str = "", *, is_long: bool = False) -> Input:
    return Input(name, "STRING", default=default, is_long=is_long)


def _seed(name: str) -> Input:
    return Input(name, "INT", True, 0, 0, MOST_SEED, 1, control_after_generate=True)


def _picture(name: str) -> Input:
    return Input(name, "COMBO", folder="input", uploads=True)


def _size(width_px: int, least: int, step: int) -> tuple[Input, Input]:
    return _whole("width", width_px, least, _LARGEST_PX, step), _whole("height", width_px, least, _LARGEST_PX, step)


def _kind(name: str, outputs: str, *inputs: Input, names: str = "", is_output: bool = False) -> NodeKind:
    return NodeKind(name, inputs, tuple(outputs.split()), is_output, tuple(names.split()))


_MODEL, _CLIP, _VAE, _IMAGE = _socket("model"), _socket("clip"), _socket("vae"), _socket("image")
_SAMPLES, _PIXELS = _socket("samples", "LATENT"), _socket("pixels", "IMAGE")
_LATENT, _CONTROL = _socket("latent_image", "LATENT"), _socket("control_net")
_PROMPTS = (_socket("positive", "CONDITIONING"), _socket("negative", "CONDITIONING"))
_CFG, _STEPS = _real("cfg", 8.0, 0.0, 100.0, 0.1), _whole("steps", 20, 1, _MOST_STEPS)
_SAMPLER, _SCHEDULER = _combo("sampler_name", *SAMPLERS), _combo("scheduler", *SCHEDULERS)
_DENOISE, _BATCH = _real("denoise", 1.0, 0.0, 1.0), _whole("batch_size", 1, 1, 4096)
_STRENGTH_MODEL = _real("strength_model", 1.0, -100.0, 100.0)
_STRENGTH = _real("strength", 1.0, 0.0, 10.0)
_DEVICE = _combo("device", "default", "cpu", required=False)


def _share(name: str, default: float) -> Input:
    return _real(name, default, 0.0, 1.0, 0.001)


def _tiles(step: int) -> tuple[Input, ...]:
    return (
        _whole("tile_size", 512, 64, 4096, step), _whole("overlap", 64, 0, 4096, 32),
        _whole("temporal_size", 64, 8, 4096, 4), _whole("temporal_overlap", 8, 4, 4096, 4),
    )  # fmt: skip


def _clip_files(count: int) -> tuple[Input, ...]:
    return tuple(_file(f"clip_name{number}", "text_encoders") for number in range(1, count + 1))


def _freedom(first: float, second: float) -> tuple[Input, ...]:
    values = {"b1": first, "b2": second, "s1": 0.9, "s2": 0.2}
    return tuple(_real(name, value, 0.0, 10.0) for name, value in values.items())


_CONTROL_SHARES = (_STRENGTH, _share("start_percent", 0.0), _share("end_percent", 1.0))
_SKIPS = (
    _real("scale", 3.0, 0.0, 10.0, 0.1), _share("start_percent", 0.01), _share("end_percent", 0.15),
)  # fmt: skip

_LOADERS: Final = (
    _kind("CheckpointLoaderSimple", "MODEL CLIP VAE", _file("ckpt_name", "checkpoints")),
    _kind("UNETLoader", "MODEL", _file("unet_name", "diffusion_models"),
          _combo("weight_dtype", "default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2")),
    _kind("VAELoader", "VAE", _file("vae_name", "vae")),
    _kind("CLIPLoader", "CLIP", _file("clip_name", "text_encoders"), _combo("type", *_CLIP_TYPES), _DEVICE),
    _kind("DualCLIPLoader", "CLIP", *_clip_files(2), _combo("type", *_DUAL_TYPES), _DEVICE),
    _kind("TripleCLIPLoader", "CLIP", *_clip_files(3), _DEVICE),
    _kind("QuadrupleCLIPLoader", "CLIP", *_clip_files(4)),
    _kind("LoraLoader", "MODEL CLIP", _MODEL, _CLIP, _file("lora_name", "loras"), _STRENGTH_MODEL,
          _real("strength_clip", 1.0, -100.0, 100.0)),
    _kind("LoraLoaderModelOnly", "MODEL", _MODEL, _file("lora_name", "loras"), _STRENGTH_MODEL),
    _kind("ControlNetLoader", "CONTROL_NET", _file("control_net_name", "controlnet")),
    _kind("DiffControlNetLoader", "CONTROL_NET", _MODEL, _file("control_net_name", "controlnet")),
    _kind("UpscaleModelLoader", "UPSCALE_MODEL", _file("model_name", "upscale_models")),
    _kind("LoadImage", "IMAGE MASK", _picture("image")),
    _kind("LoadImageMask", "MASK", _picture("image"), _combo("channel", "alpha", "red", "green", "blue")),
    _kind("LoadLatent", "LATENT", _file("latent", "input")),
)  # fmt: skip
_MODELS: Final = (
    _kind("ModelSamplingSD3", "MODEL", _MODEL, _real("shift", 3.0, 0.0, 100.0)),
    _kind("ModelSamplingAuraFlow", "MODEL", _MODEL, _real("shift", 1.73, 0.0, 100.0)),
    _kind("ModelSamplingDiscrete", "MODEL", _MODEL,
          _combo("sampling", "eps", "v_prediction", "lcm", "x0", "img_to_img"), _flag("zsnr", default=False)),
    _kind("SkipLayerGuidanceSD3", "MODEL", _MODEL, _text("layers", "7, 8, 9"), *_SKIPS),
    _kind("SkipLayerGuidanceDiT", "MODEL", _MODEL, _text("double_layers", "7, 8, 9"),
          _text("single_layers", "7, 8, 9"), *_SKIPS, _real("rescaling_scale", 0.0, 0.0, 10.0)),
    _kind("PerturbedAttentionGuidance", "MODEL", _MODEL, _real("scale", 3.0, 0.0, 100.0)),
    _kind("RescaleCFG", "MODEL", _MODEL, _real("multiplier", 0.7, 0.0, 1.0)),
    _kind("CFGZeroStar", "MODEL", _MODEL, names="patched_model"),
    _kind("FreeU", "MODEL", _MODEL, *_freedom(1.1, 1.2)),
    _kind("FreeU_V2", "MODEL", _MODEL, *_freedom(1.3, 1.4)),
    _kind("CLIPSetLastLayer", "CLIP", _CLIP, _whole("stop_at_clip_layer", -1, -24, -1)),
)  # fmt: skip
_CONDITIONINGS: Final = (
    _kind("CLIPTextEncode", "CONDITIONING", _text("text", is_long=True), _CLIP),
    _kind("CLIPTextEncodeSD3", "CONDITIONING", _CLIP, _text("clip_l", is_long=True), _text("clip_g", is_long=True),
          _text("t5xxl", is_long=True), _combo("empty_padding", "none", "empty_prompt")),
    _kind("ConditioningZeroOut", "CONDITIONING", _socket("conditioning")),
    _kind("ConditioningSetTimestepRange", "CONDITIONING", _socket("conditioning"), _share("start", 0.0),
          _share("end", 1.0)),
    _kind("ConditioningCombine", "CONDITIONING", _socket("conditioning_1", "CONDITIONING"),
          _socket("conditioning_2", "CONDITIONING")),
    _kind("ConditioningConcat", "CONDITIONING", _socket("conditioning_to", "CONDITIONING"),
          _socket("conditioning_from", "CONDITIONING")),
    _kind("ConditioningAverage", "CONDITIONING", _socket("conditioning_to", "CONDITIONING"),
          _socket("conditioning_from", "CONDITIONING"), _real("conditioning_to_strength", 1.0, 0.0, 1.0)),
    _kind("ConditioningSetArea", "CONDITIONING", _socket("conditioning"), *_size(64, 64, 8),
          _whole("x", 0, 0, _LARGEST_PX, 8), _whole("y", 0, 0, _LARGEST_PX, 8), _STRENGTH),
    _kind("SetUnionControlNetType", "CONTROL_NET", _CONTROL, _combo("type", *_UNION_TYPES)),
    _kind("ControlNetApply", "CONDITIONING", _socket("conditioning"), _CONTROL, _IMAGE, _STRENGTH),
    _kind("ControlNetApplyAdvanced", "CONDITIONING CONDITIONING", *_PROMPTS, _CONTROL, _IMAGE, *_CONTROL_SHARES,
          _socket("vae", required=False), names="positive negative"),
    _kind("ControlNetApplySD3", "CONDITIONING CONDITIONING", *_PROMPTS, _CONTROL, _VAE, _IMAGE, *_CONTROL_SHARES,
          names="positive negative"),
    _kind("LotusConditioning", "CONDITIONING", names="conditioning"),
)  # fmt: skip
_SAMPLING: Final = (
    _kind("KSampler", "LATENT", _MODEL, _seed("seed"), _STEPS, _CFG, _SAMPLER, _SCHEDULER, *_PROMPTS, _LATENT,
          _DENOISE),
    _kind("KSamplerAdvanced", "LATENT", _MODEL, _combo("add_noise", "enable", "disable"), _seed("noise_seed"),
          _STEPS, _CFG, _SAMPLER, _SCHEDULER, *_PROMPTS, _LATENT, _whole("start_at_step", 0, 0, _MOST_STEPS),
          _whole("end_at_step", _MOST_STEPS, 0, _MOST_STEPS),
          _combo("return_with_leftover_noise", "disable", "enable")),
    _kind("SamplerCustom", "LATENT LATENT", _MODEL, _flag("add_noise", default=True), _seed("noise_seed"), _CFG,
          *_PROMPTS, _socket("sampler"), _socket("sigmas"), _LATENT, names="output denoised_output"),
    _kind("SamplerCustomAdvanced", "LATENT LATENT", _socket("noise"), _socket("guider"), _socket("sampler"),
          _socket("sigmas"), _LATENT, names="output denoised_output"),
    _kind("BasicGuider", "GUIDER", _MODEL, _socket("conditioning")),
    _kind("CFGGuider", "GUIDER", _MODEL, *_PROMPTS, _CFG),
    _kind("BasicScheduler", "SIGMAS", _MODEL, _SCHEDULER, _STEPS, _DENOISE),
    _kind("KSamplerSelect", "SAMPLER", _SAMPLER),
    _kind("RandomNoise", "NOISE", _seed("noise_seed")),
    _kind("DisableNoise", "NOISE"),
    _kind("SplitSigmas", "SIGMAS SIGMAS", _socket("sigmas"), _whole("step", 0, 0, _MOST_STEPS),
          names="high_sigmas low_sigmas"),
    _kind("SetFirstSigma", "SIGMAS", _socket("sigmas"), _real("sigma", 136.0, 0.0, 20000.0, 0.001)),
)  # fmt: skip
_LATENTS: Final = (
    _kind("EmptySD3LatentImage", "LATENT", *_size(1024, 16, 16), _BATCH),
    _kind("EmptyLatentImage", "LATENT", *_size(512, 16, 8), _BATCH),
    _kind("VAEDecode", "IMAGE", _SAMPLES, _VAE),
    _kind("VAEDecodeTiled", "IMAGE", _SAMPLES, _VAE, *_tiles(32)),
    _kind("VAEEncode", "LATENT", _PIXELS, _VAE),
    _kind("VAEEncodeTiled", "LATENT", _PIXELS, _VAE, *_tiles(64)),
    _kind("VAEEncodeForInpaint", "LATENT", _PIXELS, _VAE, _socket("mask"), _whole("grow_mask_by", 6, 0, 64)),
    _kind("SetLatentNoiseMask", "LATENT", _SAMPLES, _socket("mask")),
    _kind("LatentUpscale", "LATENT", _SAMPLES, _combo("upscale_method", *_LATENT_METHODS), *_size(512, 0, 8),
          _combo("crop", "disabled", "center")),
    _kind("LatentUpscaleBy", "LATENT", _SAMPLES, _combo("upscale_method", *_LATENT_METHODS),
          _real("scale_by", 1.5, 0.01, 8.0)),
    _kind("LatentFromBatch", "LATENT", _SAMPLES, _whole("batch_index", 0, 0, 63), _whole("length", 1, 1, 64)),
    _kind("RepeatLatentBatch", "LATENT", _SAMPLES, _whole("amount", 1, 1, 64)),
)  # fmt: skip
_PICTURES: Final = (
    _kind("SaveImage", "", _socket("images", "IMAGE"), _text("filename_prefix", "ComfyUI"), is_output=True),
    _kind("PreviewImage", "", _socket("images", "IMAGE"), is_output=True),
    _kind("SaveLatent", "", _SAMPLES, _text("filename_prefix", "latents/ComfyUI"), is_output=True),
    _kind("ImageScale", "IMAGE", _IMAGE, _combo("upscale_method", *_IMAGE_METHODS), *_size(512, 0, 1),
          _combo("crop", "disabled", "center")),
    _kind("ImageScaleBy", "IMAGE", _IMAGE, _combo("upscale_method", *_IMAGE_METHODS),
          _real("scale_by", 1.0, 0.01, 8.0)),
    _kind("ImageScaleToTotalPixels", "IMAGE", _IMAGE, _combo("upscale_method", *_IMAGE_METHODS),
          _real("megapixels", 1.0, 0.01, 16.0)),
    _kind("ImageUpscaleWithModel", "IMAGE", _socket("upscale_model"), _IMAGE),
    _kind("ImageInvert", "IMAGE", _IMAGE),
    _kind("ImageBatch", "IMAGE", _socket("image1", "IMAGE"), _socket("image2", "IMAGE")),
    _kind("ImageCrop", "IMAGE", _IMAGE, *_size(512, 1, 1), _whole("x", 0, 0, _LARGEST_PX),
          _whole("y", 0, 0, _LARGEST_PX)),
    _kind("Canny", "IMAGE", _IMAGE, _real("low_threshold", 0.4, 0.01, 0.99),
          _real("high_threshold", 0.8, 0.01, 0.99)),
    _kind("GetImageSize", "INT INT INT", _IMAGE, names="width height batch_size"),
)  # fmt: skip
_NUMBERS: Final = (
    _kind("PrimitiveInt", "INT", Input("value", "INT", True, 0, -(2**63) + 1, 2**63 - 1, 1,
                                       control_after_generate=True)),
    _kind("PrimitiveFloat", "FLOAT", _real("value", 0.0, -(2**63) + 1, 2**63 - 1)),
    _kind("PrimitiveString", "STRING", _text("value")),
    _kind("PrimitiveStringMultiline", "STRING", _text("value", is_long=True)),
    _kind("PrimitiveBoolean", "BOOLEAN", _flag("value", default=False)),
    _kind("StringConcatenate", "STRING", _text("string_a", is_long=True), _text("string_b", is_long=True),
          _text("delimiter")),
)  # fmt: skip

TABLE: Final[Mapping[str, NodeKind]] = MappingProxyType(
    {
        kind.name: kind
        for group in (_LOADERS, _MODELS, _CONDITIONINGS, _SAMPLING, _LATENTS, _PICTURES, _NUMBERS)
        for kind in group
    }
)
"""Every kind by its name."""
