"""The files that ComfyUI needs besides a LoRA: their names, where they are to be had, and which of them is enough."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep.errors import UsageError

Variant = Literal["fp16", "fp8"]

_LARGE: Final = "https://huggingface.co/stabilityai/stable-diffusion-3.5-large"
_MEDIUM: Final = "https://huggingface.co/stabilityai/stable-diffusion-3.5-medium"
_ENCODERS: Final = "https://huggingface.co/Comfy-Org/stable-diffusion-3.5-fp8/tree/main/text_encoders"
_FIRST: Final = "https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5"
_GATE: Final = "sign in to the Hub and accept the licence on that page first"
_ALL_IN_ONE: Final = re.compile(r"incl_clips|sd3\.5_large_fp8_scaled", re.IGNORECASE)
_NAME: Final = re.compile(r"[^\x00-\x1f\\:*?\"<>|/]+(?:/[^\x00-\x1f\\:*?\"<>|/]+)*\.(?:safetensors|ckpt|pt|sft)")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to be downloaded once.

    Attributes:
        name: As the workflow names it.
        folder: Of ComfyUI.
        page: Where it is to be had; empty if only the user knows.
        size: In words; empty if it is not known.
        gate: What to do before it can be downloaded; empty for nothing.
    """

    name: str
    folder: str
    page: str = ""
    size: str = ""
    gate: str = ""


_CHECKPOINTS: Final = {
    ("sd3", "large"): ModelFile("sd3.5_large.safetensors", "models/checkpoints", _LARGE, "16.5 GB", _GATE),
    ("sd3", "medium"): ModelFile("sd3.5_medium.safetensors", "models/checkpoints", _MEDIUM, "5.1 GB", _GATE),
    ("sd1x", "1.5"): ModelFile("v1-5-pruned-emaonly.safetensors", "models/checkpoints", _FIRST, "4.3 GB"),
}
_T5: Final = {"fp16": ("t5xxl_fp16.safetensors", "9.8 GB"), "fp8": ("t5xxl_fp8_e4m3fn.safetensors", "4.9 GB")}


def checkpoint(family: str, flavour: str, named: str | None) -> ModelFile:
    """The single file of the base model; ``named`` by the user, or the family's own without text encoders.

    Source: The pages on the Hub. The sizes agree with the number of parameters times their bytes.

    Raises:
        UsageError: If there is none for this flavour, or ``named`` is no name of such a file.
    """
    if named is not None:
        if not _NAME.fullmatch(named) or ".." in named.split("/"):
            remedy = "give its name as below models/checkpoints, such as sd3.5_large.safetensors"
            raise UsageError(f"{named!r:.60} is no name of a checkpoint file", "--checkpoint-file", remedy)
        known = next((one for one in _CHECKPOINTS.values() if one.name == named), None)
        return known or ModelFile(named, "models/checkpoints")
    if (family, flavour) not in _CHECKPOINTS:
        what = f"ComfyUI has no file for the {flavour} model of {family}, which is for rehearsals"
        raise UsageError(what, "", "give --checkpoint-file with a checkpoint that you have")
    return _CHECKPOINTS[family, flavour]


def encoders(file: ModelFile, variant: Variant) -> tuple[ModelFile, ...]:
    """The three text encoders of SD3.5, to go with ``file``; none if it holds them itself."""
    if holds_encoders(file.name):
        return ()
    t5, size = _T5[variant]
    folder = "models/text_encoders"
    return (
        ModelFile("clip_l.safetensors", folder, _ENCODERS, "0.25 GB"),
        ModelFile("clip_g.safetensors", folder, _ENCODERS, "1.4 GB"),
        ModelFile(t5, folder, _ENCODERS, size),
    )


def holds_encoders(name: str) -> bool:
    """Whether a checkpoint file of SD3.5 has its text encoders inside, by its name.

    Source: ComfyUI issue 5388, and the file list of Comfy-Org/stable-diffusion-3.5-fp8.
    """
    return _ALL_IN_ONE.search(name) is not None
