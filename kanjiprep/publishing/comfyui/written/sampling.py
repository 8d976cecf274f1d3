"""How noise becomes a picture, in ComfyUI's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.publishing import sampling_of
from kanjiprep.publishing.comfyui.written.order import VALIDATION, Order, Setting, taken
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training.run_spec import Validation

SD3_SHIFT: Final = 3.0
"""What ComfyUI samples every SD3 with unless a node says otherwise. Source: ComfyUI comfy/supported_models.py."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Skip layer guidance: blocks that are left out of a further pass.

    Attributes:
        layers: Their numbers.
        scale: How strongly the pass without them is avoided.
        start: Share of the sampling after which it begins.
        end: Share of the sampling after which it ends.
    """

    layers: tuple[int, ...]
    scale: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """How noise becomes a picture.

    Attributes:
        steps: Of the sampler.
        guidance: ComfyUI's cfg.
        sampler: ComfyUI's name.
        scheduler: ComfyUI's name of the series of noise levels.
        shift: Of that series; None for a model that has none.
        skip: Blocks left out; None for none.
    """

    steps: int
    guidance: float
    sampler: str
    scheduler: str
    shift: float | None = None
    skip: Skip | None = None


_MEDIUM_SKIP: Final = Skip((7, 8, 9), 2.5, 0.01, 0.30)
"""Source: Stability-AI/sd3.5, sd3_infer.py, CONFIGS."""
_SERIES: Final[Mapping[str, tuple[str, str, float | None]]] = {
    "sd3": ("dpmpp_2m", "sgm_uniform", SD3_SHIFT),
    "sd1x": ("dpmpp_2m", "karras", None),
}
"""Sampler, series and shift. The series sgm_uniform is that of ComfyUI's own SD3.5 example; Stability's code has the
one that ComfyUI calls normal. For SD 1.5 there is no word of its makers; the sampler is what is usual for it."""
_OWN_SOURCE: Final = {
    "sd3": "Stability AI's own for this model",
    "sd1x": "usual for this model",
}
_SERIES_SOURCE: Final = {
    "sd3": "Stability AI's own sampler, with the series of ComfyUI's example",
    "sd1x": "usual for this model",
}
_SKIP_START: Final = 0.01
_SKIP_END: Final = 0.2
_SKIP_SCALE: Final = 2.8
"""Source: SimpleTuner 4.10.1, the defaults of validation_guidance_skip_layers_start, _stop and _scale."""


def sampling(tuned: Tuned, order: Order) -> tuple[Sampling, tuple[Setting, ...]]:
    """How a picture is to be sampled, and the same in words.

    With ``like_validation`` the sampler is ``euler`` and the series ``normal``, which is how SimpleTuner 4.10.1
    samples SD3: by diffusers' FlowMatchEulerDiscreteScheduler, with the shift that the run trains with. The noise
    levels of the two were computed for 20, 28, 30 and 40 steps and the shifts 1, 2 and 3, and differ by 1.2e-7 at
    most; those of ``simple`` are up to 0.13 away, of ``sgm_uniform`` 0.13, of ``beta`` 0.11. Of SD 1.5 the sampler
    is ``ddim`` and the series ``simple``: equal where the steps divide 1000, up to 1.6 % away where not, and the
    last step goes to no noise at all instead of 0.03. The noise at the start is the same, rounded to bf16 in the
    trainer. What ComfyUI has not is the trainer's guidance for SD3, CFG-Zero*, which scales the negative prompt's
    share in every step and leaves the first step out: its node CFGZeroStar scales denoised pictures, where the
    trainer scales velocities, and the two agree only where the scale is 1.

    Source: ComfyUI comfy/samplers.py; diffusers 0.42.1; SimpleTuner models/sd3/pipeline.py, training/validation.py.

    Raises:
        UsageError: If layers are to be skipped of a model for which nobody recommends it.
        TrainerError: If the run cannot be read.
    """
    usual = sampling_of.usual(tuned.family, tuned.flavour)
    own = Sampling(usual.steps, usual.guidance, *_SERIES[tuned.family])
    why = _OWN_SOURCE[tuned.family]
    asked = tuned.asked if order.like_validation else None
    steps, steps_source = taken(order.steps, asked.inference_steps if asked else None, own.steps, why)
    guidance, guidance_source = taken(order.guidance, asked.guidance if asked else None, own.guidance, why)
    sampler, scheduler, series_source = _series(tuned.family, own, asked)
    shift, shift_source = _shift(tuned, own, asked)
    skip, skip_source = _skip(tuned, order, asked)
    settings = [
        Setting("steps", str(steps), steps_source),
        Setting("cfg", f"{guidance:g}", guidance_source),
        Setting("sampler", f"{sampler}, {scheduler}", series_source),
    ]
    if shift is not None:
        settings.append(Setting("shift", f"{shift:g}", shift_source))
    if skip is not None:
        layers = ", ".join(map(str, skip.layers))
        what = f"{layers}, scale {skip.scale:g}, from {skip.start:g} to {skip.end:g} of the sampling"
        settings.append(Setting("skipped layers", what, skip_source))
    return Sampling(steps, guidance, sampler, scheduler, shift, skip), tuple(settings)


def _series(family: str, own: Sampling, asked: Validation | None) -> tuple[str, str, str]:
    if asked is None:
        return own.sampler, own.scheduler, _SERIES_SOURCE[family]
    same = ("euler", "normal") if family == "sd3" else ("ddim", "simple")
    return *same, "nearest to the trainer's own"


def _shift(tuned: Tuned, own: Sampling, asked: Validation | None) -> tuple[float | None, str]:
    if own.shift is None or asked is None or tuned.run is None:
        return own.shift, "the base model's own"
    return sampling_of.validation_shift(tuned.run), VALIDATION


def _skip(tuned: Tuned, order: Order, asked: Validation | None) -> tuple[Skip | None, str]:
    if order.skip_layers:
        if (tuned.family, tuned.flavour) != ("sd3", "medium"):
            what = "is for SD3.5 Medium, the only model that it is recommended for"
            raise UsageError(what, "--skip-layers", "leave it out")
        return _MEDIUM_SKIP, "Stability AI's own for this model"
    if asked is not None and asked.skip_layers:
        return Skip(asked.skip_layers, _SKIP_SCALE, _SKIP_START, _SKIP_END), VALIDATION
    return None, ""
