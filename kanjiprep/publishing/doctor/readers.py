"""What ComfyUI and diffusers make of a LoRA file as it is, by its names, alphas and settings.

Source: tried with diffusers 0.42.1 and ComfyUI 0.3.64, and with the key map in ComfyUI's source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kanjiprep.evaluation.weights import lora_keys, lora_settings
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.evaluation.weights.lora_pairs import Pair
from kanjiprep.publishing.doctor import native

_COMFYUI_SD3: Final = ("transformer.", "base_model.model.", "lora_transformer_", "lycoris_")
_COMFYUI_NATIVE: Final = ("lora_unet_", "diffusion_model.")
_COMFYUI_UNET: Final = ("lora_unet_", "lycoris_")
_COMPONENT: Final = {"unet": "unet"}
_DIFFUSERS: Final = {"transformer": ("transformer.",), "unet": ("unet.", "lora_unet_")}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a program does with the file.

    Attributes:
        modules: How many it patches.
        of: How many the file adapts.
        why: What keeps it from patching all of them, or what it gets wrong, a phrase; empty if nothing.
        strength: By how much what it adds is too strong: 1 is as trained.
    """

    modules: int
    of: int
    why: str
    strength: float = 1.0

    @property
    def is_right(self) -> bool:
        """Whether it patches all modules, as strongly as they were trained."""
        return self.modules == self.of and not self.why


def comfyui(lora: Lora) -> Reading:
    """What ComfyUI makes of it."""
    known = [pair for pair in lora.pairs if _comfyui_patches(pair, lora.layout)]
    if len(known) < len(lora.pairs):
        return Reading(len(known), len(lora.pairs), _no_place(lora))
    factors = {1 / pair.scale for pair in known if not pair.alpha_tensor and pair.scale not in (None, 0.0)}
    wrong = max(factors - {1.0}, default=1.0, key=lambda by: max(by, 1 / by))
    why = (
        "" if wrong == 1 else f"it does not read alpha in the metadata, so it applies it {wrong:g} times as strongly"
    )
    return Reading(len(known), len(lora.pairs), why, wrong)


def diffusers(lora: Lora) -> Reading:
    """What diffusers makes of it."""
    count = len(lora.pairs)
    known = [pair for pair in lora.pairs if _prefix(pair) in _DIFFUSERS.get(lora.layout, ())]
    alphas = {pair.alpha for pair in lora.pairs if pair.alpha_tensor}
    if lora.layout == "transformer" and alphas:
        return Reading(0, count, "it refuses the alphas beside the matrices")
    if alphas and lora_settings.KEY in lora.header.metadata:
        return Reading(0, count, f"it refuses alphas beside {lora_settings.KEY}")
    if len(known) < count:
        return Reading(len(known), count, _no_place(lora))
    if lacking := _lacking(lora):
        why = f"{lora_settings.KEY} of the metadata does not say {' or '.join(lacking)}"
        is_taken = lacking == ("lora_alpha",)
        return Reading(count if is_taken else 0, count, f"{why}, for which it takes 8" if is_taken else why)
    if len(alphas) > 1 or (alphas and lora.rank is None):
        return Reading(count, count, "of several alphas or ranks it takes one for most modules")
    return Reading(count, count, "")


def with_alpha(reading: Reading, lora: Lora, alpha: float | None) -> Reading:
    """The same of a file that does not say its alpha, where it is known from elsewhere.

    Args:
        reading: What a program makes of the file by itself.
        lora: The file.
        alpha: What it was trained with; None where nobody knows, or the file says it.
    """
    wrong = {pair.rank / alpha for pair in lora.pairs} - {1.0} if alpha is not None and reading.is_right else set()
    if alpha is None or not wrong:
        return reading
    by = max(wrong, key=lambda one: max(one, 1 / one) if one else 1.0)
    why = f"the file does not say alpha {alpha:g}, so it applies it {by:g} times as strongly"
    return Reading(reading.modules, reading.of, why, by)


def nothing(lora: Lora, why: str) -> Reading:
    """Of a file that fits no model that is known here."""
    return Reading(0, len(lora.pairs), why)


def _no_place(lora: Lora) -> str:
    names = "names without a prefix" if lora.key_style == lora_keys.NO_PREFIX else f"the names of {lora.key_style}"
    return f"it has no place for {names}"


def _lacking(lora: Lora) -> tuple[str, ...]:
    """Settings that it cannot do without, where it reads any."""
    if lora_settings.KEY not in lora.header.metadata:
        return ()
    is_read = lora.settings.component == _COMPONENT.get(lora.layout, "transformer")
    return lora.settings.lacking if is_read else lora_settings.NEEDED


def _prefix(pair: Pair) -> str:
    return lora_keys.parted(pair.down)[0]


def _comfyui_patches(pair: Pair, layout: str) -> bool:
    prefix = _prefix(pair)
    if layout == "transformer":
        return prefix in _COMFYUI_SD3 and native.is_of_diffusers(pair.module)
    if layout == "native":
        return prefix in _COMFYUI_NATIVE and native.is_known(pair.module)
    return layout == "unet" and prefix in _COMFYUI_UNET
