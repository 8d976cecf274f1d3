"""What the Modal script of an export is rendered with: which GPU, for how long, at what price."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.publishing.first_attempt import command, script
from kanjiprep.training.plan import Plan
from kanjiprep.training.presets import Preset

API: Final = "1.6.4"
"""The version of the package modal that the template is written for."""
LONGEST_H: Final = 24
"""Modal ends whatever runs longer. Source: modal.com/docs/guide/timeouts."""
_SPARE: Final = 1.5
_LONGEST_NAME: Final = 64
_STRANGE: Final = re.compile(r"[^A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class ModalGpu:
    """A GPU as Modal names and prices it.

    Attributes:
        name: For ``gpu=``.
        usd_per_hour: Of the GPU alone.
        source: Of the price.
    """

    name: str
    usd_per_hour: float
    source: str


_MAY = "modal.com/pricing as quoted by techbytes.app on 2026-05-07"
_OLDER = "modal.com/pricing as quoted in public code of 2025, and not looked up since"
GPUS: Final[Mapping[str, ModalGpu]] = {
    "a10-24gb": ModalGpu("A10", 1.10, _OLDER),
    "a100-40gb-sxm": ModalGpu("A100-40GB", 2.10, _OLDER),
    "a100-40gb-pcie": ModalGpu("A100-40GB", 2.10, _OLDER),
    "a100-80gb-sxm": ModalGpu("A100-80GB", 2.50, _MAY),
    "h100-80gb-sxm": ModalGpu("H100", 3.95, _MAY),
    "h100-80gb-pcie": ModalGpu("H100", 3.95, _MAY),
    "l40s-48gb": ModalGpu("L40S", 1.95, _MAY),
}
"""By the names of our own table, those that Modal has too. Source of the names: modal.com/docs/guide/gpu."""


def gpu_of(made: Plan) -> ModalGpu:
    """Modal's name for the GPU that was planned for.

    Raises:
        UsageError: If Modal has none of that kind.
    """
    ours = made.costs.machine.gpu if made.costs.machine else "cpu"
    if ours not in GPUS:
        raise UsageError(f"Modal has no {ours}", "--gpu", f"give one of {', '.join(GPUS)}")
    return GPUS[ours]


def most_hours(preset: Preset, made: Plan) -> float:
    """Hours after which Modal is to end a training that has not ended by itself.

    The preset's own limit; without one, half as much again as the plan's worst case, in whole hours. Never more
    than Modal allows.
    """
    own = preset.spec.guard.max_hours
    if own is not None:
        return min(own, LONGEST_H)
    worst = made.costs.duration.total.high if made.costs.duration else LONGEST_H
    return min(math.ceil(worst * _SPARE), LONGEST_H)


def name(preset: str) -> str:
    """A name for Modal's app and volume: letters, digits and hyphens."""
    return _STRANGE.sub("-", f"kanjiprep-{preset}")[:_LONGEST_NAME].strip("-")


def values(preset: Preset, made: Plan, key: str) -> dict[str, object]:
    """What the template modal_app.py.j2 names.

    Args:
        preset: What is trained.
        made: Its plan.
        key: Of the pictures and options, so that no training goes on from the checkpoints of another.
    """
    gpu, hours, validation = gpu_of(made), most_hours(preset, made), preset.spec.validation
    return {
        "name": name(preset.name),
        "key": key,
        "api": API,
        "gpu": gpu.name,
        "usd_per_hour": f"{gpu.usd_per_hour:.2f}",
        "price_source": gpu.source,
        "hours": f"{hours:g}",
        "most_usd": f"{hours * gpu.usd_per_hour:,.2f}",
        "timeout_s": math.ceil(hours * 3600),
        "requirements": script.REQUIREMENTS,
        "model": command.model(preset.spec),
        "prefix": preset.prompts.style.prefix,
        "suffix": preset.prompts.style.suffix,
        "negative": preset.prompts.negative,
        "size_px": validation.size_px,
        "inference_steps": validation.inference_steps,
        "guidance": validation.guidance,
        "seed": validation.seed,
    }
