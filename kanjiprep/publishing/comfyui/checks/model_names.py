"""What the name of a model's file tells of it: nobody opens the files, which are on the server."""

from __future__ import annotations

import re
from typing import Final

from kanjiprep.publishing.comfyui.written import model_files

_FAMILIES: Final = {
    "sdxl": re.compile(r"sd[-_. ]?xl|xl[-_. ]?base|sdxl"),
    "sd3": re.compile(r"sd[-_. ]?3(?![0-46-9])|stable[-_. ]?diffusion[-_. ]?3"),
    "flux": re.compile(r"flux"),
    "sd1x": re.compile(
        r"sd[-_. ]?v?1[-_. ]?[45]|(?<![a-z0-9])v1[-_.][45]|stable[-_. ]?diffusion[-_. ]?v?1|ft-(?:mse|ema)-|kl-f8"
    ),
}
_BARE: Final = re.compile(r"diffusion_pytorch_model|transformer|(?<![a-z])unet")
_ENCODERS: Final = {
    "clip_l": re.compile(r"clip[-_. ]?l(?![a-z])"),
    "clip_g": re.compile(r"clip[-_. ]?g(?![a-z])"),
    "t5xxl": re.compile(r"t5"),
}
_FAST: Final = re.compile(
    r"turbo|lightning|hyper|lcm|schnell|distill"
    r"|(?<![a-z0-9.])(?:[1-9]|1[0-6])[-_ ]?steps?(?![a-z]|[-_ ]?[0-9])"  # 8steps, and not v2-step-400 of a run
)
_NOTHING: Final = frozenset({"", "undefined", "null", "none"})


def base(name: str) -> str:
    """The name without its folders, in small letters."""
    return re.split(r"[\\/]", name)[-1].lower()


def is_none(value: object) -> bool:
    """Whether a widget names no file: what the UI writes when it does not have the file of a workflow."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING)


def family(name: str) -> str:
    """``sd3``, ``sd1x``, ``sdxl`` or ``flux``; empty if the name does not tell."""
    return next((one for one, pattern in _FAMILIES.items() if pattern.search(base(name))), "")


def flavour(name: str) -> str:
    """``turbo``, ``large`` or ``medium`` of Stable Diffusion 3; empty if the name does not tell."""
    if family(name) != "sd3":
        return ""
    return next((one for one in ("turbo", "large", "medium") if one in base(name)), "")


def lacks_encoders(name: str) -> bool:
    """Whether a checkpoint certainly has no text encoders inside."""
    return is_bare(name) or (family(name) == "sd3" and not model_files.holds_encoders(base(name)))


def is_bare(name: str) -> bool:
    """Whether it is only the part that removes noise, so that it has no VAE either."""
    return _BARE.search(base(name)) is not None


def is_fast(name: str) -> bool:
    """Whether a model or a LoRA is made for a few steps without guidance."""
    return _FAST.search(base(name)) is not None


def encoder(name: str) -> str:
    """``clip_l``, ``clip_g`` or ``t5xxl``; empty if the name does not tell."""
    return next((one for one, pattern in _ENCODERS.items() if pattern.search(base(name))), "")


def is_lora(name: str) -> bool:
    """Whether it is called a LoRA."""
    return "lora" in base(name)
