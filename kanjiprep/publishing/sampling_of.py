"""How noise becomes a picture where the user does not say: as is usual for a model, or as a run validates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import configs, run_folder
from kanjiprep.training.running import run_source

_SEED: Final = 42
"""Where no run has one: that of a spec that does not say."""
_SHIFT_KEY: Final = "flow_schedule_shift"
_NEGATIVE_KEY: Final = "validation_negative_prompt"


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for a model.

    Attributes:
        size_px: Width and height.
        steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
    """

    size_px: int
    steps: int
    guidance: float


_USUAL: Final[Mapping[tuple[str, str], Usual]] = {
    ("sd3", "large"): Usual(1024, 40, 4.5),
    ("sd3", "medium"): Usual(1024, 50, 5.0),
    ("sd1x", "1.5"): Usual(512, 50, 7.5),
}
"""Source: Stability-AI/sd3.5, sd3_infer.py, CONFIGS; for SD 1.5, of which its makers say nothing, the defaults of
diffusers' own pipeline, which the tutorial of the first attempt has too."""
_OF_FAMILY: Final = {"sd3": "large", "sd1x": "1.5"}
"""For flavours that are not known, and for the tiny models of rehearsals."""


def usual(family: str, flavour: str) -> Usual:
    """What is usual for a model.

    Args:
        family: ``sd3`` or ``sd1x``.
        flavour: As in a spec; empty if nobody knows.
    """
    return _USUAL.get((family, flavour)) or _USUAL[family, _OF_FAMILY[family]]


def seed(tuned: Tuned) -> int:
    """The seed that the run of ``tuned`` validates with, else the usual one."""
    return _SEED if tuned.asked is None else tuned.asked.seed


def validation_shift(run: Path) -> float:
    """The shift of the noise levels that a run of SD3 validates with.

    The trainer validates with the shift that it trains with, whatever the base model's own is.

    Raises:
        TrainerError: If the run cannot be read.
    """
    told = _told(run, _SHIFT_KEY)
    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    return run_source.spec(run).training.flow_shift


def validation_negative(run: Path) -> str | None:
    """What pictures of a run's validation are not to show; None if the trainer was not told.

    Raises:
        TrainerError: If what it was told cannot be read.
    """
    told = _told(run, _NEGATIVE_KEY)
    return told if isinstance(told, str) else None


def _told(run: Path, key: str) -> object:
    """What config.json, which the trainer read, has for ``key``."""
    return run_source.table(run / run_folder.CONFIG / configs.CONFIG).get(key)
