"""What a user asks of a workflow, and a value as it is told to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from kanjiprep.publishing.comfyui.written.model_files import Variant

T = TypeVar("T")

ASKED: Final = "as asked for"
MOST_SEED: Final = 2**53 - 1
"""Above it a browser, whose numbers are doubles, rounds what workflow.json says."""
VALIDATION: Final = "as in the validation of the run"


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for; None is for whatever is best.

    Attributes:
        prompts: Subjects, or short names of the run's prompts; none for the run's first.
        style: Name of a style, or its file.
        negative: What to avoid.
        variant: Of the largest text encoder.
        checkpoint_file: Of the base model, as it is called in ComfyUI.
        like_validation: Whether pictures are to be as those of the run's validation.
        skip_layers: Whether the base model's recommended layers are to be skipped.
        size_px: Width and height.
        seed: Of the noise.
        steps: Of the sampler.
        guidance: ComfyUI's cfg.
        strength: How strongly the LoRA is applied.
    """

    prompts: tuple[str, ...] = ()
    style: str | None = None
    negative: str | None = None
    variant: Variant = "fp16"
    checkpoint_file: str | None = None
    like_validation: bool = False
    skip_layers: bool = False
    size_px: int | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as it is told to people.

    Attributes:
        name: Of the setting.
        value: In words.
        source: Where it comes from.
    """

    name: str
    value: str
    source: str


def taken(given: T | None, validated: T | None, own: T, why: str) -> tuple[T, str]:
    """The first of three that there is, and where it is from."""
    if given is not None:
        return given, ASKED
    return (own, why) if validated is None else (validated, VALIDATION)
